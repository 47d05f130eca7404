"""What every format's reader does with a labelled box: the same checks, the same words, one Sample a picture."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unina.data.class_list import NO_CLASS, ClassList
from unina.data.dataset import Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.images import image_size
from unina.data.yolo import TOLERANCE

SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""What folders and files of other formats call the splits."""


@dataclass(frozen=True)
class Reading:
    """What a reader found: all that is good, and every fault."""

    dataset: Dataset
    faults: tuple[Fault, ...]


Place = tuple[Path, int | None, str]
"""File, line, and where in it (`annotations[3].bbox: `; empty where the line says it all)."""


@dataclass(frozen=True)
class StatedSize:
    """The size of picture that labels were made for, as a file tells it."""

    place: Place
    width: int
    height: int


@dataclass(frozen=True)
class Mark:
    """One labelled box as a file tells it."""

    place: Place
    title: str
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1, pixels"""
    ignored: bool = False


def read_sample(
    image: Path,
    marks: Iterable[Mark],
    classes: ClassList,
    faults: list[Fault],
    *,
    stated: StatedSize | None = None,
    label_file: Path | None = None,
) -> Sample | None:
    """One picture with its boxes; adds to `faults`.

    Args:
        image: the picture; its size is read from its header.
        marks: its boxes, unchecked.
        classes: what their titles mean.
        faults: added to.
        stated: the size that the labels were made for; None where the format says none.
        label_file: of this picture alone.

    Returns:
        The good boxes, clipped to the picture; None when the picture itself is at fault.
    """
    try:
        width, height = image_size(image)
    except DataError as error:
        faults.extend(error.faults)
        return None
    if stated is not None and (stated.width, stated.height) != (width, height):
        path, line, shown = stated.place
        message = f"the picture is {width}×{height}: its boxes would sit wrong; restore the picture or mend the size"
        faults.append(Fault(path, line, f"{shown}{stated.width}×{stated.height}", f"{message} ({image})"))
        return None
    boxes: list[tuple[float, ...]] = []
    labels: list[int] = []
    ignored: list[tuple[float, ...]] = []
    seen: dict[tuple[object, ...], Mark] = {}
    for mark in marks:
        label = NO_CLASS if mark.ignored else classes.index.get(mark.title)
        if label is None:
            known = ", ".join(classes.index)
            faults.append(Fault(*mark.place[:2], _at(mark, mark.title), f"no such class; there is {known}; mend it"))
            continue
        wrong = box_fault(mark.box, width, height)
        if wrong is not None:
            faults.append(Fault(*mark.place[:2], _at(mark, wrong[0]), wrong[1]))
            continue
        first = seen.setdefault((label, mark.box), mark)
        if first is not mark:
            where = f"line {first.place[1]}" if first.place[1] is not None else first.place[2].rstrip(": ")
            faults.append(Fault(*mark.place[:2], _at(mark, ""), f"the same box as {where}; delete one of the two"))
            continue
        x0, y0, x1, y1 = mark.box
        box = (max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height))
        if label == NO_CLASS:
            ignored.append(box)
        else:
            boxes.append(box)
            labels.append(label)
    return Sample(
        image,
        width,
        height,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(ignored, np.float32).reshape(-1, 4),
        label_file,
    )


def box_fault(box: tuple[float, float, float, float], width: int, height: int) -> tuple[str, str] | None:
    """What is wrong with a box in pixels of a picture: the value and the message; None when it is good."""
    x0, y0, x1, y1 = box
    for name, value in (("left", x0), ("top", y0), ("right", x1), ("bottom", y1)):
        if not math.isfinite(value):
            return f"{name} {value:g}", "is not finite; write a number, or delete the box"
    if not x1 > x0:
        return f"left {x0:.9g}, right {x1:.9g}", "the width must be above 0; mend or delete the box"
    if not y1 > y0:
        return f"top {y0:.9g}, bottom {y1:.9g}", "the height must be above 0; mend or delete the box"
    for name, value, limit in (("left", x0, width), ("top", y0, height), ("right", x1, width), ("bottom", y1, height)):
        if not -TOLERANCE * limit <= value <= (1 + TOLERANCE) * limit:
            return f"{name} {value:.6g}", f"the box leaves the picture (0…{limit} px); clip it to the picture"
    # what is left of it inside the picture must have a size as float32, too
    left, top, right, bottom = np.clip(np.array(box), 0, (width, height, width, height)).astype(np.float32)
    if not (right > left and bottom > top):
        return f"{x0:.9g} {y0:.9g} {x1:.9g} {y1:.9g}", "the box holds no part of the picture; delete it"
    return None


def _at(mark: Mark, value: str) -> str:
    """The value with the place inside the file before it."""
    return f"{mark.place[2]}{value}" if value else mark.place[2].rstrip(": ")
