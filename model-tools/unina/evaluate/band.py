"""The band: lowest and highest accuracy over the modes of arithmetic that the DLA's documents leave open."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unina.evaluate.precision_recall import OperatingPoint
from unina.evaluate.summary import Summary

CAVEAT = (
    "The modes differ in what NVIDIA's documents leave open. None is bit-exact with silicon, and the DLA itself may "
    "lie outside the band."
)


@dataclass(frozen=True)
class BandRow:
    """One figure under every mode."""

    name: str
    low: float | None
    """None: undefined in some mode"""
    high: float | None
    values: tuple[float | None, ...]
    """in the order of `Band.modes`"""


@dataclass(frozen=True)
class Band:
    """Figures of one stage under several modes."""

    stage: str
    modes: tuple[str, ...]
    rows: tuple[BandRow, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain Python values."""
        rows = {
            row.name: {"low": row.low, "high": row.high, "values": dict(zip(self.modes, row.values, strict=True))}
            for row in self.rows
        }
        return {"stage": self.stage, "modes": list(self.modes), "figures": rows, "caveat": CAVEAT}


def band(stage: str, summaries: Mapping[str, Summary]) -> Band:
    """The band of a stage from the summaries of its modes, by the modes' names. Raises ValueError without any."""
    if not summaries:
        raise ValueError("a band needs the summary of one mode at least")
    figures = [_figures(summary) for summary in summaries.values()]
    rows = []
    for name in figures[0]:
        values = tuple(None if (value := one[name]) is None or math.isnan(value) else value for one in figures)
        known = [value for value in values if value is not None]
        whole = len(known) == len(values)
        rows.append(BandRow(name, min(known) if whole else None, max(known) if whole else None, values))
    return Band(stage, tuple(summaries), tuple(rows))


def _figures(summary: Summary) -> dict[str, float | None]:
    found: dict[str, float | None] = {"mAP50": summary.map50, "mAP50-95": summary.map50_95}
    found |= {f"AP50 {name}": value for name, value in summary.ap50.items()}
    found |= _point("at the recommended scores", summary.operating["all"])
    if summary.operating_manifest is not None:
        found |= _point("at the manifest's scores", summary.operating_manifest)
    return found


def _point(where: str, point: OperatingPoint) -> dict[str, float | None]:
    return {f"precision {where}": point.precision, f"recall {where}": point.recall, f"F1 {where}": point.f1}
