"""Matching and average precision: by hand where the answer is plain, against faster-coco-eval where it is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scored_sets import NO_BOXES, found, sample, split, truth

from unina.evaluate import score
from unina.evaluate.classes import Truth
from unina.evaluate.match import FALSE, IGNORED, covered, iou_matrix, match, match_boxes
from unina.evaluate.precision_recall import average_precision, class_parts, mean_average_precision, weighted_map
from unina.evaluate.score import HEIGHTS, coco_scores
from unina_runtime import Detections

NAMES = ("blue", "yellow")
Split = tuple[list[Truth], list[Detections]]


@given(split())
@settings(max_examples=150, deadline=None)
def test_our_average_precision_is_that_of_faster_coco_eval(case: Split) -> None:
    truths, detections = case
    matches = match(truths, detections, NAMES)
    if not matches.labelled:
        return
    theirs = coco_scores(truths, detections, NAMES).ap50
    every = np.ones(len(truths), np.int64)
    for label, part in zip(matches.labelled, class_parts(matches), strict=True):
        assert weighted_map([part], every) == pytest.approx(theirs[NAMES[label]], abs=1e-9)


@given(split(), st.data())
@settings(max_examples=60, deadline=None)
def test_a_picture_that_counts_twice_is_a_picture_that_stands_twice(case: Split, data: st.DataObject) -> None:
    """Bootstrap weights against matching the repeated pictures anew; scores are made unequal: ties have no order."""
    truths, detections = case
    count = sum(len(one) for one in detections)
    fresh = iter(np.linspace(0.9, 0.1, count + 1).astype(np.float32))
    detections = [
        Detections(one.boxes, np.asarray([next(fresh) for _ in range(len(one))], np.float32), one.classes)
        for one in detections
    ]
    weights = data.draw(st.lists(st.integers(0, 3), min_size=len(truths), max_size=len(truths)))
    repeated = [index for index, weight in enumerate(weights) for _ in range(weight)]
    again = match([truths[i] for i in repeated], [detections[i] for i in repeated], NAMES)
    if not again.labelled:
        return
    parts = class_parts(match(truths, detections, NAMES))
    assert weighted_map(parts, np.asarray(weights)) == pytest.approx(mean_average_precision(again), abs=1e-9)


@given(split())
@settings(max_examples=60, deadline=None)
def test_no_ignored_region_changes_a_hit(case: Split) -> None:
    truths, detections = case
    with_regions = match(truths, detections, NAMES)
    bare = [Truth(one.boxes, one.classes, NO_BOXES, one.width, one.height) for one in truths]
    without = match(bare, detections, NAMES)
    assert (with_regions.hit == without.hit).all()
    assert (with_regions.false <= without.false).all()
    assert (with_regions.truth_score == without.truth_score).all()


def test_overlaps_by_hand() -> None:
    boxes = np.asarray([[0, 0, 10, 10]], np.float32)
    others = np.asarray([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30], [0, 0, 0, 0]], np.float32)
    assert iou_matrix(boxes, others)[0] == pytest.approx([1, 50 / 150, 0, 0])
    assert covered(boxes, others[1:2])[0] == pytest.approx(0.5)
    assert covered(boxes, NO_BOXES).tolist() == [0]


def test_the_higher_score_takes_the_box_and_the_second_is_a_duplicate() -> None:
    box = np.asarray([[0, 0, 10, 20]], np.float32)
    near, far = box + np.float32(1), box + np.float32(100)
    target, duplicate = match_boxes(np.concatenate([near, box, far]), box, NO_BOXES)
    assert target.tolist() == [0, FALSE, FALSE]
    assert duplicate.tolist() == [False, True, False]


def test_a_detection_takes_the_best_free_box_not_the_first() -> None:
    truth_boxes = np.asarray([[0, 0, 10, 20], [2, 0, 12, 20]], np.float32)
    target, _ = match_boxes(truth_boxes[[1, 1]], truth_boxes, NO_BOXES)
    assert target.tolist() == [1, 0]


def test_half_in_an_ignored_region_is_ignored_and_less_is_false() -> None:
    region = np.asarray([[0, 0, 10, 10]], np.float32)
    boxes = np.asarray([[5, 0, 15, 10], [6, 0, 16, 10]], np.float32)
    assert match_boxes(boxes, NO_BOXES, region)[0].tolist() == [IGNORED, FALSE]


def test_several_detections_may_lie_in_one_region_whatever_their_class() -> None:
    region = [0.0, 0.0, 50.0, 50.0]
    matches = match([truth([], [], [region])], [found((0.9, region, 0), (0.8, [1, 1, 9, 9], 1))], NAMES)
    assert matches.target.tolist() == [IGNORED, IGNORED]


def test_ignored_regions_neither_reward_nor_punish() -> None:
    cone, region = [10.0, 10.0, 30.0, 50.0], [100.0, 100.0, 140.0, 180.0]
    detections = [found((0.9, region, 0), (0.8, cone, 0))]
    assert score([sample([cone], [0], [region])], detections, NAMES).map50 == pytest.approx(1.0)
    assert score([sample([cone], [0])], detections, NAMES).map50 == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("hits", "positives", "expected"),
    [
        ([True, True], 2, 1.0),
        ([True, False], 2, 51 / 101),  # recalls 0 … 0.5 at precision 1
        ([False, True], 1, 0.5),
        ([True, False, True], 2, (51 + 50 * 2 / 3) / 101),
        ([False, False], 3, 0.0),
        ([], 3, 0.0),
    ],
)
def test_average_precision_by_hand(hits: list[bool], positives: int, expected: float) -> None:
    assert average_precision(np.asarray(hits, bool), positives) == pytest.approx(expected)


def test_ap_by_height_sees_only_boxes_of_that_height() -> None:
    """On a 640×480 picture in a 320×320 input, heights are halved: 12 → 6, 30 → 15, 100 → 50 pixels."""
    small, middle, large = [0.0, 0.0, 9.0, 12.0], [50.0, 0.0, 70.0, 30.0], [100.0, 0.0, 150.0, 100.0]
    truths = [truth([small, middle, large], [0, 0, 0])]
    detections = [found((0.9, middle, 0), (0.8, [400, 0, 410, 12], 0), (0.7, small, 0))]
    scores = coco_scores(truths, detections, NAMES, (320, 320))
    # a false one of small height stands before the small hit and is nobody's business elsewhere
    assert scores.map50_by_height == pytest.approx([0.5, 1.0, float("nan"), 0.0], nan_ok=True)
    assert match(truths, detections, NAMES, (320, 320)).truth_height == pytest.approx([6, 15, 50])
    assert coco_scores(truths, [Detections.empty()], NAMES, (320, 320)).map50_by_height == pytest.approx(
        [0, 0, float("nan"), 0], nan_ok=True
    )


@given(split())
@settings(max_examples=80, deadline=None)
def test_ap_by_height_is_cocos_by_area_with_heights_instead(case: Split) -> None:
    truths, detections = case
    labelled = match(truths, detections, NAMES).labelled
    if not labelled:
        return
    got = coco_scores(truths, detections, NAMES).map50_by_height
    for (low, high), value in zip(HEIGHTS, got, strict=True):
        expected = [ap for label in labelled if (ap := ap_in_range(truths, detections, label, low, high)) is not None]
        assert value == pytest.approx(np.mean(expected) if expected else float("nan"), abs=1e-9, nan_ok=True)


def ap_in_range(truths: list[Truth], detections: list[Detections], label: int, low: float, high: float) -> float | None:
    """COCO's rule, spelled out: a box out of range is ignored, and so is a detection that takes one of those or a
    region or, taking nothing, is out of range itself. None without a box in range."""
    scored: list[tuple[float, bool]] = []
    positives = 0
    for one, these in zip(truths, detections, strict=True):
        boxes = one.boxes[one.classes == label]
        inside = [low <= box[3] - box[1] < high for box in boxes]
        positives += sum(inside)
        free = [True] * len(boxes)
        mine = these.classes == label
        for box, confidence in zip(these.boxes[mine], these.scores[mine], strict=True):
            overlaps = iou_matrix(box[None], boxes)[0] if len(boxes) else []
            shares = [covered(box[None], region[None])[0] for region in one.ignored]
            wanted = [(v, i) for i, v in enumerate(overlaps) if free[i] and inside[i] and v >= 0.5]
            spare = [(v, i) for i, v in enumerate(overlaps) if free[i] and not inside[i] and v >= 0.5]
            spare += [(v, len(boxes) + i) for i, v in enumerate(shares) if v >= 0.5]
            if wanted:
                free[max(wanted)[1]] = False
                scored.append((float(confidence), True))
            elif spare:
                if max(spare)[1] < len(boxes):
                    free[max(spare)[1]] = False
            elif low <= box[3] - box[1] < high:
                scored.append((float(confidence), False))
    scored.sort(key=lambda pair: -pair[0])
    return average_precision(np.asarray([hit for _, hit in scored], bool), positives) if positives else None
