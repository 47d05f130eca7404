"""All that `unina-eval` says about the detections of one stage on one split (docs/evaluation.md)."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from unina.data import Sample
from unina.evaluate.bootstrap import map50_interval
from unina.evaluate.classes import ClassMap, Truth
from unina.evaluate.match import Matches, match
from unina.evaluate.nms import class_wise_nms
from unina.evaluate.precision_recall import (
    OperatingPoint,
    RateRecall,
    mean_average_precision,
    operating_point,
    recall_at_rate,
)
from unina.evaluate.score import HEIGHTS, coco_scores
from unina.evaluate.thresholds import recommended
from unina_runtime import Detections

RATES = (0.1, 0.5, 1.0)
"""False positives a picture at which recall is reported."""
NEGATIVE_RATE = 0.1
"""False positives a cone-free picture at which recall is reported."""
DEFAULT_THRESHOLD = 0.3
"""Of a class for which the split recommends none."""


@dataclass(frozen=True, eq=False)
class Scored:
    """A split's detections beside its labels, in scored classes."""

    names: tuple[str, ...]
    pictures: tuple[Path, ...]
    truths: tuple[Truth, ...]
    detections: tuple[Detections, ...]
    negatives: tuple[Detections, ...] = ()
    """of cone-free pictures beside the split"""
    input_size: tuple[int, int] | None = None
    """rows and columns of the network's input; None: unknown, heights are then the picture's pixels"""

    @classmethod
    def of(
        cls,
        classes: ClassMap,
        samples: Sequence[Sample],
        detections: Sequence[Detections],
        input_size: tuple[int, int] | None = None,
        negatives: Sequence[Detections] = (),
    ) -> "Scored":
        """From samples and detections in classes of the data set and of the model."""
        return cls(
            classes.names,
            tuple(sample.image for sample in samples),
            tuple(classes.truth(sample) for sample in samples),
            tuple(classes.scored(found) for found in detections),
            tuple(classes.scored(found) for found in negatives),
            input_size,
        )

    def matches(self, *, any_class: bool = False) -> Matches:
        """At IoU 0.5."""
        return match(self.truths, self.detections, self.names, self.input_size, any_class=any_class)

    def chosen(self, indices: Sequence[int]) -> "Scored":
        """Some of the pictures."""
        return replace(
            self,
            pictures=tuple(self.pictures[i] for i in indices),
            truths=tuple(self.truths[i] for i in indices),
            detections=tuple(self.detections[i] for i in indices),
        )

    def changed(self, change: Callable[[Detections], Detections]) -> "Scored":
        """With other detections."""
        return replace(self, detections=tuple(change(found) for found in self.detections))


@dataclass(frozen=True)
class HeightRow:
    """Boxes of one range of height."""

    range: str
    """in pixels of the network's input"""
    boxes: int
    ap50: float | None
    """mean over the classes"""
    recall: float | None
    """at the recommended thresholds"""
    recall_lowest: float | None
    """of all detections, whatever their score"""


@dataclass(frozen=True)
class GroupRow:
    """Pictures whose file names are of a kind."""

    name: str
    images: int
    boxes: int
    map50: float | None


@dataclass(frozen=True)
class NmsEffect:
    """The same detections after class-wise NMS."""

    iou: float
    map50: float
    difference: float
    """of mAP50, with NMS minus without"""
    f1: float
    """at the recommended thresholds, without NMS"""
    f1_nms: float
    duplicates_per_image: float
    """without NMS, at the recommended thresholds: false ones on a cone that a higher score has found"""


@dataclass(frozen=True)
class NegativeRow:
    """Detections in cone-free pictures: each is false."""

    images: int
    false_per_image: float
    """at the recommended thresholds"""
    at_rate: RateRecall
    """recall in the labelled pictures at the threshold where the cone-free ones hold so many false positives"""
    at_rate_any_class: RateRecall
    """the same, where a cone found as another class counts as found"""


@dataclass(frozen=True)
class Summary:
    """Accuracy of one stage on one split; fractions, not percent."""

    input: tuple[int, int] | None
    map50: float
    map50_low: float
    map50_high: float
    """ends of the 95 % interval, by bootstrap over the pictures"""
    map50_95: float
    ap50: dict[str, float]
    ap50_95: dict[str, float]
    images: int
    boxes: int
    thresholds: dict[str, float]
    """recommended: where F1 is largest"""
    operating: dict[str, OperatingPoint]
    """at those: each class, and "all" """
    heights: tuple[HeightRow, ...]
    at_rates: tuple[RateRecall, ...]
    at_rates_any_class: tuple[RateRecall, ...]
    negatives: NegativeRow | None
    ignored_boxes: int
    map50_ignored_as_background: float | None
    """when detections in ignored regions count as false; None without such regions"""
    groups: tuple[GroupRow, ...]
    nms: NmsEffect
    map50_with_ignored: float | None = None
    """with the classes of `--ignore` scored as classes"""
    operating_manifest: OperatingPoint | None = None
    """of all classes at the thresholds that a bundle's manifest holds"""

    def to_json(self) -> dict[str, Any]:
        """As plain Python values, NaN as null."""
        result = asdict(self)
        plain: dict[str, Any] = _without_nan(result)
        return plain


def summarise(scored: Scored, *, nms_iou: float = 0.6, groups: str | None = None) -> Summary:
    """Every figure of one stage.

    Args:
        scored: labels and detections.
        nms_iou: of the NMS column.
        groups: a regular expression that groups pictures (`grouped`).

    Raises:
        ValueError: no labelled box.
    """
    matches, any_class = scored.matches(), scored.matches(any_class=True)
    coco = coco_scores(scored.truths, scored.detections, scored.names, scored.input_size)
    thresholds = recommended(matches, DEFAULT_THRESHOLD)
    operating = {scored.names[k]: operating_point(matches, thresholds, k) for k in matches.labelled}
    operating["all"] = operating_point(matches, thresholds)
    low, high = map50_interval(matches)
    ignored = sum(len(truth.ignored) for truth in scored.truths)
    return Summary(
        input=scored.input_size,
        map50=coco.map50,
        map50_low=low,
        map50_high=high,
        map50_95=coco.map50_95,
        ap50=coco.ap50,
        ap50_95=coco.ap50_95,
        images=len(scored.truths),
        boxes=len(matches.truth_label),
        thresholds={scored.names[k]: thresholds[k] for k in matches.labelled},
        operating=operating,
        heights=_heights(matches, thresholds, coco.map50_by_height),
        at_rates=tuple(recall_at_rate(matches, rate) for rate in RATES),
        at_rates_any_class=tuple(recall_at_rate(any_class, rate) for rate in RATES),
        negatives=_negatives(scored, matches, any_class, thresholds),
        ignored_boxes=ignored,
        map50_ignored_as_background=_without_ignoring(scored) if ignored else None,
        groups=group_rows(scored, groups) if groups else (),
        nms=_nms_effect(scored, matches, thresholds, coco.map50, nms_iou),
    )


def grouped(pictures: Sequence[Path], expression: str) -> dict[str, list[int]]:
    """Indices of the pictures of each kind: the expression's first group or, without one, what it finds in the name."""
    pattern = re.compile(expression)
    members: dict[str, list[int]] = {}
    for index, picture in enumerate(pictures):
        found = pattern.search(picture.name)
        name = "other" if found is None else next((text for text in found.groups() if text), found.group())
        members.setdefault(name, []).append(index)
    return dict(sorted(members.items()))


def group_rows(scored: Scored, expression: str) -> tuple[GroupRow, ...]:
    """mAP50 of each kind of picture, by file name."""
    rows = []
    for name, indices in grouped(scored.pictures, expression).items():
        part = scored.chosen(indices)
        boxes = sum(len(truth.classes) for truth in part.truths)
        map50 = coco_scores(part.truths, part.detections, part.names).map50 if boxes else None
        rows.append(GroupRow(name, len(indices), boxes, map50))
    return tuple(rows)


def _heights(matches: Matches, thresholds: Sequence[float], ap50: Sequence[float]) -> tuple[HeightRow, ...]:
    limits = np.asarray(thresholds)[matches.truth_label]
    rows = []
    for (low, high), ap in zip(HEIGHTS, ap50, strict=True):
        mine = (matches.truth_height >= low) & (matches.truth_height < high)
        name = f"<{high:.0f}" if low == 0 else f">{low:.0f}" if high >= 1e4 else f"{low:.0f}–{high:.0f}"
        recalls = (
            (float((matches.truth_score >= limits)[mine].mean()), float((matches.truth_score >= 0)[mine].mean()))
            if mine.any()
            else (None, None)
        )
        rows.append(HeightRow(name, int(mine.sum()), None if math.isnan(ap) else ap, *recalls))
    return tuple(rows)


def _negatives(scored: Scored, matches: Matches, any_class: Matches, thresholds: Sequence[float]) -> NegativeRow | None:
    """From the cone-free pictures beside the split and those in it; None without any."""
    inside = [
        found
        for truth, found in zip(scored.truths, scored.detections, strict=True)
        if not len(truth.classes) and not len(truth.ignored)
    ]
    pictures = [*inside, *scored.negatives]
    if not pictures:
        return None
    limits = np.asarray(thresholds)
    false = sum(int((found.scores >= limits[found.classes]).sum()) for found in pictures)
    scores = np.concatenate([found.scores for found in pictures]).astype(np.float64)
    return NegativeRow(
        len(pictures),
        false / len(pictures),
        recall_at_rate(matches, NEGATIVE_RATE, scores, len(pictures)),
        recall_at_rate(any_class, NEGATIVE_RATE, scores, len(pictures)),
    )


def _without_ignoring(scored: Scored) -> float:
    none = np.zeros((0, 4), np.float32)
    truths = [replace(truth, ignored=none) for truth in scored.truths]
    return coco_scores(truths, scored.detections, scored.names).map50


def _nms_effect(scored: Scored, matches: Matches, thresholds: Sequence[float], map50: float, iou: float) -> NmsEffect:
    after = scored.changed(lambda found: class_wise_nms(found, iou)).matches()
    kept = matches.score >= np.asarray(thresholds)[matches.label]
    map50_nms = mean_average_precision(after)
    return NmsEffect(
        iou=iou,
        map50=map50_nms,
        difference=map50_nms - map50,
        f1=operating_point(matches, thresholds).f1,
        f1_nms=operating_point(after, thresholds).f1,
        duplicates_per_image=float((matches.duplicate & kept).sum() / max(matches.pictures, 1)),
    )


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
