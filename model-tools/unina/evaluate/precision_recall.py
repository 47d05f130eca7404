"""Precision, recall, F1 and average precision from matches that are already made.

Average precision is COCO's: precision made to fall with recall, read at 101 recalls (Lin et al., arXiv 1405.0312 and
its evaluation code). Made in NumPy so that a bootstrap can ask for it thousands of times; tests hold it against
faster-coco-eval, which gives the figures that are reported.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unina.evaluate.match import Bools, Ints, Matches, Reals

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True, eq=False)
class Curve:
    """Of one class, at each of its detections by falling score; ignored ones are left out."""

    score: Reals
    """D"""
    hits: Ints
    """D: right ones so far"""
    positives: int
    """labelled boxes"""

    @property
    def counts(self) -> Ints:
        """D: detections so far."""
        return np.arange(1, len(self.hits) + 1)

    @property
    def precision(self) -> Reals:
        """D."""
        return self.hits / self.counts

    @property
    def recall(self) -> Reals:
        """D."""
        return self.hits / max(self.positives, 1)

    @property
    def f1(self) -> Reals:
        """D: the harmonic mean of precision and recall."""
        return 2 * self.hits / (self.counts + self.positives)


@dataclass(frozen=True)
class OperatingPoint:
    """What comes out at given thresholds."""

    precision: float
    recall: float
    f1: float
    hits: int
    false: int
    missed: int

    @classmethod
    def of_counts(cls, hits: int, false: int, boxes: int) -> "OperatingPoint":
        """0 where there is nothing to divide by."""
        f1 = 2 * hits / (hits + false + boxes) if boxes else 0.0
        return cls(hits / max(hits + false, 1), hits / max(boxes, 1), f1, hits, false, boxes - hits)


def average_precision(hit: Bools, positives: float, weights: npt.NDArray[np.int64] | None = None) -> float:
    """COCO's AP of one class.

    Args:
        hit: D, by falling score: takes a labelled box, or is false. Ignored ones are left out.
        positives: labelled boxes, counted with their weights; more than 0.
        weights: D: how often each counts, as when its picture is drawn several times.
    """
    counts = np.ones(len(hit), np.int64) if weights is None else weights
    hits = np.cumsum(np.where(hit, counts, 0))
    every = np.cumsum(counts)
    precision = hits / np.maximum(every, 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(hits / positives, RECALLS, side="left")].mean())


def curve(matches: Matches, label: int) -> Curve:
    """Precision and recall of a class."""
    mine = (matches.label == label) & (matches.hit | matches.false)
    return Curve(matches.score[mine], np.cumsum(matches.hit[mine]), int((matches.truth_label == label).sum()))


def mean_average_precision(matches: Matches) -> float:
    """mAP50: the mean over classes with labelled boxes; NaN without any."""
    every = np.ones(matches.pictures, np.int64)
    return weighted_map(class_parts(matches), every)


@dataclass(frozen=True, eq=False)
class ClassPart:
    """What a bootstrap needs of one class."""

    picture: Ints
    """D, by falling score"""
    hit: Bools
    """D"""
    truth_counts: Ints
    """labelled boxes of each picture"""


def class_parts(matches: Matches) -> tuple[ClassPart, ...]:
    """One for each class with labelled boxes."""
    parts = []
    for label in matches.labelled:
        mine = (matches.label == label) & (matches.hit | matches.false)
        own = matches.truth_picture[matches.truth_label == label]
        counts = np.bincount(own, minlength=matches.pictures)
        parts.append(ClassPart(matches.picture[mine], matches.hit[mine], counts))
    return tuple(parts)


def weighted_map(parts: Sequence[ClassPart], weights: Ints) -> float:
    """mAP50 when picture i of N counts weights[i] times, over the classes that are left; NaN when none is."""
    values = []
    for part in parts:
        positives = int(part.truth_counts @ weights)
        if positives:
            values.append(average_precision(part.hit, positives, weights[part.picture]))
    return float(np.mean(values)) if values else float("nan")


def operating_point(matches: Matches, thresholds: Sequence[float], label: int | None = None) -> OperatingPoint:
    """Of one class or, with None, of all together, with one threshold a class."""
    limits = np.asarray([*thresholds, np.inf])
    kept = matches.score >= limits[matches.label]
    own = np.ones(len(matches.truth_label), bool)
    if label is not None:
        kept &= matches.label == label
        own = matches.truth_label == label
    return OperatingPoint.of_counts(int((matches.hit & kept).sum()), int((matches.false & kept).sum()), int(own.sum()))


@dataclass(frozen=True)
class RateRecall:
    """Recall at a rate of false positives."""

    rate: float
    """false positives a picture that are allowed"""
    recall: float
    threshold: float
    """the lowest score that is kept; 1 when none is"""


def recall_at_rate(matches: Matches, rate: float, negatives: Reals | None = None, pictures: int = 0) -> RateRecall:
    """The largest recall at IoU 0.5, over all classes and with one threshold for all, at a rate of false positives.

    Args:
        matches: of the labelled pictures.
        rate: false positives a picture.
        negatives: scores of all detections in `pictures` cone-free pictures, on which the rate is measured then.
    """
    false = matches.score[matches.false] if negatives is None else np.sort(negatives)[::-1]
    allowed = int(np.floor(rate * (matches.pictures if negatives is None else pictures) + 1e-9))
    limit = float(false[allowed]) if allowed < len(false) else -0.5  # the first false positive too many, and its equals
    kept = matches.score[matches.score > limit]
    recall = float((matches.truth_score > limit).mean()) if len(matches.truth_score) else 0.0
    return RateRecall(rate, recall, float(kept.min()) if len(kept) else 1.0)
