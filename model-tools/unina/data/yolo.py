"""Label files of YOLO-txt: one box a line, `class x_center y_center width height`, relative to the picture.

The format is Darknet's; the checks answer the errors that users of other trainers ask about most.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unina.data.faults import Fault

TOLERANCE = 2e-3
"""How far a box may reach over the edge, of the picture's size, and still be clipped silently: 2.5 px of 1280, the
rounding of label tools. All formats."""
DIGITS = (7, 9, 11, 13, 17)
"""Decimals that are tried in turn when a box is written; 17: all that a double has."""
COLUMNS = "class x_center y_center width height"


@dataclass(frozen=True)
class Labels:
    """One label file. `boxes`: float64 N×4 (x0, y0, x1, y1) relative to the picture, inside 0…1; `classes`: int64 N."""

    boxes: npt.NDArray[np.float64]
    classes: npt.NDArray[np.int64]
    faults: tuple[Fault, ...]


def read_labels(path: Path, names: Sequence[str]) -> Labels:
    """Every good box of a label file, and a fault for every line that holds none."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        byte = f"byte 0x{error.object[error.start]:02x}"
        return _labels([], [Fault(path, line, byte, "not UTF-8 text; save the label file as plain UTF-8 text")])
    except OSError as error:
        return _labels([], [Fault(path, None, "", f"can't be read ({error.strerror}); restore the label file")])
    rows: list[tuple[int, float, float, float, float]] = []
    faults: list[Fault] = []
    seen: dict[tuple[float, ...], int] = {}
    for number, text_line in enumerate(text.splitlines(), start=1):
        words = text_line.split()
        if not words:
            continue
        row = _read_line(path, number, words, names)
        if isinstance(row, Fault):
            faults.append(row)
        elif row in seen:
            faults.append(
                Fault(path, number, text_line.strip(), f"the same box as line {seen[row]}; delete one of the two")
            )
        else:
            seen[row] = number
            rows.append(row)
    return _labels(rows, faults)


def _labels(rows: Iterable[tuple[int, float, float, float, float]], faults: list[Fault]) -> Labels:
    table = np.array(list(rows), dtype=np.float64).reshape(-1, 5)
    centre, half = table[:, 1:3], table[:, 3:5] / 2
    boxes = np.clip(np.concatenate([centre - half, centre + half], axis=1), 0.0, 1.0)
    return Labels(boxes, table[:, 0].astype(np.int64), tuple(faults))


def _read_line(
    path: Path, line: int, words: list[str], names: Sequence[str]
) -> tuple[int, float, float, float, float] | Fault:
    """One line's box, or what is wrong with it (the first thing only: the others often follow from it)."""
    if len(words) != 5:
        hint = "; a polygon or rotated box? convert it to its bounding box" if len(words) > 6 else ""
        shown = " ".join(words[:6]) + (" …" if len(words) > 6 else "")
        return Fault(path, line, shown, f"{len(words)} columns; write 5: {COLUMNS}{hint}")
    numbers = []
    for word, column in zip(words, COLUMNS.split(), strict=True):
        try:
            numbers.append(float(word))
        except ValueError:
            return Fault(path, line, word, f"{column} is not a number")
        if not math.isfinite(numbers[-1]):
            return Fault(path, line, word, f"{column} is not finite; write a number, or delete the line")
    index, x, y, width, height = numbers
    if index != int(index):
        return Fault(path, line, words[0], "the class must be a whole number, counted from 0")
    if not 0 <= index < len(names):
        last = len(names) - 1
        return Fault(path, line, words[0], f"class out of range: data.yaml names {len(names)} classes, 0…{last}")
    if width <= 0 or height <= 0:
        column = "width" if width <= 0 else "height"
        return Fault(path, line, f"{column} {words[3 if width <= 0 else 4]}", "must be above 0; delete the line")
    edges = {"left": x - width / 2, "top": y - height / 2, "right": x + width / 2, "bottom": y + height / 2}
    if max(numbers[1:]) > 1.5:
        fix = "coordinates look like pixels; divide x and width by the picture's width, y and height by its height"
        return Fault(path, line, " ".join(words[1:]), fix)
    for name, edge in edges.items():
        if not -TOLERANCE <= edge <= 1 + TOLERANCE:
            return Fault(path, line, f"{name} {edge:.5g}", "the box leaves the picture (0…1); clip it to the picture")
    return int(index), x, y, width, height


def format_labels(boxes: npt.NDArray[np.floating], classes: npt.NDArray[np.integer], *, width: int, height: int) -> str:
    """The text of a label file.

    Args:
        boxes: N×4 (x0, y0, x1, y1) in pixels of a picture of `width` × `height`.
        classes: N class indices.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Reading it back gives the same float32 pixels: a number has as many decimals as that takes, at least 7. (Only an
    edge nearer than 1e-4 px to the picture's, but not on it, may come back another float32, within 1e-10 px.)
    """
    size = (float(width), float(height))
    lines = []
    for index, box in zip(classes, np.asarray(boxes).reshape(-1, 4).astype(np.float32), strict=True):
        words = next(words for digits in DIGITS if _same(words := _words(box, size, digits), box, size) or digits == 17)
        lines.append(f"{int(index)} {words}\n")
    return "".join(lines)


def _words(box: npt.NDArray[np.float32], size: tuple[float, float], digits: int) -> str:
    """Centre and size of a box relative to the picture."""
    (x0, y0, x1, y1), (width, height) = box.tolist(), size
    numbers = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
    return " ".join(f"{number:.{digits}f}" if digits < 17 else repr(number) for number in numbers)


def _same(words: str, box: npt.NDArray[np.float32], size: tuple[float, float]) -> bool:
    """Whether the words read back as the box."""
    x, y, width, height = map(float, words.split())
    edges = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return bool(width > 0 and height > 0 and ((edges.clip(0, 1) * (*size, *size)).astype(np.float32) == box).all())
