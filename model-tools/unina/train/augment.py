"""Varies training pictures: a random crop at about native scale, a flip, a little colour, blur and noise.

Colour is the class of a cone, so brightness and saturation move in HSV, where the hue survives clipping (scaling RGB
until red clips turns orange into yellow), and the hue itself moves by a few degrees only.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from unina.train.spec import AugmentSpec

Image = npt.NDArray[np.uint8]
FILL = 128
"""Outside the picture: the letterbox value, 0 after pixel − 128."""
MIN_SIDE_PX = 2.0
"""Boxes smaller than this after the crop cannot be seen and are dropped."""


@dataclass(frozen=True)
class Picture:
    """A letterboxed picture and its boxes."""

    pixels: Image
    """H×W×3 RGB"""
    boxes: npt.NDArray[np.float32]
    """N×4 xyxy, pixels of this picture"""
    classes: npt.NDArray[np.int64]
    """N"""


def augment(picture: Picture, size: int, spec: AugmentSpec, rng: np.random.Generator) -> Picture:
    """A size×size crop of the picture, varied."""
    crop = random_crop(picture, size, spec, rng)
    pixels = jitter_color(crop.pixels, spec, rng)
    if rng.random() < spec.blur:
        pixels = blur(pixels, rng)
    if rng.random() < spec.noise:
        pixels = add_noise(pixels, rng)
    return Picture(pixels, crop.boxes, crop.classes)


def random_crop(picture: Picture, size: int, spec: AugmentSpec, rng: np.random.Generator) -> Picture:
    """Zooms, crops and mirrors in one resampling."""
    height, width = picture.pixels.shape[:2]
    zoom = float(np.exp(rng.uniform(np.log(spec.scale_min), np.log(spec.scale_max))))
    window = size / zoom  # side of the crop in the picture's pixels
    centre = np.array([rng.uniform(0, width), rng.uniform(0, height)])
    if len(picture.boxes) and rng.random() < spec.focus:
        label = rng.choice(np.unique(picture.classes))
        box = picture.boxes[rng.choice(np.flatnonzero(picture.classes == label))]
        centre = (box[:2] + box[2:]) / 2 + rng.uniform(-0.4, 0.4, 2) * window
    # A window that fits stays inside the picture; one that does not keeps all of the picture in view.
    slack = np.array([width, height]) - window
    left, top = np.where(
        slack > 0, np.clip(centre - window / 2, 0, np.maximum(slack, 0)), rng.uniform(0, 1, 2) * np.minimum(slack, 0)
    )
    matrix = np.array([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]])
    mirror = rng.random() < spec.flip
    if mirror:
        matrix[0] = [-zoom, 0, size + left * zoom]
    # warpAffine puts pixel centres on integers, our boxes put pixel edges there
    shift = 0.5 * matrix[:, :2].sum(axis=1) - 0.5
    centred = matrix.copy()
    centred[:, 2] += shift
    pixels = cv2.warpAffine(
        picture.pixels, centred, (size, size), flags=cv2.INTER_LINEAR, borderValue=(FILL, FILL, FILL)
    )
    boxes = picture.boxes.astype(np.float64) * zoom + np.tile(matrix[:, 2] if not mirror else (0, matrix[1, 2]), 2)
    if mirror:
        boxes[:, [0, 2]] = matrix[0, 2] - picture.boxes[:, [2, 0]].astype(np.float64) * zoom
    clipped = boxes.clip(0, size)
    sides = clipped[:, 2:] - clipped[:, :2]
    area = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-9)
    kept = (sides.min(axis=1, initial=np.inf) >= MIN_SIDE_PX) & (sides.prod(axis=1) / area >= spec.keep_visible)
    return Picture(np.asarray(pixels, np.uint8), clipped[kept].astype(np.float32), picture.classes[kept])


def jitter_color(pixels: Image, spec: AugmentSpec, rng: np.random.Generator) -> Image:
    """Shifts the hue by a few degrees, scales saturation and value; uint8 H×W×3 RGB."""
    hue = rng.uniform(-1, 1) * spec.hue / 2  # OpenCV counts hue in units of two degrees
    saturation = 1 + rng.uniform(-1, 1) * spec.saturation
    value = 1 + rng.uniform(-1, 1) * spec.value
    steps = np.arange(256, dtype=np.float64)
    table = np.stack(
        (
            np.rint(steps + hue) % 180,
            np.rint(steps * saturation).clip(0, 255),
            np.rint(steps * value).clip(0, 255),
        ),
        axis=1,
    ).astype(np.uint8)
    hsv = cv2.LUT(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), table[:, None, :])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def blur(pixels: Image, rng: np.random.Generator) -> Image:
    """A soft focus or a short horizontal motion."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (3, 3), rng.uniform(0.4, 1.0)), np.uint8)
    return np.asarray(cv2.blur(pixels, (int(rng.integers(2, 5)), 1)), np.uint8)


def add_noise(pixels: Image, rng: np.random.Generator) -> Image:
    """Normal noise of up to 6 grey levels, the same in all channels, so that it has no hue."""
    strength = np.float32(rng.uniform(1, 6))
    noise = np.rint(rng.standard_normal(pixels.shape[:2], np.float32) * strength).astype(np.int16)
    return np.asarray((pixels + noise[:, :, None]).clip(0, 255), np.uint8)
