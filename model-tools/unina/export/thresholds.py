"""The score below which a class's detections are dropped on the car: the one that maximises F1 on labelled pictures."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from unina.data import Sample

MATCH_IOU = 0.5
LOWEST, HIGHEST = 0.05, 0.9
"""Bounds of a threshold: outside them the labelled pictures were too few or too easy to trust their optimum."""

Floats = npt.NDArray[np.float32]


class Found(Protocol):
    """Detections of one picture."""

    @property
    def boxes(self) -> Floats: ...

    @property
    def scores(self) -> Floats: ...

    @property
    def classes(self) -> npt.NDArray[np.int32]: ...


def best_thresholds(
    samples: Sequence[Sample], detections: Sequence[Found], classes: int, default: float
) -> tuple[float, ...]:
    """One threshold a class; `default` for a class without labels or without a single right detection.

    A detection is right when its IoU with a labelled box of its class, not yet taken by a higher score, is 0.5 or more.
    """
    return tuple(_best_threshold(samples, detections, label, default) for label in range(classes))


def _best_threshold(samples: Sequence[Sample], detections: Sequence[Found], label: int, default: float) -> float:
    scores: list[float] = []
    right: list[bool] = []
    labelled = 0
    for sample, found in zip(samples, detections, strict=True):
        truth = sample.boxes[sample.classes == label]
        labelled += len(truth)
        mine = found.classes == label
        order = np.argsort(-found.scores[mine], kind="stable")
        scores.extend(found.scores[mine][order].tolist())
        right.extend(_matches(found.boxes[mine][order], truth))
    if labelled == 0 or not any(right):
        return default
    order = np.argsort(-np.array(scores), kind="stable")
    falling, hits = np.array(scores)[order], np.cumsum(np.array(right)[order])
    f1 = 2 * hits / (np.arange(1, len(falling) + 1) + labelled)
    following = np.append(falling[1:], 0.0)
    f1[falling == following] = 0  # a threshold cannot part equal scores
    best = int(np.argmax(f1))
    middle = (falling[best] + following[best]) / 2  # halfway to the next lower score: safe from rounding
    return float(np.clip(middle, LOWEST, HIGHEST))


def _matches(boxes: Floats, truth: Floats) -> list[bool]:
    """For boxes N×4 by falling score: whether each takes a labelled box of M×4 that is still free."""
    free = np.ones(len(truth), bool)
    result = []
    for box in boxes:
        overlaps = np.where(free, _iou(box, truth), 0.0)
        best = int(np.argmax(overlaps)) if len(truth) else -1
        taken = best >= 0 and bool(overlaps[best] >= MATCH_IOU)
        if taken:
            free[best] = False
        result.append(taken)
    return result


def _iou(box: Floats, others: Floats) -> npt.NDArray[np.float64]:
    """Of one x0, y0, x1, y1 with M×4."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    intersection = np.prod(np.clip(high - low, 0, None), axis=1, dtype=np.float64)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1, dtype=np.float64)
    union = areas + float(np.prod(box[2:] - box[:2], dtype=np.float64)) - intersection
    overlap: npt.NDArray[np.float64] = np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)
    return overlap
