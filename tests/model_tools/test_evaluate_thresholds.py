"""The threshold of a class is where F1 is largest on the labelled pictures."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unina.data import Sample
from unina.evaluate import map_classes
from unina.evaluate.thresholds import HIGHEST, LOWEST, best_thresholds
from unina_runtime import Detections

BOX = [10.0, 10.0, 20.0, 30.0]
FAR = [100.0, 100.0, 120.0, 140.0]


def sample(*boxes: list[float], label: int = 0) -> Sample:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(Path("x.png"), 640, 384, array, np.full(len(array), label, np.int64))


def found(*pairs: tuple[float, list[float]], label: int = 0) -> Detections:
    scores = np.array([score for score, _ in pairs], np.float32)
    boxes = np.array([box for _, box in pairs], np.float32).reshape(-1, 4)
    return Detections(boxes, scores, np.full(len(pairs), label, np.int32))


def thresholds_of(
    samples: list[Sample], detections: list[Detections], names: tuple[str, ...], default: float
) -> tuple[float, ...]:
    return best_thresholds(samples, detections, map_classes(names, names, (), samples), default)


def test_the_threshold_parts_right_from_wrong() -> None:
    detections = found((0.8, BOX), (0.6, FAR), (0.4, [0, 0, 5, 5]), (0.2, [300, 300, 310, 310]))
    (threshold,) = thresholds_of([sample(BOX, FAR)], [detections], ("a",), 0.3)
    assert threshold == pytest.approx(0.5)  # halfway between the last right one and the first wrong one


def test_a_second_box_on_the_same_cone_is_wrong() -> None:
    (threshold,) = thresholds_of([sample(BOX)], [found((0.8, BOX), (0.6, BOX))], ("a",), 0.3)
    assert threshold == pytest.approx(0.7)


def test_a_box_of_another_class_or_picture_is_wrong() -> None:
    samples = [sample(BOX), sample(FAR)]
    detections = [found((0.8, BOX), (0.5, FAR)), found((0.7, BOX), (0.3, FAR))]
    thresholds = thresholds_of(samples, detections, ("a", "b"), 0.33)
    assert thresholds[1] == 0.33  # class 1 has no labels
    assert thresholds[0] == pytest.approx(0.75)  # as good as 0.15, and shows less


def test_without_labels_or_right_detections_the_default_stands() -> None:
    assert thresholds_of([sample()], [found((0.9, BOX))], ("a",), 0.42) == (0.42,)
    assert thresholds_of([sample(BOX)], [found((0.9, FAR))], ("a",), 0.42) == (0.42,)
    assert thresholds_of([sample(BOX)], [Detections.empty()], ("a",), 0.42) == (0.42,)


def test_thresholds_stay_within_bounds() -> None:
    assert thresholds_of([sample(BOX)], [found((0.02, BOX))], ("a",), 0.3) == (LOWEST,)
    assert thresholds_of([sample(BOX)], [found((1.0, BOX), (0.99, FAR))], ("a",), 0.3) == (HIGHEST,)


@given(st.lists(st.tuples(st.integers(20, 179), st.booleans()), min_size=1, max_size=30), st.integers(0, 5))
def test_no_other_threshold_has_a_better_f1(scored: list[tuple[int, bool]], missed: int) -> None:
    hits = sum(right for _, right in scored)
    cones = [[50.0 * i, 0.0, 50.0 * i + 20, 40.0] for i in range(hits + missed)]
    todo = iter(cones)
    pairs = [(score / 200, next(todo) if right else [0.0, 1000.0, 9.0, 1020.0]) for score, right in scored]
    (threshold,) = thresholds_of([sample(*cones)], [found(*pairs)], ("a",), 0.3)

    def f1(at: float) -> float:
        kept = [right for score, right in scored if score / 200 >= at]
        return 2 * sum(kept) / max(len(kept) + hits + missed, 1)

    if hits:
        assert f1(threshold) == max(f1(score / 200 - 1e-6) for score, _ in scored)
