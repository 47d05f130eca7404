"""Is one detector better than another, or did the pictures just fall well? The bootstrap over pictures.

The pictures of the split are drawn anew with replacement and mAP50 is taken; the middle 95 % of many draws are the
interval (Efron and Tibshirani, "An Introduction to the Bootstrap", chapter 13). To compare two detectors both get the
same draws, and it is their difference whose interval is taken. Matches do not depend on the draw, so each picture is
matched once.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unina.evaluate.match import Ints, Matches
from unina.evaluate.precision_recall import class_parts, weighted_map

INTERVAL_RESAMPLES = 500
"""Enough for the ends of an interval to stand still to half a point."""
RESAMPLES = 2000
"""Of a comparison."""
SECONDS = 60.0
"""After this long a bootstrap stops with the resamples that it has, if those are ENOUGH."""
ENOUGH = 200


@dataclass(frozen=True)
class Difference:
    """mAP50 of one detector minus that of another."""

    map50: float
    map50_other: float
    difference: float
    low: float
    high: float
    """ends of the 95 % interval of the difference"""
    images: int
    resamples: int
    seed: int

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def to_json(self) -> dict[str, Any]:
        """As plain Python values."""
        return {**asdict(self), "clear": self.clear}


def paired_bootstrap(
    mine: Matches, other: Matches, *, resamples: int = RESAMPLES, seed: int = 0, seconds: float = SECONDS
) -> Difference:
    """Compares two detectors on the same pictures.

    Raises:
        ValueError: the two were matched against different labels.
    """
    if mine.pictures != other.pictures or not (
        np.array_equal(mine.truth_picture, other.truth_picture) and np.array_equal(mine.truth_label, other.truth_label)
    ):
        raise ValueError("the two are not scored on the same pictures, labels and classes")
    parts, parts_other = class_parts(mine), class_parts(other)
    every = np.ones(mine.pictures, np.int64)
    generator = np.random.default_rng(seed)
    end = time.monotonic() + seconds
    differences: list[float] = []
    while len(differences) < resamples:
        weights = _drawn(generator, mine.pictures)
        differences.append(weighted_map(parts, weights) - weighted_map(parts_other, weights))
        if len(differences) >= ENOUGH and time.monotonic() > end:
            break
    low, high = _middle(differences)
    map50, map50_other = weighted_map(parts, every), weighted_map(parts_other, every)
    return Difference(map50, map50_other, map50 - map50_other, low, high, mine.pictures, len(differences), seed)


def map50_interval(matches: Matches, *, resamples: int = INTERVAL_RESAMPLES, seed: int = 0) -> tuple[float, float]:
    """Ends of the 95 % interval of mAP50; NaN without a labelled box."""
    parts, generator = class_parts(matches), np.random.default_rng(seed)
    return _middle([weighted_map(parts, _drawn(generator, matches.pictures)) for _ in range(resamples)])


def _drawn(generator: np.random.Generator, pictures: int) -> Ints:
    """How often each picture was drawn."""
    return np.bincount(generator.integers(0, pictures, pictures), minlength=pictures)


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """The middle 95 %; a draw without a labelled box has no value."""
    known = np.asarray(values)[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high)
