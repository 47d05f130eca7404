"""Class maps: every box ends where the map says, and a class that leads nowhere is named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.data import DataError, Dataset, Sample, remap, remap_dataset

CONES = ("blue_cone", "yellow_cone", "orange_cone", "large_orange_cone")
ANY_ORANGE = "orange_cone|large_orange_cone"


def sample(*classes: int) -> Sample:
    """A picture with one box a class, told apart by their left edge."""
    boxes = np.array([(index, 0, index + 1, 2) for index in range(len(classes))], np.float32).reshape(-1, 4)
    return Sample(Path("x.png"), 100, 100, boxes, np.array(classes, np.int64))


def test_classes_are_renamed_and_those_not_mentioned_keep_their_name() -> None:
    (out,), groups = remap([sample(0, 1, 0)], ("yellow", "blue_cone"), {"yellow": "yellow_cone"}, CONES)
    assert out.classes.tolist() == [1, 0, 1]
    assert out.boxes[:, 0].tolist() == [0, 1, 2]
    assert groups == ()


def test_ignored_boxes_become_regions_and_dropped_ones_vanish() -> None:
    mapping = {"unknown_cone": "ignore", "car": "drop"}
    (out,), _ = remap([sample(0, 1, 2)], ("unknown_cone", "car", "blue_cone"), mapping, CONES)
    assert out.classes.tolist() == [0]
    assert out.boxes[:, 0].tolist() == [2]
    assert out.ignored[:, 0].tolist() == [0]
    assert out.ignored.dtype == np.float32


def test_one_of_several_classes_is_an_index_behind_the_names() -> None:
    (out,), groups = remap([sample(0, 1)], ("orange", "blue"), {"orange": ANY_ORANGE, "blue": "blue_cone"}, CONES)
    assert groups == ((2, 3),)
    assert out.classes.tolist() == [4, 0]
    dataset = Dataset(Path("x"), CONES, {"train": (out,)}, groups=groups)
    assert dataset.labels[4] == ANY_ORANGE


def test_a_group_follows_its_classes() -> None:
    """{orange, large} told in merged classes is one class; with one dropped, the other; with one ignored, ignored."""
    told = {
        "orange_cone": {"large_orange_cone": "orange_cone"},
        "large_orange_cone": {"orange_cone": "drop"},
        "": {"large_orange_cone": "ignore"},
    }
    for expected, mapping in told.items():
        classes = tuple(name for name in CONES if name not in mapping)
        (out,), groups = remap([sample(4)], CONES, mapping, classes, groups=((2, 3),))
        assert groups == ()
        assert [classes[index] for index in out.classes] == ([expected] if expected else [])
        assert len(out.ignored) == (0 if expected else 1)


def test_boxes_that_become_the_same_are_one() -> None:
    """A rectangle and a mask of one cone under two titles; two kinds of ignored at one place."""
    twice = replace(sample(0, 1, 0), boxes=np.array([[1, 2, 3, 4], [1, 2, 3, 4], [0, 2, 3, 4]], np.float32))
    (out,), _ = remap([twice], ("blue_cone", "seg_blue_cone"), {"seg_blue_cone": "blue_cone"}, CONES)
    assert out.boxes.tolist() == [[1, 2, 3, 4], [0, 2, 3, 4]]
    assert out.classes.tolist() == [0, 0]
    (out,), _ = remap([twice], ("a", "b"), {"a": "ignore", "b": "ignore"}, CONES)
    assert out.ignored.tolist() == [[1, 2, 3, 4], [0, 2, 3, 4]]


def test_a_key_that_is_no_class_of_this_set_is_no_fault() -> None:
    (out,), _ = remap([sample(0)], ("blue_cone",), {"blue": "blue_cone"}, CONES)
    assert out.classes.tolist() == [0]


def test_every_class_that_leads_nowhere_is_named_with_the_fix() -> None:
    with pytest.raises(DataError) as error:
        remap([], ("blue", "red", "car"), {"red": "orange_cone|scarlet", "car": "drop"}, CONES, origin=Path("a.yaml"))
    blue, red = map(str, error.value.faults)
    assert blue.startswith("a.yaml: blue: `blue` is none of the classes blue_cone, yellow_cone")
    assert "map `blue` to one of them (several joined by |), to `ignore` or to `drop`" in blue
    assert red.startswith("a.yaml: red: orange_cone|scarlet: `scarlet` is none of")


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), max_size=6), max_size=4), st.permutations(CONES))
def test_there_and_back_is_the_same(pictures: list[list[int]], order: list[str]) -> None:
    dataset = Dataset(Path("x"), CONES, {"train": tuple(sample(*classes) for classes in pictures), "val": (sample(0),)})
    back = remap_dataset(remap_dataset(dataset, {}, order), {}, CONES)
    assert {split: len(samples) for split, samples in back.splits.items()} == {"train": len(pictures), "val": 1}
    for before, after in zip(dataset.split("train"), back.split("train"), strict=True):
        assert before.classes.tolist() == after.classes.tolist()
        np.testing.assert_array_equal(before.boxes, after.boxes)
