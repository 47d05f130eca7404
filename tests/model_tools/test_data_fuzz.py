"""Whatever stands in a label file: it is read or refused in words, and what is read lies inside its picture."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unina.data import DataError, Dataset, Sample, load_dataset
from unina.data.convert import write_dataset

PNG = cv2.imencode(".png", np.full((4, 4), 255, np.uint8))[1].tobytes()
MASK = {"data": base64.b64encode(zlib.compress(PNG)).decode(), "origin": [3, 4]}


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Two pictures of 40×30, two boxes each."""
    boxes = np.array([[1, 2, 11, 12], [5, 5, 30.5, 20.25]], np.float32)
    samples = []
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((30, 40), np.uint8))
        samples.append(Sample(tmp_path / name, 40, 30, boxes, np.array([0, 1])))
    return Dataset(tmp_path, ("blue_cone", "yellow_cone"), {"train": tuple(samples)})


def graft(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one random part of it replaced, taken away or doubled."""
    if isinstance(value, dict | list) and value and draw(st.integers(0, 4)):
        copy = value.copy()
        keys = list(copy) if isinstance(copy, dict) else list(range(len(copy)))
        key = draw(st.sampled_from(keys))
        if draw(st.integers(0, 4)):
            copy[key] = graft(draw, copy[key])
        elif isinstance(copy, list) and draw(st.booleans()):
            copy.append(copy[key])
        else:
            del copy[key]
        return copy
    odd = st.sampled_from(
        [None, True, -1, 0, 1e308, -0.5, 10**400, 2**70, "", "..", "\0", "\ud800", "a|b", [], {}, [[]]]
    )
    return draw(odd | st.floats(allow_nan=True) | st.integers(-(2**40), 2**40) | st.text(max_size=3))


@pytest.mark.parametrize("form", ["coco", "supervisely"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.data())
def test_whatever_a_json_holds_it_is_read_or_refused_in_words(data: Dataset, form: str, drawn: st.DataObject) -> None:
    folder = data.path / form
    if not folder.exists():
        write_dataset(data, folder, form)
    parts = ["annotations/instances_train.json"] if form == "coco" else ["train/ann/b.png.json", "meta.json"]
    file = folder / drawn.draw(st.sampled_from(parts))
    before = file.read_text()
    table = json.loads(before)
    if form == "supervisely" and file.name != "meta.json":
        table["objects"].append({"classTitle": "blue_cone", "geometryType": "bitmap", "bitmap": MASK})
    file.write_text(json.dumps(graft(drawn.draw, table)))
    try:
        for sample in load_dataset(folder).split("train"):
            assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
            assert (sample.boxes >= 0).all()
            assert (sample.boxes <= (40, 30, 40, 30)).all()
    except DataError as error:
        assert str(error).encode()
    finally:
        file.write_text(before)


WORDS = st.sampled_from(
    ["blue_cone", "DontCare", "0", "-1", "3", "40", "30", ".5", "1e308", "nan", "inf", "-", "|", "ü", "5.5", "11", "12"]
)


@pytest.mark.parametrize("form", ["yolo", "kitti"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, min_size=3, max_size=17), rest=st.binary(max_size=3))
def test_whatever_a_text_holds_it_is_read_or_refused_in_words(
    data: Dataset, form: str, words: list[str], rest: bytes
) -> None:
    folder = data.path / form
    if not folder.exists():
        write_dataset(data, folder, form)
    (file,) = folder.rglob("b.txt")
    file.write_bytes(" ".join(words).encode() + rest)
    try:
        for sample in load_dataset(folder).split("train"):
            assert (sample.boxes[:, 2:] > sample.boxes[:, :2]).all()
            assert (sample.boxes <= (40, 30, 40, 30)).all()
    except DataError as error:
        assert str(error).encode()
