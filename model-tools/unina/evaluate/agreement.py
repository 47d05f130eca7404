"""Whether two stages find the same boxes: what a car would see of a difference between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unina.evaluate.match import iou_matrix
from unina_runtime import Detections

AGREEMENT_IOU = 0.9


@dataclass(frozen=True)
class BoxAgreement:
    """Shares of boxes with a partner in the other stage: one of the same class with an IoU of 0.9 or more."""

    kept: float | None
    """of the boxes of the stage before; None: it has none"""
    found_before: float | None
    """of the boxes of this stage; None: it has none"""
    boxes_before: int
    boxes: int


def box_agreement(
    before: Sequence[Detections], after: Sequence[Detections], thresholds: Sequence[float]
) -> BoxAgreement:
    """Compares the detections of two stages, picture by picture.

    Args:
        before: detections of a stage, a value a picture.
        after: of the next stage, in the same pictures and classes.
        thresholds: one score a class; detections below it count in neither stage, as they would on the car.
    """
    kept = found = boxes_before = boxes = 0
    for ours, theirs in zip(before, after, strict=True):
        first, second = above(ours, thresholds), above(theirs, thresholds)
        near = iou_matrix(first.boxes, second.boxes) >= AGREEMENT_IOU
        near &= first.classes[:, None] == second.classes[None]
        kept += int(near.any(axis=1).sum())
        found += int(near.any(axis=0).sum())
        boxes_before += len(first)
        boxes += len(second)
    return BoxAgreement(
        kept / boxes_before if boxes_before else None, found / boxes if boxes else None, boxes_before, boxes
    )


def above(found: Detections, thresholds: Sequence[float]) -> Detections:
    """Those that reach the score of their class."""
    kept = found.scores >= np.asarray(thresholds, np.float32)[found.classes]
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept])
