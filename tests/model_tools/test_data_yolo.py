"""Label files: what is good comes back unchanged, what is bad is named by file, line, value and fix."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.data.yolo import format_labels, read_labels

NAMES = ("blue_cone", "yellow_cone")

MALFORMED = [
    ("four columns", b"0 .5 .5 .1", 1, "0 .5 .5 .1", "4 columns; write 5: class x_center y_center width height"),
    ("a polygon", b"0 .1 .1 .2 .1 .2 .2 .1 .2", 1, "0 .1 .1 .2 .1 .2 …", "convert it to its bounding box"),
    ("a word", b"0 .5 left .1 .1", 1, "left", "y_center is not a number"),
    ("a comma", b"0 0,5 .5 .1 .1", 1, "0,5", "x_center is not a number"),
    ("NaN", b"0 .5 .5 nan .1", 1, "nan", "width is not finite"),
    ("infinity", b"0 .5 .5 .1 inf", 1, "inf", "height is not finite"),
    ("class above", b"0 .5 .5 .1 .1\n2 .5 .5 .1 .1", 2, "2", "class out of range: data.yaml names 2 classes, 0…1"),
    ("class below", b"-1 .5 .5 .1 .1", 1, "-1", "class out of range"),
    ("half a class", b"0.5 .5 .5 .1 .1", 1, "0.5", "whole number"),
    ("no width", b"0 .5 .5 0 .1", 1, "width 0", "must be above 0"),
    ("negative height", b"0 .5 .5 .1 -.1", 1, "height -.1", "must be above 0"),
    ("pixels", b"0 640 360 20 30", 1, "640 360 20 30", "divide x and width by the picture's width"),
    ("over the right edge", b"0 .98 .5 .1 .1", 1, "right 1.03", "clip it to the picture"),
    ("over the top", b"0 .5 .02 .1 .1", 1, "top -0.03", "clip it to the picture"),
    ("twice", b"0 .5 .5 .1 .1\n\n0 .5 .5 .1 .1\n", 3, "0 .5 .5 .1 .1", "the same box as line 1"),
    ("Latin-1", b"0 .5 .5 .1 .1\n0 .5 .5 .1 \xb51", 2, "byte 0xb5", "not UTF-8"),
]


@pytest.mark.parametrize(
    ("text", "line", "value", "message"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
def test_a_bad_line_is_named_with_its_value_and_its_fix(
    tmp_path: Path, text: bytes, line: int, value: str, message: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(text)
    faults = read_labels(path, NAMES).faults
    assert [(fault.path, fault.line, fault.value) for fault in faults] == [(path, line, value)]
    assert message in faults[0].message
    assert str(faults[0]).startswith(f"{path}:{line}: {value}: ")


def test_good_lines_around_a_bad_one_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0 .5 .5 .1 .1\nx .5 .5 .1 .1\n1 .2 .2 .1 .1\n")
    labels = read_labels(path, NAMES)
    assert labels.classes.tolist() == [0, 1]
    assert len(labels.faults) == 1


def test_windows_line_ends_a_byte_order_mark_and_blank_lines_are_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbf0 .5 .5 .1 .1\r\n\r\n1 .2 .2 .1 .1\r\n")
    labels = read_labels(path, NAMES)
    assert labels.classes.tolist() == [0, 1]
    assert not labels.faults


def test_rounding_over_the_edge_is_clipped_and_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("0 0.9505 0.5 0.1 0.2\n")
    labels = read_labels(path, NAMES)
    assert not labels.faults
    np.testing.assert_allclose(labels.boxes, [[0.9005, 0.4, 1.0, 0.6]], atol=1e-12)


@st.composite
def labelled_pictures(draw: st.DrawFn) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Width, height, boxes at least a tenth of a pixel large inside the picture, classes."""
    width, height = draw(st.integers(16, 8000)), draw(st.integers(16, 8000))
    boxes = []
    for _ in range(draw(st.integers(0, 6))):
        x0, y0 = draw(st.floats(0, width - 1)), draw(st.floats(0, height - 1))
        boxes.append((x0, y0, draw(st.floats(x0 + 0.1, width)), draw(st.floats(y0 + 0.1, height))))
    unique = list(dict.fromkeys(boxes))
    classes = draw(st.lists(st.integers(0, 1), min_size=len(unique), max_size=len(unique)))
    return width, height, np.array(unique).reshape(-1, 4), np.array(classes, dtype=np.int64)


@settings(deadline=None)
@given(labelled_pictures())
def test_boxes_survive_writing_and_reading(
    tmp_path_factory: pytest.TempPathFactory, picture: tuple[int, int, np.ndarray, np.ndarray]
) -> None:
    width, height, boxes, classes = picture
    path = tmp_path_factory.mktemp("round") / "a.txt"
    path.write_text(format_labels(boxes, classes, width=width, height=height))
    labels = read_labels(path, NAMES)
    same = [fault for fault in labels.faults if "the same box" not in fault.message]  # equal after rounding
    assert not same
    if not labels.faults:
        assert labels.classes.tolist() == classes.tolist()
        written, read = boxes.astype(np.float32), (labels.boxes * (width, height, width, height)).astype(np.float32)
        apart = (written != 0) & (written < 1e-4)
        np.testing.assert_array_equal(read[~apart], written[~apart])
        np.testing.assert_allclose(read[apart], written[apart], rtol=0, atol=1e-10)
