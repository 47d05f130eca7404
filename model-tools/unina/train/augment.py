"""A training crop: one view or a mosaic of four, objects pasted in, light and camera varied."""

import numpy as np

from unina.train.paste import paste_objects
from unina.train.photometric import vary
from unina.train.picture import FILL, Draw, Picture, no_boxes
from unina.train.spec import AugmentSpec
from unina.train.view import random_view

SEAM = (0.3, 0.7)
"""Where a mosaic's seams may lie, as parts of its side."""


def augment(
    picture: Picture,
    size: int,
    spec: AugmentSpec,
    rng: np.random.Generator,
    another: Draw,
    donor: Draw,
    mosaic_open: bool = True,
) -> Picture:
    """A size×size crop of the picture.

    `another` gives pictures for the rest of a mosaic, `donor` pictures with objects to paste; `mosaic_open` is False in
    the last part of a run.
    """
    if rng.random() < spec.mosaic and mosaic_open:
        crop = mosaic([picture, *(another(rng) for _ in range(3))], size, spec, rng)
    else:
        crop = random_view(picture, (size, size), spec, rng)
    if rng.random() < spec.paste:
        crop = paste_objects(crop, donor, spec, rng)
    return Picture(vary(crop.pixels, spec, rng), crop.boxes, crop.classes, crop.ignored)


def mosaic(pictures: list[Picture], size: int, spec: AugmentSpec, rng: np.random.Generator) -> Picture:
    """Four views side by side in a size×size square (YOLOv4, arXiv 2004.10934, section 3.3)."""
    x, y = (int(seam * size) for seam in rng.uniform(*SEAM, 2))
    cells = ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size))
    pixels = np.full((size, size, 3), FILL, np.uint8)
    boxes, classes, ignored = [no_boxes()], [np.zeros(0, np.int64)], [no_boxes()]
    for picture, (x0, y0, x1, y1) in zip(pictures, cells, strict=True):
        view = random_view(picture, (y1 - y0, x1 - x0), spec, rng)
        offset = np.array([x0, y0, x0, y0], np.float32)
        pixels[y0:y1, x0:x1] = view.pixels
        boxes.append(view.boxes + offset)
        classes.append(view.classes)
        ignored.append(view.ignored + offset)
    return Picture(pixels, np.concatenate(boxes), np.concatenate(classes), np.concatenate(ignored))
