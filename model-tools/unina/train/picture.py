"""A training picture and its boxes, and the affine map that moves both."""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Boxes = npt.NDArray[np.float32]
FILL = 128
"""Outside the picture: the letterbox value, 0 after pixel − 128."""
MIN_SIDE_PX = 2.0
"""Boxes smaller than this in a crop cannot be seen: they are ignored."""


def no_boxes() -> Boxes:
    """0×4."""
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True)
class Picture:
    """A picture with its boxes, all in its own pixels."""

    pixels: Image
    """H×W×3 RGB"""
    boxes: Boxes
    """N×4 xyxy"""
    classes: npt.NDArray[np.int64]
    """N"""
    ignored: Boxes = field(default_factory=no_boxes)
    """M×4 xyxy: where nothing is to be learnt"""
    scale: float = 1.0
    """pixels of the network's input a pixel of this picture"""


Draw = Callable[[np.random.Generator], Picture]
"""Draws one more picture of the training set."""


def affine(picture: Picture, matrix: npt.NDArray[np.float64], size: tuple[int, int], keep_visible: float) -> Picture:
    """Moves a picture by a 2×3 matrix (pixel edges to pixel edges) into a view of size (height, width).

    Boxes stay upright. A rotation would enlarge the hull of their corners, so the hull of the inscribed ellipse is
    taken, which for objects narrower at the top is nearer to what one would draw. A box of which less than
    `keep_visible` remains, or that is too small to see, becomes an ignored region.
    """
    height, width = size
    centred = matrix.copy()  # warpAffine puts pixel centres on integers, our boxes put pixel edges there
    centred[:, 2] += 0.5 * matrix[:, :2].sum(axis=1) - 0.5
    fill = (FILL, FILL, FILL)
    pixels = cv2.warpAffine(picture.pixels, centred, (width, height), flags=cv2.INTER_LINEAR, borderValue=fill)
    whole = move_boxes(picture.boxes, matrix)
    limits = (width, height, width, height)
    clipped = whole.clip(0, limits)
    sides = clipped[:, 2:] - clipped[:, :2]
    visible = sides.prod(axis=1) / np.maximum((whole[:, 2:] - whole[:, :2]).prod(axis=1), 1e-9)
    kept = (sides.min(axis=1, initial=np.inf) >= MIN_SIDE_PX) & (visible >= keep_visible)
    ignored = np.concatenate((clipped[~kept], move_boxes(picture.ignored, matrix).clip(0, limits)))
    inside = (ignored[:, 2:] > ignored[:, :2]).all(axis=1)
    return Picture(
        np.asarray(pixels, np.uint8),
        clipped[kept].astype(np.float32),
        picture.classes[kept],
        ignored[inside].astype(np.float32),
    )


def move_boxes(boxes: npt.NDArray[np.floating], matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Upright boxes around the moved ellipses of upright boxes, N×4 each; exact without rotation and shear."""
    corners = boxes.astype(np.float64).reshape(-1, 2, 2)
    centre = corners.mean(axis=1) @ matrix[:, :2].T + matrix[:, 2]
    half = np.sqrt(((corners[:, 1] - corners[:, 0]) / 2) ** 2 @ (matrix[:, :2].T ** 2))
    return np.concatenate((centre - half, centre + half), axis=1)
