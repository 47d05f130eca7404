"""Samples over time: one column a quantity, NaN where a line does not tell it."""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from unina_runtime.profile.tegrastats import Load, Sample, parse_line

Floats = npt.NDArray[np.float64]
LONGEST_GAP = 20.0
"""Times the usual distance of two lines; a clock that jumps further was set, and the time between is not known."""
INTERVAL_S = 1.0
"""tegrastats' own, where nothing says another"""


@dataclass(frozen=True)
class Series:
    """What a log tells."""

    seconds: Floats
    """N, since the first line or since the command was started"""
    columns: dict[str, Floats]
    """N each: `memory.RAM` (MiB), `total.RAM`, `cpu` (% of all cores, those that are off count as idle), `cpu.mhz`,
    `load.GR3D_FREQ` (%), `mhz.GR3D_FREQ`, `celsius.tj`, `rail.VDD_IN` (mW)"""
    unknown: dict[str, str]
    """fields of no known form, with their first text"""
    skipped: int
    """lines that are none of tegrastats'"""

    def of(self, kind: str) -> dict[str, Floats]:
        """The columns of a kind, by what follows the point."""
        return {name[len(kind) + 1 :]: values for name, values in self.columns.items() if name.startswith(f"{kind}.")}

    @property
    def span_s(self) -> float:
        """From the first sample to the end of the last."""
        if len(self.seconds) == 0:
            return 0.0
        return float(self.seconds[-1] - self.seconds[0]) + step_s(self.seconds)


def read_lines(lines: Sequence[str], interval_s: float = INTERVAL_S) -> Series:
    """A log: its own stamps say when, or, where it has none, `interval_s` from line to line."""
    samples = [sample for sample in map(parse_line, lines) if not sample.empty]
    skipped = sum(1 for line in lines if line.strip()) - len(samples)
    return series_of(samples, stamped_seconds([sample.when for sample in samples], interval_s), max(0, skipped))


def series_of(samples: Sequence[Sample], seconds: Sequence[float], skipped: int = 0) -> Series:
    """`seconds`: one a sample, not falling."""
    columns: dict[str, Floats] = {}
    unknown: dict[str, str] = {}
    for index, sample in enumerate(samples):
        for name, value in _told(sample):
            if name not in columns:
                columns[name] = np.full(len(samples), np.nan)
            columns[name][index] = value
        for name, text in sample.unknown.items():
            unknown.setdefault(name, text)
    return Series(np.asarray(seconds, np.float64), columns, unknown, skipped)


def stamped_seconds(stamps: Sequence[datetime | None], interval_s: float) -> list[float]:
    """Seconds since the first stamp. Lines of one second share it evenly; a clock that was set is bridged."""
    if any(stamp is None for stamp in stamps):
        return [index * interval_s for index in range(len(stamps))]
    runs: list[tuple[float, int]] = []  # a stamp, seconds after the first one, and how many lines have it
    first = next((stamp for stamp in stamps if stamp is not None), None)
    for stamp in stamps:
        if stamp is None or first is None:
            continue
        second = (stamp - first) / timedelta(seconds=1)
        if runs and runs[-1][0] == second:
            runs[-1] = (second, runs[-1][1] + 1)
        else:
            runs.append((second, 1))
    steps = [after - before for (before, _), (after, _) in itertools.pairwise(runs)]
    usual = statistics.median(steps) if steps else interval_s
    usual = usual if usual > 0 else interval_s
    seconds, begin = [], 0.0
    for index, (_, count) in enumerate(runs):
        step = steps[index] if index < len(steps) else usual
        if not 0 < step <= LONGEST_GAP * usual:
            step = usual
        seconds += [begin + place * min(step, usual) / count for place in range(count)]
        begin += step
    return seconds


def step_s(seconds: Floats) -> float:
    """The usual distance of two samples."""
    return float(np.median(np.diff(seconds))) if len(seconds) > 1 else INTERVAL_S


def _told(sample: Sample) -> list[tuple[str, float]]:
    told: list[tuple[str, float]] = []
    for name, memory in sample.memory.items():
        told += [(f"memory.{name}", memory.used_mib), (f"total.{name}", memory.total_mib)]
    if sample.cpu:
        told.append(("cpu", sum((core.percent or 0.0) if core else 0.0 for core in sample.cpu) / len(sample.cpu)))
        clocks = [core.mhz[0] for core in sample.cpu if core and core.mhz]
        if clocks:
            told.append(("cpu.mhz", max(clocks)))
    for name, load in sample.engines.items():
        told += _engine(name, load)
    told += [(f"celsius.{name}", value) for name, value in sample.celsius.items() if value is not None]
    return told + [(f"rail.{name}", rail.now_mw) for name, rail in sample.rails.items()]


def _engine(name: str, load: Load | None) -> list[tuple[str, float]]:
    """An engine that is off does nothing, at no clock."""
    if load is None:
        return [(f"load.{name}", 0.0), (f"mhz.{name}", 0.0)]
    told = [] if load.percent is None else [(f"load.{name}", load.percent)]
    return told + ([(f"mhz.{name}", max(load.mhz))] if load.mhz else [])
