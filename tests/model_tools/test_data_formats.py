"""Formats: a data set that goes through any two of them comes back the same, to the last bit of every box."""

from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unina.data import Dataset, Sample, load_dataset
from unina.data.convert import write_dataset
from unina.data.formats import FORMATS
from unina.data.load import recognise

NAMES = ("blue_cone", "yellow_cone", "orange_cone", "large_orange_cone")
SIZES = ((40, 30), (641, 359), (2048, 1536))
FLAT = {size: cv2.imencode(".png", np.zeros((size[1], size[0]), np.uint8))[1].tobytes() for size in SIZES}


@st.composite
def boxes_in(draw: st.DrawFn, width: int, height: int, most: int) -> np.ndarray:
    """float32 boxes inside a picture, each once: whole pixels, or any float32 at least 1e-4 px off the edge."""

    def edge(limit: int) -> st.SearchStrategy[float]:
        inside = st.floats(float(np.float32(1e-4)), float(np.float32(limit - 0.01)), width=32)
        return st.integers(0, limit).map(float) | inside

    found = {}
    for _ in range(draw(st.integers(0, most))):
        x0, x1 = sorted((draw(edge(width)), draw(edge(width))))
        y0, y1 = sorted((draw(edge(height)), draw(edge(height))))
        if x1 - x0 >= 0.01 and y1 - y0 >= 0.01:
            found[(x0, y0, x1, y1)] = None
    return np.array(list(found), np.float32).reshape(-1, 4)


@st.composite
def datasets(
    draw: st.DrawFn,
) -> tuple[dict[str, list[tuple[str, tuple[int, int], np.ndarray, np.ndarray, np.ndarray]]], int]:
    """split → (file name, size, boxes, classes, ignored boxes); and the number of groups, 0 or 1."""
    groups = draw(st.integers(0, 1))
    splits = {}
    for split in draw(st.sampled_from([("train",), ("train", "val"), ("train", "val", "test"), ("val", "test")])):
        stems = draw(st.lists(st.sampled_from(["a", "b_1", "c c", "ü", "x.y"]), min_size=1, max_size=2, unique=True))
        pictures = []
        for stem in sorted(stems):
            size = draw(st.sampled_from(SIZES))
            boxes = draw(boxes_in(*size, 4))
            classes = draw(st.lists(st.integers(0, 3 + groups), min_size=len(boxes), max_size=len(boxes)))
            pictures.append((f"{stem}.png", size, boxes, np.array(classes, np.int64), draw(boxes_in(*size, 2))))
        splits[split] = pictures
    first = next(iter(splits.values()))  # a data set without any box is refused, and should be
    name, size, _, _, ignored = first[0]
    first[0] = (name, size, np.array([[1, 2, 13.5, 20.25]], np.float32), np.array([0], np.int64), ignored)
    return splits, groups


def in_memory(folder: Path, splits: dict, groups: int) -> Dataset:  # type: ignore[type-arg]
    """The drawn data set, its pictures on disk."""
    loaded = {}
    for split, pictures in splits.items():
        samples = []
        for name, size, boxes, classes, ignored in pictures:
            path = folder / "drawn" / split / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(FLAT[size])
            samples.append(Sample(path, *size, boxes, classes, ignored))
        loaded[split] = tuple(samples)
    return Dataset(folder, NAMES, loaded, groups=((2, 3),) * groups)


def assert_same(before: Dataset, after: Dataset) -> None:
    """Classes, groups, splits, pictures and boxes, bit for bit."""
    assert (after.names, after.groups) == (before.names, before.groups)
    assert list(after.splits) == list(before.splits)
    for split, samples in before.splits.items():
        assert [sample.image.name for sample in after.splits[split]] == [sample.image.name for sample in samples]
        for one, other in zip(samples, after.splits[split], strict=True):
            assert (other.width, other.height) == (one.width, one.height)
            for field in ("boxes", "classes", "ignored"):
                np.testing.assert_array_equal(getattr(other, field), getattr(one, field))
                assert getattr(other, field).dtype == getattr(one, field).dtype


@pytest.mark.parametrize(("first", "second"), list(product(FORMATS, FORMATS)))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawn=datasets())
def test_a_data_set_comes_back_from_any_two_formats_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    first: str,
    second: str,
    drawn: tuple[dict, int],  # type: ignore[type-arg]
) -> None:
    folder = tmp_path_factory.mktemp("round")
    start = in_memory(folder, *drawn)
    a = write_dataset(start, folder / "a", first, link=True).entry
    b = write_dataset(load_dataset(a), folder / "b", second, link=True).entry
    back = write_dataset(load_dataset(b), folder / "back", first, link=True).entry
    assert_same(start, load_dataset(a))
    assert_same(start, load_dataset(b))
    assert_same(start, load_dataset(back))
    assert [recognise(path.parent if path.is_file() else path) for path in (a, b)] == [first, second]
    files = [path for path in sorted((folder / "a").rglob("*")) if path.is_file()]
    assert [p.relative_to(folder / "a") for p in files] == sorted(
        p.relative_to(folder / "back") for p in (folder / "back").rglob("*") if p.is_file()
    )
    for path in files:  # not only the same content: the same bytes
        assert (folder / "back" / path.relative_to(folder / "a")).read_bytes() == path.read_bytes()
