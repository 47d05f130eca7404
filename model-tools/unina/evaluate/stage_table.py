"""One row a stage, each beside the stage before it: where accuracy is lost on the way from torch to the integers."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from unina.evaluate.agreement import BoxAgreement, box_agreement
from unina.evaluate.figures import fraction
from unina.evaluate.map_difference import MapDifference, worst
from unina_runtime import Detections

HEADS = ("stage", "mAP50", "mAP50-95", "points", "max |Δ|", "of largest", "dB", "worst map", "boxes kept, %")
"""Of the columns of `StageRow.cells`."""
CAPTION = (
    "Each stage beside the one before it, modes of host and devices beside the one before them all. points: of "
    "mAP50-95 gained. max |Δ|, its share of the largest value, dB: the raw maps, of the output that differs most for "
    "its size; beside integers, within what they can hold. boxes kept: those of the stage before that this one has too "
    "⇄ the other way round; same class, IoU ≥ 0.9."
)


class Accuracy(Protocol):
    """What a row says of a stage by itself."""

    @property
    def map50(self) -> float:
        """0 to 1."""

    @property
    def map50_95(self) -> float:
        """0 to 1."""


@dataclass(frozen=True)
class StageRow:
    """One stage."""

    stage: str
    map50: float
    map50_95: float
    beside: str | None = None
    """the stage that it is compared with; None: the first"""
    points: float | None = None
    """of mAP50-95, this stage minus that one, times 100"""
    maps: tuple[MapDifference, ...] = ()
    """against that stage, one an output; empty: one of the two has no raw maps"""
    boxes: BoxAgreement | None = None

    def cells(self) -> tuple[str, ...]:
        """As text, in the order of HEADS."""
        figures = (fraction(self.map50), fraction(self.map50_95), "" if self.points is None else f"{self.points:+.1f}")
        return (self.stage, *figures, *self._map_cells(), self._kept())

    def _map_cells(self) -> tuple[str, ...]:
        if not self.maps:
            return ("", "", "", "")
        row = worst(self.maps)
        if row.largest_difference == 0:
            return ("0", "0", "equal", "")
        snr = f"{row.snr_db:.1f}" if math.isfinite(row.snr_db) else str(row.snr_db)
        return (f"{row.largest_difference:.1e}", f"{row.relative:.1e}", snr, row.output)

    def _kept(self) -> str:
        if self.boxes is None:
            return ""
        both = (self.boxes.kept, self.boxes.found_before)
        return " ⇄ ".join("–" if share is None else f"{100 * share:.1f}" for share in both)

    def to_json(self) -> dict[str, Any] | None:
        """The comparison as plain Python values; None for the first stage."""
        if self.beside is None:
            return None
        result: dict[str, Any] = {"stage": self.beside, "map50_95_points": self.points, "maps": None, "boxes": None}
        if self.maps:
            row = worst(self.maps)
            each = {one.output: one.to_json() for one in self.maps}
            result["maps"] = {"worst": row.output, **row.to_json(), "outputs": each}
        if self.boxes is not None:
            result["boxes"] = {
                "before": self.boxes.boxes_before,
                "here": self.boxes.boxes,
                "kept": self.boxes.kept,
                "found_before": self.boxes.found_before,
            }
        return result


def stage_rows(
    accuracy: Mapping[str, Accuracy],
    detections: Mapping[str, Sequence[Detections]],
    maps: Mapping[str, tuple[MapDifference, ...]],
    compared: Mapping[str, str],
    thresholds: Sequence[float],
) -> tuple[StageRow, ...]:
    """The table, in the order of `accuracy`.

    Args:
        detections: of the same pictures, by stage.
        maps: against the stage beside; may lack stages.
        compared: with which stage each is compared (`beside`).
        thresholds: one a class; boxes are compared above them.
    """
    rows = []
    for stage, own in accuracy.items():
        row = StageRow(stage, own.map50, own.map50_95)
        if stage in compared:
            other = compared[stage]
            row = dataclasses.replace(
                row,
                beside=other,
                points=100 * (own.map50_95 - accuracy[other].map50_95),
                maps=maps.get(stage, ()),
                boxes=box_agreement(detections[other], detections[stage], thresholds),
            )
        rows.append(row)
    return tuple(rows)


def beside(stages: Sequence[str], modes: Sequence[str] = ()) -> dict[str, str]:
    """With which stage each is compared: the one before it.

    `modes` are forms of one stage (of host's arithmetic, or of the device): they are all compared with the last stage
    that is none of them, so that each says what it costs; without such a stage with the first mode.
    """
    result: dict[str, str] = {}
    anchor: str | None = None
    for stage in stages:
        if anchor is not None:
            result[stage] = anchor
        if stage not in modes or anchor is None:
            anchor = stage
    return result
