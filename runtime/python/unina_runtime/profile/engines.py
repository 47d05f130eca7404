"""`unina-profile engines`: one network on GPU and DLA, in FP16 and INT8, alone and beside a GPU that works.

Each run has a folder with its engine, logs, times and result; a result that is there and is of the same network,
TensorRT and flags is not made again, so that what a crash or a cut of power left is gone on with.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unina_runtime.compile.versions import TensorRt
from unina_runtime.profile.findings import within
from unina_runtime.profile.latency import Latencies, read_latencies
from unina_runtime.profile.network import VARIANTS, Network, Variant
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.power import total_watts
from unina_runtime.profile.sampler import Tegrastats, find_tegrastats
from unina_runtime.profile.series import Series, series_of
from unina_runtime.profile.tegrastats import parse_line
from unina_runtime.profile.trtexec import Call, RunFailed, start
from unina_runtime.profile.whole_file import read_json, write_json

SCHEMA = 1
COLUMNS = (
    *("run", "variant", "precision", "device", "batch", "gpu_load", "status", "images_per_second"),
    *("p50_ms", "p90_ms", "p95_ms", "p99_ms", "mean_ms", "max_ms", "inferences", "watts", "images_per_joule"),
    *("gpu_percent", "emc_percent", "build_s", "engine_bytes", "tensorrt", "model_sha256", "reason"),
)
WARM_UP_MS = 500
PROFILE_S = 2
SAMPLE_MS = 100
LOAD_HEAD_START_S = 2.0
"""for the load to be on the GPU before anything is timed"""
INSIDE = 0.8
"""Part of the timed seconds, the last, whose watts count: before it trtexec loads and warms up."""


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    network: Network
    trtexec: Path
    tensorrt: TensorRt
    folder: Path
    variants: tuple[Variant, ...]
    batches: tuple[int, ...]
    loads: tuple[bool, ...]
    """without GPU load, with it"""
    seconds: float
    timeout_s: float
    again: bool = False

    def runs(self) -> Iterator["Run"]:
        """In the order in which they are made: the GPU's engine, which the load needs, first."""
        for batch in self.batches:
            for load in self.loads:
                for variant in self.variants:
                    yield Run(variant, batch, load)


@dataclass(frozen=True)
class Run:
    """One row."""

    variant: Variant
    batch: int
    load: bool

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.variant.name}-b{self.batch}{'-loaded' if self.load else ''}"


def measure(
    plan: Plan, tell: Callable[[str], None], row_done: Callable[[list[dict[str, Any]]], None]
) -> list[dict[str, Any]]:
    """Makes every run that is not there; `row_done` is called with all rows so far after each."""
    runs = list(plan.runs())
    rows = {run.name: row for run in runs if (row := None if plan.again else _there(plan, run)) is not None}
    if rows:
        tell(f"{len(rows)} of {len(runs)} runs are there already")
    for run in runs:
        if run.name in rows:
            continue
        rows[run.name] = _row(plan, run)
        tell(f"{run.name}: {_said(rows[run.name])}")
        row_done([rows[one.name] for one in runs if one.name in rows])
    done = [rows[run.name] for run in runs]
    row_done(done)
    return done


def _row(plan: Plan, run: Run) -> dict[str, Any]:
    """Makes one run; a run that fails is a row, too, and is tried again the next time."""
    folder = plan.folder / run.name
    folder.mkdir(parents=True, exist_ok=True)
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"run": run.name, "variant": run.variant.name, "precision": run.variant.precision, "batch": run.batch}
    row |= {"device": "+".join(f"dla{core}" for core in run.variant.cores) or "gpu", "gpu_load": run.load}
    row |= {"tensorrt": str(plan.tensorrt), "model_sha256": plan.network.sha256, "status": "failed", "reason": ""}
    try:
        engine, build_s = _engine(plan, run.variant, run.batch)
        row |= {"build_s": build_s, "engine_bytes": engine.stat().st_size}
        row |= _timed(plan, run, engine, folder) | {"status": "ok"}
    except (RunFailed, CannotSay) as error:
        row["reason"] = str(error)
        return row
    write_json(folder / "result.json", {"schema": SCHEMA, "of": _fingerprint(plan, run), "row": row})
    return row


def _engine(plan: Plan, variant: Variant, batch: int) -> tuple[Path, float]:
    """The engine of a variant and batch, built unless it is there. Raises RunFailed, CannotSay."""
    cache = plan.network.cache(plan.tensorrt) if variant.precision == "int8" else None
    flags = list(plan.network.build_flags(variant, plan.tensorrt, cache is not None))
    folder = plan.folder / "engines" / f"{variant.engine}-b{batch}"
    folder.mkdir(parents=True, exist_ok=True)
    engine, built = folder / "engine", folder / "built.json"
    key = _digest([plan.network.sha256, str(plan.tensorrt), str(batch), *flags])
    if not plan.again and built.exists() and engine.exists():
        told = _read_own(built)
        if told.get("of") == key and told.get("bytes") == engine.stat().st_size:
            return engine, float(told["seconds"])
    built.unlink(missing_ok=True)
    (folder / "model.onnx").write_bytes(plan.network.model(batch, plan.tensorrt, variant.precision))
    if cache is not None:
        (folder / "calibration.cache").write_bytes(cache)
    shared, own = plan.folder / "timing.cache", folder / "timing.cache"
    own.unlink(missing_ok=True)
    if shared.exists():  # a copy: what a crash leaves of it is never the one that all share
        shutil.copyfile(shared, own)
    files = ["--onnx=model.onnx", "--saveEngine=engine.new", "--timingCacheFile=timing.cache", "--skipInference"]
    call = start(plan.trtexec, [*files, *flags], folder, "build.log")
    try:
        call.finish(plan.timeout_s)
    finally:
        call.kill()
    made = folder / "engine.new"
    if not made.is_file() or made.stat().st_size == 0:
        raise RunFailed("exit code 0, but it wrote no engine")
    seconds = time.monotonic() - call.began
    made.replace(engine)
    write_json(built, {"of": key, "bytes": engine.stat().st_size, "seconds": round(seconds, 2)})
    if own.exists():
        own.replace(shared)
    return engine, round(seconds, 2)


def _timed(plan: Plan, run: Run, engine: Path, folder: Path) -> dict[str, Any]:
    """The figures. Raises RunFailed, CannotSay."""
    load: Call | None = None
    calls: list[Call] = []
    sampler = _sampler()
    try:
        if run.load:
            load = _start_load(plan, folder)
        if sampler is not None:
            sampler.start()
        for core in run.variant.cores or (None,):
            calls.append(_start_timing(plan, core, engine, folder))
        for call in calls:
            call.finish(plan.seconds + plan.timeout_s)
        end = time.monotonic()
        if load is not None and load.process.poll() is not None:
            raise RunFailed("the load on the GPU ended before the run did; its log is load.log")
        if sampler is not None:
            sampler.stop()
    finally:
        for call in (*calls, *([load] if load is not None else [])):
            call.kill()
        if sampler is not None:
            sampler.stop()
    told = [read_latencies(folder / f"times{_suffix(core)}.json") for core in run.variant.cores or (None,)]
    row = _figures(told, run.batch) | _power(sampler, end - INSIDE * plan.seconds, end)
    if row.get("watts"):
        row["images_per_joule"] = row["images_per_second"] / row["watts"]
    _profile(plan, run, engine, folder)
    return row


def _start_load(plan: Plan, folder: Path) -> Call:
    variant = VARIANTS["gpu-int8" if plan.tensorrt.strongly_typed else "gpu-fp16"]
    engine, _ = _engine(plan, variant, plan.batches[0])
    arguments = [f"--loadEngine={engine.resolve()}", "--duration=1000000", "--noDataTransfers"]
    load = start(plan.trtexec, arguments, folder, "load.log")
    try:
        time.sleep(LOAD_HEAD_START_S)
        if load.process.poll() is not None:
            raise RunFailed("the load on the GPU ended at once; its log is load.log")
    except BaseException:
        load.kill()
        raise
    return load


def _start_timing(plan: Plan, core: int | None, engine: Path, folder: Path) -> Call:
    times = folder / f"times{_suffix(core)}.json"
    times.unlink(missing_ok=True)
    arguments = [f"--loadEngine={engine.resolve()}", *_on(core), f"--exportTimes={times.name}"]
    arguments += [f"--duration={plan.seconds:g}", f"--warmUp={WARM_UP_MS}", "--noDataTransfers", "--useSpinWait"]
    return start(plan.trtexec, arguments, folder, f"times{_suffix(core)}.log")


def _profile(plan: Plan, run: Run, engine: Path, folder: Path) -> None:
    """Layer by layer, in a call of its own, since looking costs time; without it the row is whole, too."""
    core = run.variant.cores[0] if run.variant.cores else None
    arguments = [f"--loadEngine={engine.resolve()}", *_on(core), "--exportProfile=profile.json", "--separateProfileRun"]
    call = start(plan.trtexec, [*arguments, f"--duration={PROFILE_S}", "--noDataTransfers"], folder, "profile.log")
    try:
        call.finish(plan.timeout_s)
    except RunFailed:
        (folder / "profile.json").unlink(missing_ok=True)
    finally:
        call.kill()


def _on(core: int | None) -> list[str]:
    return [] if core is None else [f"--useDLACore={core}"]


def _suffix(core: int | None) -> str:
    return "" if core is None else f"-{core}"


def _figures(told: Sequence[Latencies], batch: int) -> dict[str, Any]:
    """Of both cores together: speeds add up, times are those of either."""
    samples = np.concatenate([one.stages[one.main].samples_ms for one in told])
    speed = sum((one.images_per_second or 0.0) * batch for one in told)
    levels = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99}
    row: dict[str, Any] = {name: float(np.quantile(samples, level)) for name, level in levels.items()}
    row |= {"mean_ms": float(samples.mean()), "max_ms": float(samples.max()), "inferences": len(samples)}
    return row | {"images_per_second": speed}


def _sampler() -> Tegrastats | None:
    program = find_tegrastats()
    return None if program is None else Tegrastats(program, SAMPLE_MS)


def _power(sampler: Tegrastats | None, begin: float, end: float) -> dict[str, Any]:
    if sampler is None:
        return {}
    told = [(at - begin, parse_line(line)) for at, line in sampler.lines if begin <= at <= end]
    samples = [(at, sample) for at, sample in told if not sample.empty]
    if not samples:
        return {}
    series = within(series_of([sample for _, sample in samples], [at for at, _ in samples]), end - begin)
    power = total_watts(series)
    row: dict[str, Any] = {} if power is None else {"watts": float(np.nanmean(power[1]))}
    return row | {name: value for name, value in _loads(series)}


def _loads(series: Series) -> Iterator[tuple[str, float]]:
    for column, name in (("gpu_percent", "GR3D_FREQ"), ("emc_percent", "EMC_FREQ")):
        values = series.of("load").get(name)
        if values is not None:
            yield column, float(np.nanmean(values))


def _there(plan: Plan, run: Run) -> dict[str, Any] | None:
    """The row of an earlier call, if it is of the same."""
    told = _read_own(plan.folder / run.name / "result.json")
    if told.get("schema") != SCHEMA or told.get("of") != _fingerprint(plan, run):
        return None
    row = told.get("row")
    return row if isinstance(row, dict) and set(row) == set(COLUMNS) else None


def _fingerprint(plan: Plan, run: Run) -> str:
    calibrated = plan.network.calibration is not None and not plan.tensorrt.strongly_typed
    try:
        flags = list(plan.network.build_flags(run.variant, plan.tensorrt, calibrated))
    except CannotSay as error:
        flags = [str(error)]
    sampled = "tegrastats" if find_tegrastats() else ""
    return _digest([plan.network.sha256, str(plan.tensorrt), run.name, f"{plan.seconds:g}", sampled, *flags])


def _read_own(path: Path) -> dict[str, Any]:
    """What a cut of power may have left is as if it were not there."""
    try:
        told = read_json(path)
    except CannotSay:
        return {}
    return told if isinstance(told, dict) else {}


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()


def _said(row: dict[str, Any]) -> str:
    if row["status"] != "ok":
        return f"failed: {row['reason']}"
    watts = "" if row["watts"] is None else f", {row['watts']:.1f} W"
    return f"{row['images_per_second']:.1f} images/s, p50 {row['p50_ms']:.3f} ms, p99 {row['p99_ms']:.3f} ms{watts}"
