"""`unina-profile layers`: what each layer took, beside what `unina-dla estimate` says of it.

Measured is what NVIDIA's cuDLALayerwiseStats samples write (CSV: layer_name, start_ms, end_ms and, from later
TensorRTs, net_duration_*_ms, whose sum is the layer's own time: README of the sample in Deep-Learning-Accelerator-SW),
or `trtexec --exportProfile` (samples/common/sampleReporting.cpp).
"""

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unina_runtime.profile.number import number
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.whole_file import parse_json, read_json, read_text

NET = ("net_duration_cpipes_ms", "net_duration_rubik_ms", "net_duration_bdma_ms")
CUDLA, TRTEXEC = "cuDLA's layer statistics", "trtexec's profile"
FOREIGN = re.compile(r"\{?ForeignNode\[(.*?)\.\.\.(.*?)\]\}?")
"""how TensorRT names all that went to the DLA as one: its first node and its last"""


@dataclass(frozen=True)
class Measured:
    """A layer as it ran, with what was fused into it."""

    name: str
    ms: float


@dataclass(frozen=True)
class Predicted:
    """A layer of the estimate."""

    name: str
    kind: str
    ms: float
    bound: str


@dataclass(frozen=True)
class Estimate:
    """What `unina-dla estimate --json` printed."""

    model: str
    platform: str
    mode: str
    precision: str
    batch: int
    layers: tuple[Predicted, ...]


@dataclass(frozen=True)
class Row:
    """A layer of either side, or of both."""

    layer: str
    measured_ms: float | None
    """of one image"""
    estimated_ms: float | None
    kind: str
    bound: str
    predicted: tuple[str, ...]
    """the layers of the estimate that it is"""

    @property
    def ratio(self) -> float | None:
        """Measured over estimated."""
        return self.measured_ms / self.estimated_ms if self.measured_ms is not None and self.estimated_ms else None


def read_measured(path: Path) -> tuple[str, tuple[Measured, ...], str]:
    """What wrote it, its layers in the order in which they ran, and a remark. Raises CannotSay."""
    text = read_text(path)
    try:
        found = _trtexec(text, path) if text.lstrip().startswith("[") else _cudla(text, path)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        why = f"{type(error).__name__}: {error}"
        raise CannotSay(f"{path}: neither {CUDLA} nor {TRTEXEC} ({why})") from error
    if not found[1]:
        raise CannotSay(f"{path}: has no layer")
    return found


def read_estimate(path: Path) -> Estimate:
    """Raises CannotSay."""
    told = read_json(path)
    try:
        layers = tuple(
            Predicted(str(one["name"]), str(one["kind"]), number(one["latency_ms"]), str(one["bound"]))
            for one in told["layers"]
        )
        return Estimate(
            *(str(told["model"]), str(told["platform"]), str(told["mode"]["name"])),
            *(str(told["precision"]), max(1, int(number(told["batch"]))), layers),
        )
    except (KeyError, TypeError, ValueError) as error:
        why = f"{type(error).__name__}: {error}"
        raise CannotSay(f"{path}: not what unina-dla estimate --json prints ({why})") from error


def join(measured: Sequence[Measured], estimate: Estimate) -> list[Row]:
    """Each measured layer with the layers of the estimate that it is; then those of the estimate that none is.

    A layer of the estimate belongs to the measured one that begins with its name, else to the first that it is part of.
    """
    place = {layer.name: index for index, layer in enumerate(estimate.layers)}
    parts = [_parts(one.name, place, [layer.name for layer in estimate.layers]) for one in measured]
    owner: dict[str, int] = {}
    for index, names in enumerate(parts):
        if names:
            owner.setdefault(names[0], index)
    for index, names in enumerate(parts):
        for name in names:
            owner.setdefault(name, index)
    rows = []
    for index, one in enumerate(measured):
        own = [layer for layer in estimate.layers if owner.get(layer.name) == index]
        ms = sum(layer.ms for layer in own) if own else None
        bounds = sorted({layer.bound for layer in own} - {"-"})
        kind = own[0].kind if len(own) == 1 else f"{len(own)} layers" if own else ""
        mine = tuple(layer.name for layer in own)
        rows.append(Row(one.name, one.ms / estimate.batch, ms, kind, "+".join(bounds), mine))
    for layer in estimate.layers:
        if layer.name not in owner and layer.ms > 0:
            rows.append(Row(layer.name, None, layer.ms, layer.kind, layer.bound, (layer.name,)))
    return rows


def totals(rows: Sequence[Row]) -> dict[str, float | None]:
    """Sums, and measured over estimated of the layers that have both, in all and by what they wait for."""
    both = [row for row in rows if row.ratio is not None]
    found: dict[str, float | None] = {
        "measured_ms": math.fsum(row.measured_ms or 0.0 for row in rows),
        "estimated_ms": math.fsum(row.estimated_ms or 0.0 for row in rows),
        "joined_measured_ms": math.fsum(row.measured_ms or 0.0 for row in both),
    }
    for name, chosen in (("ratio", both), *((f"ratio_{b}", [r for r in both if r.bound == b]) for b in BOUNDS)):
        estimated = math.fsum(row.estimated_ms or 0.0 for row in chosen)
        found[name] = math.fsum(row.measured_ms or 0.0 for row in chosen) / estimated if estimated else None
    return found


BOUNDS = ("compute", "memory")


def calibration_rows(rows: Sequence[Row], estimate: Estimate) -> list[dict[str, Any]]:
    """For `unina-dla calibrate`: the layers that are one on both sides."""
    same = {"model": estimate.model, "platform": estimate.platform, "power_mode": estimate.mode}
    return [
        {**same, "layer": row.predicted[0], "batch": 1, "precision": estimate.precision}
        | {"value": f"{1e3 * row.measured_ms:.3f}", "unit": "us"}
        for row in rows
        if row.measured_ms and row.estimated_ms and len(row.predicted) == 1
    ]


def _parts(name: str, place: dict[str, int], order: Sequence[str]) -> list[str]:
    """The layers of the estimate that a measured name is made of, in its order."""
    foreign = FOREIGN.fullmatch(name.strip())
    if foreign is not None:
        first, last = place.get(foreign[1]), place.get(foreign[2])
        if first is None and last is None:
            return []
        return list(order[first or 0 : len(order) if last is None else last + 1])
    if name in place:
        return [name]
    pieces = [piece.strip().strip("'\"") for piece in name.split("+")]
    return [piece for piece in pieces if piece in place]


def _cudla(text: str, path: Path) -> tuple[str, tuple[Measured, ...], str]:
    reader = csv.DictReader(io.StringIO(text), quotechar="'", skipinitialspace=True)
    names = [name.strip() for name in reader.fieldnames or ()]
    if names[:1] != ["layer_name"]:
        raise ValueError("no column layer_name")
    reader.fieldnames = names
    net = [name for name in NET if name in names]
    layers = []
    for row in reader:
        parts = [float(row[name] or 0) for name in net] or [float(row["end_ms"]), -float(row["start_ms"])]
        ms = math.fsum(parts)
        if not math.isfinite(ms) or ms < 0:
            raise ValueError(f"{path}:{reader.line_num}: {ms} ms is no time")
        layers.append(Measured(str(row["layer_name"]).strip("'\" "), ms))
    remark = "" if net else "layers that run at the same time are counted twice: this file has no net durations"
    return CUDLA, tuple(layers), remark


def _trtexec(text: str, path: Path) -> tuple[str, tuple[Measured, ...], str]:
    layers = [
        Measured(str(one["name"]), number(one["averageMs"])) for one in parse_json(text, str(path)) if "name" in one
    ]
    remark = ""
    if any(FOREIGN.fullmatch(one.name.strip()) for one in layers):
        remark = "TensorRT tells all that ran on the DLA as one layer: cuDLA's statistics tell them apart"
    return TRTEXEC, tuple(layers), remark
