"""The score below which a class's detections are dropped on the car: the one that maximises F1 on labelled pictures.

F1 is the rule because it needs no price of a false cone against a missed one. The threshold lies halfway between the
lowest score that is kept and the next one below, so that the rounding of INT8 does not move a detection across it.
"""

from collections.abc import Sequence

import numpy as np

from unina.data import Sample
from unina.evaluate.classes import ClassMap
from unina.evaluate.match import Matches, match
from unina.evaluate.precision_recall import curve
from unina_runtime import Detections

LOWEST, HIGHEST = 0.05, 0.9
"""Bounds of a threshold: outside them the labelled pictures were too few or too easy to trust their optimum."""


def best_thresholds(
    samples: Sequence[Sample], detections: Sequence[Detections], classes: ClassMap, default: float
) -> tuple[float, ...]:
    """One threshold for each class of the model, whose detections these are.

    `default` stands for a class without labels or without a single right detection. Model classes that are scored as
    one share one threshold. A detection is right by the rule of `unina.evaluate.match`.
    """
    truths = [classes.truth(sample) for sample in samples]
    matches = match(truths, [classes.scored(found) for found in detections], classes.names)
    return classes.of_model(recommended(matches, default), default)


def recommended(matches: Matches, default: float) -> tuple[float, ...]:
    """One threshold for each class of the matches."""
    return tuple(_best_threshold(matches, label, default) for label in range(len(matches.names)))


def _best_threshold(matches: Matches, label: int, default: float) -> float:
    falling = curve(matches, label)
    f1 = falling.f1
    if not f1.any() or not falling.positives:
        return default
    following = np.append(falling.score[1:], 0.0)
    f1[falling.score == following] = 0  # a threshold cannot part equal scores
    best = int(np.argmax(f1))
    return float(np.clip((falling.score[best] + following[best]) / 2, LOWEST, HIGHEST))
