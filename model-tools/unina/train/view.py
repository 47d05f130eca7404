"""Where a training crop looks: over an object or anywhere, a little nearer or farther, mirrored, stretched, rotated."""

import numpy as np
import numpy.typing as npt

from unina.train.picture import Picture, affine
from unina.train.spec import AugmentSpec


def random_view(picture: Picture, size: tuple[int, int], spec: AugmentSpec, rng: np.random.Generator) -> Picture:
    """A crop of size (height, width), resampled once."""
    zoom = picture.scale * float(np.exp(rng.uniform(np.log(spec.scale_min), np.log(spec.scale_max))))
    ratio = np.sqrt(rng.uniform(1 - spec.stretch, 1 + spec.stretch))
    zooms = zoom * np.array([ratio, 1 / ratio])  # x, y
    window = np.array(size[::-1]) / zooms  # what the crop sees, in the picture's pixels
    centre = view_centre(picture, window, spec, rng)
    angle = np.deg2rad(rng.uniform(-spec.rotate, spec.rotate))
    mirror = -1.0 if rng.random() < spec.flip else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag(zooms * (mirror, 1.0))
    shift = np.array(size[::-1]) / 2 - linear @ centre
    return affine(picture, np.column_stack((linear, shift)), size, spec.keep_visible)


def view_centre(
    picture: Picture, window: npt.NDArray[np.float64], spec: AugmentSpec, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Centre (x, y) of a view that sees `window` (width, height): it stays inside the picture, or holds all of it."""
    size = np.array(picture.pixels.shape[1::-1], np.float64)
    centre = rng.uniform(0, 1, 2) * size
    if len(picture.boxes):
        middles = (picture.boxes[:, :2] + picture.boxes[:, 2:]) / 2
        if rng.random() < spec.focus:
            label = rng.choice(np.unique(picture.classes))
            centre = middles[rng.choice(np.flatnonzero(picture.classes == label))] + rng.uniform(-0.4, 0.4, 2) * window
        elif rng.random() < spec.horizon:
            centre[1] = rng.choice(middles[:, 1]) + rng.uniform(-0.4, 0.4) * window[1]
    slack = size - window
    inside = np.clip(centre, window / 2, np.maximum(size - window / 2, window / 2))
    around = size / 2 + rng.uniform(-0.5, 0.5, 2) * np.abs(slack)
    return np.where(slack > 0, inside, around)
