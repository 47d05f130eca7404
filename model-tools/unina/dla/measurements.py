"""Times that a user measured on a Jetson, one a row of CSV (docs/estimator.md, Your own measurements)."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from unina.dla.estimate import BYTES, Precision
from unina.dla.platforms import PLATFORMS, PowerMode
from unina.dla.rules.general import MAX_BATCH

COLUMNS = (
    *("model", "layer", "platform", "power_mode", "clock_mhz", "emc_mhz"),
    *("batch", "precision", "sparse", "value", "unit"),
)
NEEDED = ("model", "value", "unit")
UNITS = ("ms", "us", "cycles")
CLOCKS_MHZ = (10.0, 10_000.0)
"""Any clock of a DLA or of a memory; what lies outside is a mistake in the unit."""
YES_NO = {"yes": True, "no": False, "": False}


class MeasurementError(ValueError):
    """A row that can't be used: file:line: column: value: what to do."""


@dataclass(frozen=True)
class Measurement:
    """One measured time."""

    where: str
    """file:line"""
    model: Path
    layer: str
    """name as the profiler gives it; "" for the whole network"""
    mode: PowerMode
    batch: int
    precision: Precision
    sparse: bool
    ms: float
    """of one image"""


def read_measurements(path: Path) -> tuple[Measurement, ...]:
    """All rows; paths of models are relative to the file.

    Raises:
        MeasurementError: a column, a row or a value that can't be used, or no row at all.
        OSError: not readable.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            names = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            for name in names:
                if name not in COLUMNS:
                    raise MeasurementError(f"{path}:1: {name}: no such column; they are {', '.join(COLUMNS)}")
                if names.count(name) > 1:
                    raise MeasurementError(f"{path}:1: {name}: the column is there twice; leave one of them out")
            for name in NEEDED:
                if name not in names:
                    raise MeasurementError(f"{path}:1: {name}: the column is missing; add it to the header")
            rows = [(f"{path}:{reader.line_num}", _clean(row, f"{path}:{reader.line_num}")) for row in reader]
    except (csv.Error, UnicodeDecodeError) as error:
        raise MeasurementError(f"{path}: not CSV: {error}") from error
    found = tuple(_measurement(where, row, path.parent) for where, row in rows if any(row.values()))
    if not found:
        raise MeasurementError(f"{path}:2: no rows: write one measurement a line under the header")
    return found


def _clean(row: Mapping[str | None, str | list[str] | None], where: str) -> dict[str, str]:
    if None in row:
        raise MeasurementError(f"{where}: {row[None]}: more values than columns: put a name with a comma into quotes")
    return {str(name): str(value or "").strip() for name, value in row.items()}


def _measurement(where: str, row: Mapping[str, str], folder: Path) -> Measurement:
    model = folder / row["model"]
    if not row["model"] or not model.exists():
        raise MeasurementError(f"{where}: model: {row['model']}: no such file; paths are relative to the CSV")
    precision = row.get("precision") or "int8"
    if precision not in BYTES:
        raise MeasurementError(f"{where}: precision: {precision}: must be int8 or fp16")
    sparse = YES_NO.get(row.get("sparse", "").lower())
    if sparse is None:
        raise MeasurementError(f"{where}: sparse: {row['sparse']}: must be yes or no")
    batch = row.get("batch") or "1"
    if not batch.isdecimal() or len(batch) > len(str(MAX_BATCH)) or not 1 <= int(batch) <= MAX_BATCH:
        raise MeasurementError(f"{where}: batch: {batch}: must be a whole number from 1 to {MAX_BATCH}")
    mode, unit = _mode(where, row), row["unit"]
    if unit not in UNITS:
        raise MeasurementError(f"{where}: unit: {unit}: must be one of {', '.join(UNITS)}")
    value = _number(where, row, "value")
    ms = {"ms": value, "us": value / 1e3, "cycles": value / mode.clock_mhz / 1e3}[unit] / int(batch)
    return Measurement(where, model, row.get("layer", ""), mode, int(batch), _PRECISIONS[precision], sparse, ms)


_PRECISIONS: dict[str, Precision] = {name: name for name in BYTES}


def _mode(where: str, row: Mapping[str, str]) -> PowerMode:
    """A named power mode, its clocks replaced by those that the row gives; without a name both clocks are needed."""
    platform = row.get("platform") or "agx-orin-64gb"
    if platform not in PLATFORMS:
        raise MeasurementError(f"{where}: platform: {platform}: must be one of {', '.join(PLATFORMS)}")
    clocks = {name: _clock(where, row, name) for name in ("clock_mhz", "emc_mhz") if row.get(name)}
    name = row.get("power_mode")
    if not name:
        if len(clocks) < 2:
            raise MeasurementError(f"{where}: power_mode: none: name one, or give both clock_mhz and emc_mhz")
        clock, emc = clocks["clock_mhz"], clocks["emc_mhz"]
        return PowerMode(f"{clock:g}/{emc:g} MHz", clock, emc)
    try:
        known = PLATFORMS[platform].mode(name)
    except ValueError as error:
        raise MeasurementError(f"{where}: power_mode: {name}: {error}") from error
    return PowerMode(known.name, clocks.get("clock_mhz", known.clock_mhz), clocks.get("emc_mhz", known.emc_mhz))


def _clock(where: str, row: Mapping[str, str], column: str) -> float:
    clock, (low, high) = _number(where, row, column), CLOCKS_MHZ
    if not low <= clock <= high:
        raise MeasurementError(f"{where}: {column}: {row[column]}: must be {low:g} to {high:g}, in MHz")
    return clock


def _number(where: str, row: Mapping[str, str], column: str) -> float:
    try:
        value = float(row[column])
    except ValueError:
        value = 0.0
    if not isfinite(value) or value <= 0:
        raise MeasurementError(f"{where}: {column}: {row[column]}: must be a number above zero")
    return value
