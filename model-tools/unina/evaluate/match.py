"""Which detection finds which labelled box, at IoU 0.5 and by COCO's rule.

The rule, class by class: in the order of falling score a detection takes the free labelled box with which its IoU is
largest, if that reaches 0.5. One that takes none is ignored where half of it or more lies in an ignored region
(COCO's `iscrowd`), and false otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unina.evaluate.classes import Truth
from unina_runtime import Detections

MATCH_IOU = 0.5
FALSE, IGNORED = -1, -2
"""Instead of the labelled box that a detection takes."""

Floats = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Reals = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Columns = tuple[Ints, Ints, Ints, Reals, Ints, Bools]
"""picture, row, label, score, target and duplicate of some detections"""


@dataclass(frozen=True, eq=False)
class Matches:
    """All detections of a split, by falling score over all pictures and classes, and all its labelled boxes."""

    names: tuple[str, ...]
    pictures: int
    picture: Ints
    """D: index of the picture"""
    row: Ints
    """D: index within the detections of that picture"""
    label: Ints
    """D: class"""
    score: Reals
    """D"""
    target: Ints
    """D: the labelled box that it takes, FALSE or IGNORED"""
    duplicate: Bools
    """D: false, on a labelled box of its class that a higher score has taken"""
    truth_picture: Ints
    """T"""
    truth_label: Ints
    """T"""
    truth_height: Reals
    """T: pixels"""
    truth_score: Reals
    """T: of the detection that takes it; −1 when none does"""

    @property
    def hit(self) -> Bools:
        """D: takes a labelled box."""
        result: Bools = self.target >= 0
        return result

    @property
    def false(self) -> Bools:
        """D: takes none and is not ignored."""
        result: Bools = self.target == FALSE
        return result

    @property
    def labelled(self) -> tuple[int, ...]:
        """Classes that have a labelled box."""
        return tuple(int(label) for label in np.unique(self.truth_label))


def iou_matrix(boxes: Floats, others: Floats) -> Reals:
    """N×4 and M×4 (x0, y0, x1, y1) → N×M; 0 where both are empty."""
    shared = _intersections(boxes, others)
    union = _areas(boxes)[:, None] + _areas(others)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def covered(boxes: Floats, regions: Floats) -> Reals:
    """N: the largest share of each box that lies in one of the M×4 regions."""
    if len(regions) == 0 or len(boxes) == 0:
        return np.zeros(len(boxes))
    shared, areas = _intersections(boxes, regions), _areas(boxes)[:, None]
    shares: Reals = np.divide(shared, areas, out=np.zeros_like(shared), where=areas > 0).max(axis=1)
    return shares


def match_boxes(boxes: Floats, truth: Floats, ignored: Floats) -> tuple[Ints, Bools]:
    """One class of one picture.

    Args:
        boxes: N×4 by falling score.
        truth: M×4.
        ignored: K×4.

    Returns:
        N: the index of the labelled box taken, FALSE or IGNORED. N: whether it is a duplicate.
    """
    overlaps = iou_matrix(boxes, truth)
    near = overlaps >= MATCH_IOU
    free = np.ones(len(truth), bool)
    target = np.where(covered(boxes, ignored) >= MATCH_IOU, IGNORED, FALSE)
    for index in np.flatnonzero(near.any(axis=1)):  # the others take nothing
        candidates = np.flatnonzero(free & near[index])
        if len(candidates):
            values = overlaps[index, candidates]
            best = candidates[len(values) - 1 - int(np.argmax(values[::-1]))]  # of equals the last, as COCO does
            target[index], free[best] = best, False
    return target, near.any(axis=1) & (target == FALSE)


def match(
    truths: Sequence[Truth],
    detections: Sequence[Detections],
    names: Sequence[str],
    input_size: tuple[int, int] | None = None,
    *,
    any_class: bool = False,
) -> Matches:
    """Matches a split.

    Args:
        truths: labels of each picture, in scored classes.
        detections: of each picture, in scored classes.
        names: of the scored classes.
        input_size: rows and columns of the network's input, in whose pixels heights are given; None: the pictures'.
        any_class: a cone found as another class counts as found; there is one class then.
    """
    columns: list[Columns] = []
    offset = 0
    for picture, (truth, found) in enumerate(zip(truths, detections, strict=True)):
        labels = np.zeros(len(found), np.int64) if any_class else found.classes.astype(np.int64)
        own = np.zeros(len(truth.classes), np.int64) if any_class else truth.classes
        order = np.argsort(-found.scores, kind="stable")
        for label in np.unique(labels):
            rows = order[labels[order] == label]
            places = np.flatnonzero(own == label)
            target, duplicate = match_boxes(found.boxes[rows], truth.boxes[places], truth.ignored)
            taken = target >= 0
            target[taken] = places[target[taken]] + offset
            scores = found.scores[rows].astype(np.float64)
            count = len(rows)
            columns.append((np.full(count, picture), rows, np.full(count, label), scores, target, duplicate))
        offset += len(truth.classes)
    return _pooled(columns, truths, names, input_size, any_class)


def _pooled(
    columns: Sequence[Columns],
    truths: Sequence[Truth],
    names: Sequence[str],
    input_size: tuple[int, int] | None,
    any_class: bool,
) -> Matches:
    none = np.zeros(0, np.int64)
    empty = (none, none, none, np.zeros(0), none, np.zeros(0, bool))
    picture, row, label, score, target, duplicate = (
        np.concatenate(parts) for parts in zip(empty, *columns, strict=True)
    )
    order = np.argsort(-score, kind="stable")
    truth_label = np.concatenate([none, *(truth.classes for truth in truths)])
    truth_score = np.full(len(truth_label), -1.0)
    truth_score[target[target >= 0]] = score[target >= 0]
    return Matches(
        names=("any",) if any_class else tuple(names),
        pictures=len(truths),
        picture=picture[order],
        row=row[order],
        label=label[order],
        score=score[order],
        target=target[order],
        duplicate=duplicate[order],
        truth_picture=np.repeat(np.arange(len(truths)), [len(truth.classes) for truth in truths]),
        truth_label=np.zeros_like(truth_label) if any_class else truth_label,
        truth_height=np.concatenate([np.zeros(0), *(truth.heights(input_size) for truth in truths)]),
        truth_score=truth_score,
    )


def _intersections(boxes: Floats, others: Floats) -> Reals:
    """N×M shared areas, in double precision."""
    a, b = boxes.astype(np.float64)[:, None], others.astype(np.float64)[None]
    sides = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None)
    result: Reals = sides[..., 0] * sides[..., 1]
    return result


def _areas(boxes: Floats) -> Reals:
    sides = boxes[:, 2:].astype(np.float64) - boxes[:, :2]
    result: Reals = sides[:, 0] * sides[:, 1]
    return result
