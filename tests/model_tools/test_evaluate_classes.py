"""A model's classes find those of the data set, one orange label stands for both sizes, and doubts are refused."""

import pytest
from scored_sets import found, sample

from unina.data import Sample
from unina.evaluate import best_thresholds, map_classes, score
from unina.evaluate.classes import DROPPED, same_classes

FOUR = ("blue_cone", "yellow_cone", "orange_cone", "large_orange_cone")
THREE = ("blue", "yellow", "orange")
CONE, OTHER = [10.0, 10.0, 30.0, 50.0], [100.0, 10.0, 130.0, 60.0]


def one_of_each(count: int) -> list[Sample]:
    return [sample([[50.0 * k, 0, 50.0 * k + 20, 40] for k in range(count)], list(range(count)))]


def test_names_that_differ_by_the_suffix_agree_and_large_orange_is_orange() -> None:
    classes = map_classes(FOUR, THREE, (), one_of_each(3))
    assert classes.detections == (0, 1, 2, 2)
    assert classes.names == THREE
    assert "large_orange_cone → orange" in classes.notes


def test_a_wish_comes_before_names() -> None:
    classes = map_classes(
        FOUR, THREE, (), one_of_each(3), {"large_orange_cone": "", "yellow_cone": "blue"} | {"blue_cone": "yellow"}
    )
    assert classes.detections == (1, 0, 2, DROPPED)
    assert "large_orange_cone: not counted" in classes.notes


def test_where_the_set_tells_the_sizes_apart_they_stay_apart() -> None:
    assert map_classes(FOUR, FOUR, (), one_of_each(4)).detections == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("model", "data", "labels", "wanted", "ignore", "words"),
    [
        (("blue", "red"), ("blue",), 1, {}, (), ("'red'", "--map red=")),
        (("blue",), THREE, 3, {}, (), ("labelled yellow", "--ignore yellow")),
        (("blue",), ("blue",), 1, {"red": "blue"}, (), ("no class 'red'", "it has blue")),
        (("blue",), ("blue",), 1, {"blue": "green"}, (), ("no class 'green'", "it has blue")),
        (("blue",), ("blue",), 1, {}, ("unknown",), ("--ignore unknown", "it has blue")),
    ],
)
def test_doubts_are_refused_with_the_fix(
    model: tuple[str, ...],
    data: tuple[str, ...],
    labels: int,
    wanted: dict[str, str],
    ignore: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    with pytest.raises(ValueError) as error:
        map_classes(model, data, (), one_of_each(labels), wanted, ignore)
    assert all(word in str(error.value) for word in words)


def test_a_class_without_labels_needs_no_counterpart_in_the_model() -> None:
    assert map_classes(("blue",), THREE, (), one_of_each(1)).detections == (0,)


def test_a_class_that_was_never_found_is_none_of_saved_detections_business() -> None:
    assert map_classes(("blue",), THREE, (), one_of_each(3), partial=True).detections == (0,)


def test_labels_of_a_group_merge_its_classes() -> None:
    """Label 4 says "orange or large orange"; either answer is right, and two are one too many."""
    groups = ((2, 3),)
    samples = [sample([CONE, OTHER], [4, 0])]
    classes = same_classes(FOUR, groups, samples)
    assert classes.names == ("blue_cone", "yellow_cone", "orange_cone|large_orange_cone")
    for answer in (2, 3):
        metrics = score(samples, [found((0.9, CONE, answer), (0.8, OTHER, 0))], FOUR, groups)
        assert metrics.ap50 == pytest.approx({"blue_cone": 1.0, "orange_cone|large_orange_cone": 1.0})
    twice = score(samples, [found((0.9, [300, 10, 330, 60], 2), (0.8, CONE, 3))], FOUR, groups)
    assert twice.ap50["orange_cone|large_orange_cone"] == pytest.approx(0.5)


def test_a_group_that_no_label_of_the_split_uses_merges_nothing() -> None:
    assert same_classes(FOUR, ((2, 3),), one_of_each(4)).names == FOUR


def test_plain_labels_of_a_merged_class_are_scored_with_it() -> None:
    samples = [sample([CONE, OTHER], [4, 3])]
    metrics = score(samples, [found((0.9, CONE, 3), (0.8, OTHER, 2))], FOUR, ((2, 3),))
    assert metrics.ap50 == pytest.approx({"orange_cone|large_orange_cone": 1.0})


def test_ignoring_one_of_merged_classes_ignores_all_and_says_so() -> None:
    samples = [sample([[0, 0, 10, 10], [20, 0, 30, 10]], [0, 3])]
    classes = map_classes(("blue", "orange", "large"), ("blue", "orange", "large"), ((1, 2),), samples, {}, ("large",))
    assert classes.names == ("blue",)
    assert classes.notes == ("orange|large: ignored",)


def test_groups_that_share_a_class_become_one() -> None:
    samples = [sample([CONE, OTHER], [4, 5])]
    assert same_classes(FOUR, ((2, 3), (1, 2)), samples).names == (
        "blue_cone",
        "yellow_cone|orange_cone|large_orange_cone",
    )


def test_merged_classes_share_one_threshold_and_dropped_ones_have_the_default() -> None:
    samples = [sample([CONE, OTHER], [2, 2])]
    classes = map_classes((*FOUR, "unknown_cone"), THREE, (), samples, {"unknown_cone": ""})
    detections = [found((0.8, CONE, 2), (0.6, OTHER, 3), (0.3, [300, 10, 330, 60], 3), (0.2, CONE, 4))]
    thresholds = best_thresholds(samples, detections, classes, 0.33)
    assert thresholds == pytest.approx((0.33, 0.33, 0.45, 0.45, 0.33))


def test_boxes_of_an_ignored_class_are_regions_and_detections_of_it_do_not_count() -> None:
    names = ("blue", "unknown")
    samples = [sample([CONE, OTHER], [0, 1])]
    classes = map_classes(names, names, (), samples, ignore=("unknown",))
    truth = classes.truth(samples[0])
    assert truth.boxes.tolist() == [CONE] and truth.ignored.tolist() == [OTHER]
    assert classes.scored(found((0.9, CONE, 0), (0.8, OTHER, 1))).classes.tolist() == [0]
