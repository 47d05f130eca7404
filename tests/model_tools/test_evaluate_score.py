"""The metric says what it should on cases whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unina.data import Sample
from unina.evaluate import score
from unina_runtime import Detections

NAMES = ("blue", "yellow")


def sample(boxes: list[list[float]], classes: list[int]) -> Sample:
    return Sample(
        image=Path("a.jpg"),
        width=640,
        height=480,
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        classes=np.asarray(classes, np.int64),
    )


def detections(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Detections:
    return Detections(
        np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32), np.asarray(classes, np.int32)
    )


def test_perfect_detections_score_one() -> None:
    truth = sample([[10, 10, 30, 50], [100, 100, 140, 180]], [0, 1])
    metrics = score([truth], [detections(truth.boxes.tolist(), [0.9, 0.8], [0, 1])], NAMES)
    assert metrics.map50 == pytest.approx(1.0)
    assert metrics.map50_95 == pytest.approx(1.0)
    assert metrics.ap50 == pytest.approx({"blue": 1.0, "yellow": 1.0})


def test_a_false_positive_above_the_hit_halves_the_precision() -> None:
    truth = sample([[10, 10, 30, 50]], [0])
    found = detections([[200, 200, 240, 280], [10, 10, 30, 50]], [0.9, 0.8], [0, 0])
    assert score([truth], [found], NAMES).map50 == pytest.approx(0.5)


def test_the_wrong_class_finds_nothing() -> None:
    truth = sample([[10, 10, 30, 50]], [0])
    assert score([truth], [detections([[10, 10, 30, 50]], [0.9], [1])], NAMES).map50 == 0.0


def test_no_detection_scores_zero_and_no_label_is_refused() -> None:
    truth = sample([[10, 10, 30, 50]], [0])
    assert score([truth], [detections([], [], [])], NAMES).ap50 == {"blue": 0.0}
    with pytest.raises(ValueError, match="no labelled box"):
        score([sample([], [])], [detections([], [], [])], NAMES)


@given(overlap=st.floats(0.05, 0.95))
def test_a_shifted_box_counts_at_exactly_the_ious_it_reaches(overlap: float) -> None:
    """A box of width 100 shifted by d has IoU (100 − d) / (100 + d): the COCO thresholds passed are countable."""
    shift = 100 * (1 - overlap) / (1 + overlap)
    truth = sample([[0, 0, 100, 100]], [0])
    metrics = score([truth], [detections([[shift, 0, 100 + shift, 100]], [0.9], [0])], NAMES)
    iou = (100 - np.float32(shift)) / (100 + np.float32(shift))
    thresholds = np.linspace(0.5, 0.95, 10)
    if np.abs(thresholds - iou).min() > 1e-4:
        assert metrics.map50_95 == pytest.approx((iou >= thresholds).mean())
