"""Augmentation moves boxes with their pixels and leaves the colour of a cone what it is."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.train.augment import augment
from unina.train.paste import paste_objects
from unina.train.photometric import add_noise, vary
from unina.train.picture import Picture
from unina.train.spec import AugmentSpec
from unina.train.view import random_view, view_centre

CONES = {"blue": (20, 60, 190), "yellow": (240, 200, 20), "orange": (235, 90, 20), "large": (225, 60, 15)}
"""RGB of sunlit cone plastic, by the classes' rulebook colours."""
SHADES = (0.35, 0.6, 1.0, 1.08)
"""From shadow to just short of clipping."""


def hue_degrees(rgb: np.ndarray) -> float:
    """Hue of a colour in 0…360, in float so that no rounding helps."""
    return float(cv2.cvtColor((rgb.reshape(1, 1, 3) / 255).astype(np.float32), cv2.COLOR_RGB2HSV)[0, 0, 0])


def nearest_cone(rgb: np.ndarray) -> str:
    """The kind of cone whose hue is nearest; the two oranges are one."""
    hue = hue_degrees(rgb)

    def apart(name: str) -> float:
        difference = abs(hue_degrees(np.array(CONES[name])) - hue) % 360
        return min(difference, 360 - difference)

    return min(CONES, key=apart).replace("large", "orange")


def median_color(pixels: np.ndarray) -> np.ndarray:
    return np.median(pixels.reshape(-1, 3), axis=0)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(CONES)),
    st.sampled_from(SHADES),
    st.integers(0, 2**31),
    st.sampled_from([AugmentSpec(jpeg=0.5), AugmentSpec(hue=10, saturation=0.5, value=1, blur=1, noise=1, jpeg=1)]),
)
def test_no_cone_takes_the_colour_of_another_class(name: str, shade: float, seed: int, spec: AugmentSpec) -> None:
    color = np.clip(np.array(CONES[name]) * shade, 0, 255)
    patch = np.broadcast_to(color.astype(np.uint8), (16, 16, 3)).copy()
    varied = median_color(vary(patch, spec, np.random.default_rng(seed)))
    if varied.max() - varied.min() < 25:
        return  # too dark to have a colour, for the camera as well
    assert nearest_cone(varied) == name.replace("large", "orange")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31))
def test_every_object_of_a_whole_augmented_crop_has_the_colour_of_its_class(seed: int) -> None:
    """Mosaic, paste, stretch, rotation, light and compression together, on cones painted in their class's colour."""
    names = sorted(CONES)
    picture = marked(np.array([[10.0, 10, 40, 55], [60, 30, 90, 75], [110, 20, 140, 65]]))
    for box, label in zip(picture.boxes.astype(int), picture.classes, strict=True):
        picture.pixels[box[1] : box[3], box[0] : box[2]] = CONES[names[label]]
    spec = AugmentSpec(mosaic=0.5, paste=1, blur=0.5, noise=0.5, jpeg=0.5)
    crop = augment(picture, 96, spec, np.random.default_rng(seed), lambda rng: picture, lambda rng: picture)
    for box, label in zip(np.rint(crop.boxes).astype(int), crop.classes, strict=True):
        x, y, width, height = *box[:2], *(box[2:] - box[:2])
        middle = crop.pixels[y + height // 2 : y + height * 3 // 4, x + width // 3 : x + width - width // 3]
        overlapping = ((crop.boxes[:, :2] < box[2:]) & (crop.boxes[:, 2:] > box[:2])).all(axis=1).sum() > 1
        if middle.size < 48 or overlapping:
            continue
        found = median_color(middle)
        if found.max() - found.min() >= 25:
            assert nearest_cone(found) == names[label].replace("large", "orange")


def test_pasted_objects_are_boxed_where_they_were_painted() -> None:
    """White objects pasted onto black: every new box is full of white, none hides much of what was there."""
    donor = marked(np.array([[20.0, 20, 50, 65]]))
    black = Picture(np.zeros((96, 96, 3), np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    pasted = 0
    for seed in range(30):
        crop = paste_objects(black, lambda rng: donor, AugmentSpec(value=0), np.random.default_rng(seed))
        pasted += len(crop.boxes)
        covered = np.zeros((96, 96), bool)
        for x0, y0, x1, y1 in crop.boxes.astype(int):
            covered[y0:y1, x0:x1] = True
            column = crop.pixels[y0:y1, (x0 + x1) // 2, 0]
            assert column.min() > 200, "the outline reaches from top to bottom in its middle"
        assert not crop.pixels[~covered].any()
    assert pasted > 30


def test_scaling_rgb_would_have_changed_the_class() -> None:
    """Why brightness moves in HSV: a lit orange, brightened channel by channel until red clips, is nearer to yellow."""
    orange = np.array(CONES["orange"], float)
    assert nearest_cone(np.clip(orange * 2.2, 0, 255)) == "yellow"


def test_noise_has_no_hue() -> None:
    grey = np.full((32, 32, 3), 120, np.uint8)
    noisy = add_noise(grey, np.random.default_rng(0))
    assert noisy.std() > 0.5
    assert (noisy == noisy[:, :, :1]).all()


def marked(boxes: np.ndarray, height: int = 96, width: int = 160) -> Picture:
    """A black picture whose boxes are filled with white."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for x0, y0, x1, y1 in boxes.astype(int):
        pixels[y0:y1, x0:x1] = 255
    return Picture(pixels, boxes.astype(np.float32), np.arange(len(boxes), dtype=np.int64) % 3)


@settings(max_examples=80, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(20, 120), st.integers(16, 70), st.integers(8, 30), st.sampled_from([0.0, 1.0])
)
def test_a_box_stays_on_its_pixels(seed: int, x: int, y: int, size: int, flip: float) -> None:
    """The white of each crop spans exactly the box that is said to hold it, to half a pixel of resampling."""
    box = np.array([[x, y, x + size, y + size * 0.75 // 1]], float)
    spec = AugmentSpec(flip=flip, scale_min=0.8, scale_max=2.0, rotate=0, focus=1.0, keep_visible=0.0)
    crop = random_view(marked(box), (64, 64), spec, np.random.default_rng(seed))
    if not len(crop.boxes):
        return
    bright = (crop.pixels[:, :, 0].astype(float) - np.where(crop.pixels[:, :, 0] == 128, 128, 0)) > 127
    ys, xs = np.nonzero(bright)
    found = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
    assert np.abs(found - crop.boxes[0]).max() <= 1.0


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 6), st.sampled_from([32, 64, 192]))
def test_crops_have_valid_boxes_and_the_asked_size(seed: int, count: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, (140, 80), (count, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(1, 40, (count, 2))), axis=1).clip(0, (160, 96, 160, 96))
    spec = AugmentSpec(mosaic=0.5, paste=0.5, jpeg=0.5)
    picture = marked(boxes)
    crop = augment(picture, size, spec, rng, lambda rng: picture, lambda rng: picture)
    assert crop.pixels.shape == (size, size, 3) and crop.pixels.dtype == np.uint8
    assert len(crop.boxes) == len(crop.classes)
    assert crop.boxes.shape == (len(crop.classes), 4)
    if len(crop.boxes):
        assert crop.boxes.min() >= 0 and crop.boxes.max() <= size
        assert (crop.boxes[:, 2:] - crop.boxes[:, :2]).min() >= 1.99


def test_crops_without_focus_lie_level_with_the_cones_as_often_as_asked() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([[300, 90, 310, 105], [500, 95, 506, 104]], np.float32)
    picture = Picture(np.zeros((1000, 1000, 3), np.uint8), boxes, np.zeros(2, np.int64))
    window = np.array([100.0, 100.0])
    for horizon, least, most in ((0.0, 0.03, 0.2), (0.5, 0.4, 0.65), (1.0, 1.0, 1.0)):
        spec = AugmentSpec(focus=0, horizon=horizon)
        rows = np.array([view_centre(picture, window, spec, rng) for _ in range(200)])
        level = np.abs(rows[:, 1] - 98.5) <= 41  # 0.4 of the window beside a cone's middle
        assert least <= level.mean() <= most
        assert rows[:, 0].std() > 200  # anywhere across


def test_a_crop_larger_than_the_picture_shows_all_of_it_on_grey() -> None:
    crop = random_view(
        marked(np.array([[10.0, 10, 50, 50]])),
        (256, 256),
        AugmentSpec(scale_min=1, scale_max=1, stretch=0, rotate=0),
        np.random.default_rng(1),
    )
    assert len(crop.boxes) == 1
    assert 256 * 256 - 98 * 162 <= (crop.pixels == 128).all(axis=2).sum() <= 256 * 256 - 95 * 159


def test_the_same_seed_gives_the_same_crop() -> None:
    picture = marked(np.array([[10.0, 10, 50, 50], [60, 30, 90, 70]]))
    spec = AugmentSpec(mosaic=0.5, paste=1, jpeg=0.5)
    first, second = (
        augment(picture, 64, spec, np.random.default_rng(7), lambda rng: picture, lambda rng: picture) for _ in range(2)
    )
    assert np.array_equal(first.pixels, second.pixels) and np.array_equal(first.boxes, second.boxes)


@pytest.mark.parametrize("fields", [{"hue": 40.0}, {"flip": 1.5}, {"scale_min": 2.0, "scale_max": 1.0}])
def test_impossible_or_unsafe_values_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"augment\."):
        AugmentSpec(**fields)
