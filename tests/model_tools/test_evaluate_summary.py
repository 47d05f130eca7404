"""Each figure of unina-eval on cases small enough to count."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from scored_sets import found, sample, split

from unina.evaluate.classes import Truth, same_classes
from unina.evaluate.match import iou_matrix, match
from unina.evaluate.nms import class_wise_nms
from unina.evaluate.precision_recall import operating_point, recall_at_rate
from unina.evaluate.summary import Scored, Summary, summarise
from unina_runtime import Detections

NAMES = ("blue", "yellow")
A, B, C, FAR = [0.0, 0, 10, 12], [50.0, 0, 70, 30], [100.0, 0, 150, 100], [300.0, 300, 340, 380]


def scored(*pictures: tuple[list[list[float]], list[int], Detections], **more: object) -> Scored:
    samples = [sample(boxes, labels, name=f"p{i}.jpg") for i, (boxes, labels, _) in enumerate(pictures)]
    result = Scored.of(same_classes(NAMES, (), samples), samples, [one[2] for one in pictures])
    return replace(result, **more)  # type: ignore[arg-type]


def test_precision_recall_and_f1_at_thresholds() -> None:
    one = scored(([A, B, C], [0, 0, 1], found((0.9, A, 0), (0.7, FAR, 0), (0.5, B, 0), (0.4, C, 1), (0.1, FAR, 1))))
    point = operating_point(one.matches(), (0.6, 0.3))
    assert (point.hits, point.false, point.missed) == (2, 1, 1)
    assert (point.precision, point.recall, point.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    blue = operating_point(one.matches(), (0.6, 0.3), 0)
    assert (blue.precision, blue.recall, blue.f1) == pytest.approx((1 / 2, 1 / 2, 1 / 2))


def test_without_detections_nothing_is_divided_by_nothing() -> None:
    point = operating_point(scored(([A], [0], Detections.empty())).matches(), (0.5, 0.5))
    assert (point.precision, point.recall, point.f1) == (0, 0, 0)


@pytest.mark.parametrize(
    ("rate", "recall", "threshold"),
    [(0.0, 1 / 3, 0.9), (0.5, 2 / 3, 0.6), (1.0, 2 / 3, 0.5), (2.0, 1.0, 0.2)],
    ids=["before the first", "one is allowed", "equal scores stay together", "all"],
)
def test_recall_at_false_positives_a_picture(rate: float, recall: float, threshold: float) -> None:
    """Two pictures: false ones at 0.8, 0.5 and 0.4; the hit at 0.4 cannot be had without the false one beside it."""
    one = scored(
        ([A, B], [0, 0], found((0.9, A, 0), (0.8, FAR, 1), (0.6, B, 0))),
        ([C], [1], found((0.5, FAR, 0), (0.4, C, 1), (0.4, FAR, 1), (0.2, FAR, 0))),
    )
    got = recall_at_rate(one.matches(), rate)
    assert (got.recall, got.threshold) == pytest.approx((recall, threshold))


def test_recall_at_false_positives_a_cone_free_picture_asks_only_those() -> None:
    one = scored(([A, B], [0, 0], found((0.9, FAR, 0), (0.8, A, 0), (0.3, B, 0))))
    negatives = [found((0.5, FAR, 1)), *(Detections.empty() for _ in range(9))]
    strict = summarise(replace(one, negatives=tuple(negatives[:9]))).negatives
    loose = summarise(replace(one, negatives=tuple(negatives))).negatives
    assert strict is not None and loose is not None
    assert (strict.images, strict.at_rate.recall) == (9, 0.5)  # 0.1 × 9: not one is allowed
    assert (loose.images, loose.at_rate.recall) == (10, 1.0)


def test_pictures_of_the_split_without_a_cone_are_cone_free() -> None:
    one = scored(([A], [0], found((0.9, A, 0))), ([], [], found((0.95, FAR, 0), (0.01, FAR, 1))))
    summary = summarise(one)
    assert summary.negatives is not None
    assert (summary.negatives.images, summary.negatives.at_rate.recall) == (1, 0.0)
    assert summary.negatives.false_per_image == pytest.approx(1.0)
    assert summarise(scored(([A], [0], found((0.9, A, 0))))).negatives is None


def test_a_cone_found_as_another_class_counts_in_any_class() -> None:
    summary = summarise(scored(([A, B], [0, 0], found((0.9, A, 1), (0.8, B, 0)))))
    assert summary.at_rates[0].recall == 0
    assert summary.at_rates_any_class[0].recall == 1


def test_recall_by_height_in_pixels_of_the_input() -> None:
    """640×480 into 320×320 halves: 12, 30 and 100 pixels are 6, 15 and 50."""
    one = scored(([A, B, C], [0, 0, 0], found((0.9, B, 0), (0.8, C, 0), (0.01, A, 0))), input_size=(320, 320))
    rows = {row.range: row for row in summarise(one).heights}
    assert [(row.boxes, row.recall, row.recall_lowest) for row in rows.values()] == [
        (1, 0.0, 1.0),  # the threshold is at least 0.05
        (1, 1.0, 1.0),
        (0, None, None),
        (1, 1.0, 1.0),
    ]
    assert list(rows) == ["<8", "8–16", "16–32", ">32"]
    assert rows["16–32"].ap50 is None and rows["8–16"].ap50 == pytest.approx(1.0)


def test_pictures_are_grouped_by_their_file_names() -> None:
    one = scored(([A], [0], found((0.9, A, 0))), ([B], [0], found((0.9, FAR, 0))), ([], [], Detections.empty()))
    one = replace(one, pictures=(Path("x/field_1.jpg"), Path("x/capture_1.jpg"), Path("x/capture_2.jpg")))
    rows = summarise(one, groups="^([a-z]+)_").groups
    assert [(row.name, row.images, row.boxes, row.map50) for row in rows] == [
        ("capture", 2, 1, 0.0),
        ("field", 1, 1, pytest.approx(1.0)),
    ]
    names = [row.name for row in summarise(one, groups="field").groups]
    assert names == ["field", "other"]


def test_nms_takes_the_duplicates_and_the_summary_says_what_it_gains() -> None:
    again = [0.0, 0, 10, 11]
    one = scored(([A, B], [0, 0], found((0.9, A, 0), (0.8, again, 0), (0.7, B, 0), (0.6, FAR, 0))))
    effect = summarise(one).nms
    # without: hits at ranks 1 and 3; with: at ranks 1 and 2
    assert effect.map50 == pytest.approx(1.0)
    assert effect.difference == pytest.approx(1.0 - (51 + 50 * 2 / 3) / 101)
    assert effect.duplicates_per_image == 1
    assert effect.f1_nms > effect.f1


@given(split())
@settings(max_examples=80, deadline=None)
def test_nms_keeps_what_no_kept_higher_score_of_its_class_overlaps(case: tuple[list[Truth], list[Detections]]) -> None:
    for before in case[1]:
        after = class_wise_nms(before, 0.6)
        kept: list[int] = []
        for i in range(len(before)):  # by falling score already
            mine = [j for j in kept if before.classes[j] == before.classes[i]]
            if not mine or iou_matrix(before.boxes[[i]], before.boxes[mine]).max() <= 0.6:
                kept.append(i)
        assert after.boxes.tolist() == before.boxes[kept].tolist()
        assert after.scores.tolist() == before.scores[kept].tolist()
        assert after.classes.tolist() == before.classes[kept].tolist()


def test_ignored_boxes_are_reported_with_and_without() -> None:
    samples = [sample([A], [0], [FAR])]
    one = Scored.of(same_classes(NAMES, (), samples), samples, [found((0.9, FAR, 0), (0.8, A, 0))])
    summary = summarise(one)
    assert summary.map50 == pytest.approx(1.0)
    assert summary.map50_ignored_as_background == pytest.approx(0.5)
    assert summary.ignored_boxes == 1
    assert summarise(scored(([A], [0], found((0.9, A, 0))))).map50_ignored_as_background is None


@given(split())
@settings(max_examples=40, deadline=None)
def test_every_figure_lies_where_it_can(case: tuple[list[Truth], list[Detections]]) -> None:
    truths, detections = case
    if not any(len(one.classes) for one in truths):
        return
    pictures = tuple(Path(f"{i}.jpg") for i in range(len(truths)))
    summary: Summary = summarise(Scored(NAMES, pictures, tuple(truths), tuple(detections)))
    recalls = [rate.recall for rate in summary.at_rates]
    assert recalls == sorted(recalls)
    boxes = sum(row.boxes for row in summary.heights)
    assert boxes == summary.boxes
    lowest = [row.recall_lowest * row.boxes for row in summary.heights if row.recall_lowest is not None]
    matches = match(truths, detections, NAMES)
    assert sum(lowest) == pytest.approx(int(matches.hit.sum()))
    assert summary.operating["all"].hits + summary.operating["all"].missed == summary.boxes
    assert np.isfinite(summary.nms.map50)
