"""The frame of FSOCO's pictures: black bars of 140 px on every side, with the team's mark in the lower one."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.dataset import Sample
from unina.data.faults import DataError, Fault
from unina.data.images import read_image

FSOCO_PX = 140
"""Width of the frame. Measured on pictures of three teams and seven sizes: 140 on every side, whatever the size."""
BLACK = 24
"""Highest value of a frame's pixel: JPEG leaves up to 19 within 4 px of the picture."""
CLEAR_PX = 4
"""Pixels next to the picture that are not looked at."""
SHARE = 0.999
JPEG_QUALITY = 95


def find_border(pixels: npt.NDArray[np.uint8]) -> int:
    """Width of FSOCO's frame around a picture: FSOCO_PX or 0.

    The rule: of the bars at the top, left and right at least SHARE of the pixels are black, and the picture inside is
    not. The lower bar is not looked at, since it holds the team's mark. Pictures without frame give 0.

    Args:
        pixels: uint8 H×W×3.
    """
    height, width = pixels.shape[:2]
    bar = FSOCO_PX - CLEAR_PX
    if min(height, width) <= 2 * FSOCO_PX:
        return 0
    bars = (pixels[:bar], pixels[:, :bar], pixels[:, -bar:])
    if any((part.max(axis=2) <= BLACK).mean() < SHARE for part in bars):
        return 0
    inside = pixels[FSOCO_PX : height - FSOCO_PX, FSOCO_PX : width - FSOCO_PX]
    return FSOCO_PX if (inside.max(axis=2) > BLACK).mean() > 1 - SHARE else 0


def without_border(sample: Sample, border: int) -> tuple[Sample, tuple[Fault, ...]]:
    """The sample as it is when `border` pixels are cut off every side of its picture (the file stays as it is).

    Boxes move along and are clipped; those that lay in the border alone are left out, and said so.

    Raises:
        DataError: nothing of the picture would be left.
    """
    width, height = sample.width - 2 * border, sample.height - 2 * border
    if width <= 0 or height <= 0:
        size = f"{sample.width}×{sample.height}"
        raise DataError([Fault(sample.image, None, size, f"smaller than a border of {border} px on every side")])
    boxes, kept = _cropped(sample.boxes, border, width, height)
    ignored, kept_ignored = _cropped(sample.ignored, border, width, height)
    faults = tuple(
        Fault(sample.image, None, " ".join(f"{edge:g}" for edge in box), "lies in the border")
        for box in sample.boxes[~kept]
    )
    told = replace(
        sample,
        width=width,
        height=height,
        boxes=boxes[kept],
        classes=sample.classes[kept],
        ignored=ignored[kept_ignored],
    )
    return told, faults


def write_cropped(image: Path, target: Path, border: int) -> None:
    """Writes a picture without its border: JPEG at quality JPEG_QUALITY, all else without loss.

    Raises:
        DataError: the picture can't be read.
    """
    pixels = read_image(image)[border:-border, border:-border]
    settings = {".jpg": [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY], ".webp": [cv2.IMWRITE_WEBP_QUALITY, 101]}
    suffix = ".jpg" if target.suffix.lower() == ".jpeg" else target.suffix.lower()
    _, data = cv2.imencode(suffix, pixels, settings.get(suffix, []))
    target.write_bytes(data.tobytes())


def _cropped(
    boxes: npt.NDArray[np.float32], border: int, width: int, height: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Moved and clipped boxes, and which of them still have a size."""
    moved = boxes - np.float32(border)
    clipped = np.clip(moved, 0, np.array([width, height, width, height], np.float32))
    return clipped, (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
