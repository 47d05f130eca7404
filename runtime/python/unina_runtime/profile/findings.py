"""What a recording says, in figures: speed, watts, work a joule, what is left of the GPU."""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unina_runtime.profile.latency import TRTEXEC, Latencies, Stage
from unina_runtime.profile.number import number
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.power import total_watts
from unina_runtime.profile.recording import Recording
from unina_runtime.profile.series import Floats, Series, step_s
from unina_runtime.profile.throttling import Span, spans
from unina_runtime.profile.whole_file import read_json

GPU, MEMORY = ("GR3D_FREQ", "GR3D2_FREQ"), "EMC_FREQ"
DLAS = ("NVDLA0", "NVDLA1")
OPERATIONS_PER_MAC = 2
LOADABLE = b"UNINAHL1"
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


@dataclass(frozen=True)
class Part:
    """How busy a part of the chip was, in % of what it could do at the highest clock of the recording."""

    name: str
    mean: float
    p95: float
    mhz: float | None
    """on the average"""
    scaled: bool
    """False where no clock was told: then it is % of whatever clock it had"""


@dataclass(frozen=True)
class Operations:
    """What a network asks for."""

    macs: int
    """of one image"""
    of: str


@dataclass(frozen=True)
class Findings:
    """A run."""

    recording: Recording
    series: Series
    """of the time that the command ran"""
    latencies: tuple[Latencies, ...]
    """first those that were named last"""
    watts_of: str
    """which rails, "" where none is told"""
    watts: Floats
    throttled: tuple[Span, ...]
    parts: tuple[Part, ...]
    operations: Operations | None

    @property
    def main(self) -> tuple[Latencies, Stage] | None:
        """What a verdict is about: the first with every frame, else the first."""
        told = sorted(self.latencies, key=lambda one: not one.stages[one.main].samples_ms)
        return (told[0], told[0].stages[told[0].main]) if told else None

    def figures(self) -> dict[str, float]:
        """The figures by name; those that nothing tells are not there."""
        found: dict[str, float] = {"seconds": self.recording.seconds}
        main = self.main
        if main is not None:
            found |= {f"{name}_ms": value for name, value in quantiles(main[1]).items()}
            if main[0].images_per_second is not None:
                found["images_per_second"] = main[0].images_per_second
        known = self.watts[np.isfinite(self.watts)]
        if len(known):
            found |= {"mean_watts": float(known.mean()), "peak_watts": float(known.max())}
            found["joules"] = found["mean_watts"] * self.recording.seconds
        speed, mean = found.get("images_per_second"), found.get("mean_watts")
        if speed and mean:
            found["images_per_joule"] = speed / mean
        if self.operations is not None and speed:
            found["tops"] = OPERATIONS_PER_MAC * self.operations.macs * speed / 1e12
            if mean:
                found["tops_per_watt"] = found["tops"] / mean
        hottest = [float(np.nanmax(values)) for values in self.series.of("celsius").values()]
        if hottest:
            found["hottest_celsius"] = max(hottest)
        found["throttled_seconds"] = sum(span.end - span.begin for span in self.throttled)
        for part in self.parts:
            if part.name == "GPU":
                found |= {"gpu_left_percent": 100 - part.mean, "gpu_left_p5_percent": 100 - part.p95}
        return found


def find(recording: Recording, latencies: Sequence[Latencies] = (), operations: Operations | None = None) -> Findings:
    """`latencies`: beside those of the recording."""
    series = within(recording.series(), recording.seconds)
    power = total_watts(series)
    name, watts = power if power is not None else ("", np.empty(0))
    told = (*latencies, *recording.latencies)
    return Findings(
        *(recording, series, told, name, watts, tuple(spans(recording, series)), tuple(_parts(series)), operations)
    )


def read_operations(path: Path) -> Operations:
    """Of a bundle, or of what `unina-dla estimate --json` printed. Raises CannotSay."""
    if path.is_dir():
        return _of_bundle(path)
    told = read_json(path)
    try:
        macs, complete = int(number(told["macs"])), bool(told["complete"])
        name = Path(str(told["model"])).name
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise CannotSay(f"{path}: neither a bundle nor what unina-dla estimate --json prints ({why})") from error
    if not complete:
        raise CannotSay(f"{path}: is an estimate of a part of the network; its operations are not all")
    return Operations(macs, name)


def _of_bundle(path: Path) -> Operations:
    """The multiplications of the convolutions of host.loadable (docs/bundle.md)."""
    loadable = path / "host.loadable"
    try:
        content = loadable.read_bytes()
        if content[:8] != LOADABLE:
            raise ValueError("it does not begin with UNINAHL1")
        header = json.loads(content[12 : 12 + struct.unpack_from("<I", content, 8)[0]])
        shapes = {tensor["name"]: tensor["shape"] for tensor in header["tensors"]}
        macs = sum(
            math.prod(shapes[op["output"]]) * math.prod(op["kernel"]) * shapes[op["inputs"][0]][1] // op["groups"]
            for op in header["ops"]
            if op["type"] == "conv"
        )
    except OSError as error:
        raise CannotSay(f"{loadable}: cannot be read: {error.strerror}; name a bundle, or an estimate") from error
    except (KeyError, TypeError, ValueError, IndexError, struct.error) as error:
        why = f"{type(error).__name__}: {error}"
        raise CannotSay(f"{loadable}: not as docs/bundle.md has it ({why}); export the bundle again") from error
    return Operations(macs, path.name)


def quantiles(stage: Stage) -> dict[str, float]:
    """p50, p90, p95, p99, mean; as they were told where there are no samples."""
    if not stage.samples_ms:
        return dict(stage.told_ms or {})
    values = np.asarray(stage.samples_ms)
    found = {name: float(np.quantile(values, level)) for name, level in QUANTILES.items()}
    return found | {"mean": float(values.mean()), "max": float(values.max())}


def within(series: Series, seconds: float) -> Series:
    """The samples of the run; all of them where it was shorter than the time between two."""
    step = step_s(series.seconds)
    inside = (series.seconds >= -step / 2) & (series.seconds <= seconds + step / 2)
    if not inside.any():
        return series
    columns = {name: values[inside] for name, values in series.columns.items()}
    told = {name: values for name, values in columns.items() if np.isfinite(values).any()}
    return Series(series.seconds[inside], told, series.unknown, series.skipped)


def _parts(series: Series) -> list[Part]:
    loads, clocks = series.of("load"), series.of("mhz")
    found = []
    for title, names in (("GPU", GPU), ("memory bandwidth", (MEMORY,))):
        name = next((name for name in names if name in loads), None)
        if name is not None:
            found.append(_part(title, loads[name], clocks.get(name)))
    if "cpu" in series.columns:
        found.append(_part("CPU, all cores", series.columns["cpu"], None))
    for name in sorted(loads):
        known = name.removesuffix("_FREQ") in (*DLAS, "VIC", "NVENC", "NVDEC", "OFA")
        if known and np.nanmax(loads[name]) > 0:
            found.append(_part(name.removesuffix("_FREQ"), loads[name], clocks.get(name)))
    return found


def _part(title: str, load: Floats, clock: Floats | None) -> Part:
    used = load
    highest = math.nan if clock is None else float(np.nanmax(clock))
    scaled = clock is not None and highest > 0
    if clock is not None and scaled:
        used = load * clock / highest
    known = used[np.isfinite(used)]
    mean_mhz = float(np.nanmean(clock)) if clock is not None and scaled else None
    return Part(title, float(known.mean()), float(np.quantile(known, 0.95)), mean_mhz, scaled)


def dla_on(series: Series) -> Mapping[str, float]:
    """Core → % of the samples in which it had a clock."""
    clocks = series.of("mhz")
    told = {}
    for core in DLAS:
        for name in (core, f"{core}_FREQ"):
            if name in clocks:
                told[core] = 100 * float((np.nan_to_num(clocks[name]) > 0).mean())
    return told


def unit_of_speed(latencies: Latencies) -> str:
    """Of `images_per_second`."""
    return "inferences/s, of a batch each" if latencies.kind == TRTEXEC else "images/s"


def to_json(found: Findings) -> dict[str, Any]:
    """What is the same in `--json` and in a page."""
    return {
        "command": list(found.recording.command),
        "began": None if found.recording.began is None else found.recording.began.isoformat(),
        "machine": dict(found.recording.machine),
        "watts_of": found.watts_of,
        "figures": found.figures(),
        "throttled": [[span.begin, span.end, span.why] for span in found.throttled],
    }
