"""What is taken for what at the recommended thresholds, picture by picture and as a matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unina.evaluate.match import Floats, Ints, Matches, match_boxes
from unina.evaluate.summary import Scored


@dataclass(frozen=True, eq=False)
class PictureErrors:
    """One picture's detections at the thresholds, beside its labels; rows of its own arrays."""

    picture: int
    hits: Ints
    """detections that take a labelled box of their class"""
    false: Ints
    """detections that take none, ignored ones left out"""
    duplicates: Ints
    """those of the false ones whose cone a higher score has taken"""
    missed: Ints
    """labelled boxes that no detection of their class takes"""
    swaps: tuple[tuple[int, int], ...]
    """false detections and missed boxes that overlap: found as another class"""

    @property
    def errors(self) -> int:
        """Missed and false ones; a swap is both."""
        return len(self.false) + len(self.missed)


def picture_errors(scored: Scored, matches: Matches, thresholds: Sequence[float]) -> list[PictureErrors]:
    """One for each picture, in their order."""
    kept = matches.score >= np.asarray([*thresholds, np.inf])[matches.label]
    limits = np.asarray([*thresholds, np.inf])[matches.truth_label]
    hits, false_ones, again = matches.hit & kept, matches.false & kept, matches.duplicate & kept
    missed_ones = matches.truth_score < limits
    of_picture = _by_picture(matches.picture, matches.pictures)
    own = _by_picture(matches.truth_picture, matches.pictures)
    result = []
    for picture, (truth, found) in enumerate(zip(scored.truths, scored.detections, strict=True)):
        mine = of_picture[picture]
        false = matches.row[mine[false_ones[mine]]]
        missed = np.flatnonzero(missed_ones[own[picture]])
        swaps = _swaps(found.boxes[false], truth.boxes[missed])
        result.append(
            PictureErrors(
                picture,
                matches.row[mine[hits[mine]]],
                false,
                matches.row[mine[again[mine]]],
                missed,
                tuple((int(false[a]), int(missed[b])) for a, b in swaps),
            )
        )
    return result


def confusion_matrix(scored: Scored, errors: Sequence[PictureErrors]) -> Ints:
    """(C+1)×(C+1) counts: rows are labelled classes and then background, columns detected ones and then "missed".

    Hits come first, by the rule of `unina.evaluate.match`; what is left over is paired across classes at IoU 0.5.
    """
    count = len(scored.names)
    matrix = np.zeros((count + 1, count + 1), np.int64)
    for one in errors:
        truth, found = scored.truths[one.picture].classes, scored.detections[one.picture].classes
        np.add.at(matrix, (found[one.hits], found[one.hits]), 1)
        swapped_found = [a for a, _ in one.swaps]
        swapped_truth = [b for _, b in one.swaps]
        np.add.at(matrix, (truth[swapped_truth], found[swapped_found]), 1)
        np.add.at(matrix[count], found[np.setdiff1d(one.false, swapped_found)], 1)
        np.add.at(matrix[:, count], truth[np.setdiff1d(one.missed, swapped_truth)], 1)
    return matrix


def _by_picture(pictures: Ints, count: int) -> list[Ints]:
    """For each picture the places where it stands, in their order."""
    order = np.argsort(pictures, kind="stable")
    return np.split(order, np.searchsorted(pictures[order], np.arange(1, count)))


def _swaps(boxes: Floats, missed: Floats) -> list[tuple[int, int]]:
    """Pairs (row of N×4, row of M×4) that overlap by 0.5 or more, one to one, by falling score."""
    target, _ = match_boxes(boxes, missed, np.zeros((0, 4), np.float32))
    return [(index, int(taken)) for index, taken in enumerate(target) if taken >= 0]
