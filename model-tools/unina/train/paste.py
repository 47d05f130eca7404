"""Copy-paste (arXiv 2012.07177, section 3) for cones labelled by boxes: cut by a cone-shaped mask with a soft rim.

Pixels are scaled in size and brightness, never in hue, so a pasted cone keeps its class.
"""

import cv2
import numpy as np
import numpy.typing as npt

from unina.train.photometric import jitter_color
from unina.train.picture import Boxes, Draw, Image, Picture
from unina.train.spec import AugmentSpec

MOST = 4
"""Most objects pasted into one crop."""
HEIGHT_PX = (7.0, 70.0)
"""Heights of pasted objects, drawn log-uniformly; never above the object's own height."""
SOURCE_PX = 12.0
"""Objects lower than this have too few pixels to be cut out."""
OVERLAP = 0.3
"""A pasted object may hide at most this part of another one's box."""
OUTLINE = ((0.34, 0.0), (0.66, 0.0), (0.88, 0.86), (1.0, 0.90), (1.0, 1.0), (0.0, 1.0), (0.0, 0.90), (0.12, 0.86))
"""A cone on its base plate inside its box, x and y in 0…1."""


def paste_objects(crop: Picture, donor: Draw, spec: AugmentSpec, rng: np.random.Generator) -> Picture:
    """Pastes up to MOST objects of drawn pictures into a crop, each where it hides little of what is there."""
    pixels = crop.pixels.copy()
    boxes, classes = [*crop.boxes], [*crop.classes]
    for _ in range(int(rng.integers(1, MOST + 1))):
        picture = donor(rng)
        chosen = choose(picture, rng)
        if chosen is None:
            continue
        patch = cut(picture, chosen, rng)
        height, width = patch.shape[:2]
        place = free_place(crop.pixels.shape[:2], height, width, np.array(boxes, np.float32).reshape(-1, 4), rng)
        if place is None:
            continue
        x, y = place
        mask = outline_mask(height, width)
        under = pixels[y : y + height, x : x + width]
        blended = under + mask * (jitter_color(patch, spec, rng).astype(np.float32) - under)
        pixels[y : y + height, x : x + width] = np.rint(blended).astype(np.uint8)
        boxes.append(np.array([x, y, x + width, y + height], np.float32))
        classes.append(picture.classes[chosen])
    if len(boxes) == len(crop.boxes):
        return crop
    return Picture(pixels, np.array(boxes, np.float32), np.array(classes, np.int64), crop.ignored)


def choose(picture: Picture, rng: np.random.Generator) -> int | None:
    """An object that stands whole and free in the picture, its class drawn evenly; None where there is none."""
    boxes = picture.boxes
    height, width = picture.pixels.shape[:2]
    whole = (boxes[:, :2] > 1).all(axis=1) & (boxes[:, 2] < width - 1) & (boxes[:, 3] < height - 1)
    tall = boxes[:, 3] - boxes[:, 1] >= SOURCE_PX
    free = np.array([hidden(box, np.delete(boxes, i, axis=0)) == 0 for i, box in enumerate(boxes)], bool)
    good = np.flatnonzero(whole & tall & free)
    if len(good) == 0:
        return None
    label = rng.choice(np.unique(picture.classes[good]))
    return int(rng.choice(good[picture.classes[good] == label]))


def cut(picture: Picture, index: int, rng: np.random.Generator) -> Image:
    """The pixels of an object's box, made smaller: uint8 h×w×3."""
    x0, y0, x1, y1 = np.rint(picture.boxes[index]).astype(int)
    patch = picture.pixels[y0:y1, x0:x1]
    tallest = max(HEIGHT_PX[0], min(HEIGHT_PX[1], float(y1 - y0)))
    height = max(2, round(float(np.exp(rng.uniform(np.log(HEIGHT_PX[0]), np.log(tallest))))))
    width = max(2, round(height * (x1 - x0) / (y1 - y0)))
    return np.asarray(cv2.resize(patch, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def free_place(
    size: tuple[int, int], height: int, width: int, boxes: Boxes, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Left and top of a place that hides little of N×4 boxes in a picture of `size` (height, width); None: none."""
    if height >= size[0] or width >= size[1]:
        return None
    for _ in range(5):
        x, y = int(rng.integers(0, size[1] - width)), int(rng.integers(0, size[0] - height))
        box = np.array([x, y, x + width, y + height], np.float32)
        if all(hidden(other, box[None]) <= OVERLAP for other in boxes) and hidden(box, boxes) <= OVERLAP:
            return x, y
    return None


def hidden(box: Boxes, others: Boxes) -> float:
    """The largest part of `box` (4) that one of `others` (N×4) covers; 0 without others."""
    if len(others) == 0:
        return 0.0
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    area = float((box[2:] - box[:2]).prod())
    return float((high - low).clip(0).prod(axis=1).max()) / max(area, 1e-9)


def outline_mask(height: int, width: int) -> npt.NDArray[np.float32]:
    """H×W×1, 1 inside the outline, 0 outside, soft over a pixel: drawn four times as large and averaged."""
    mask = np.zeros((height * 4, width * 4), np.float32)
    points = np.rint(np.array(OUTLINE) * (width * 4 - 1, height * 4 - 1)).astype(np.int32)
    cv2.fillPoly(mask, [points], 1.0)
    return cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)[:, :, None]
