"""letterbox() gives what docs/bundle.md says, whatever NumPy view it is handed."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unina_runtime import Placement, UninaError, letterbox


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * 9001 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)


sides = st.integers(1, 5000)


@given(w=sides, h=sides, width=sides, height=sides)
def test_placement_follows_the_formula_exactly(w: int, h: int, width: int, height: int) -> None:
    placement = Placement.fit(w, h, width, height)
    r = min(Fraction(width, w), Fraction(height, h))
    expected = [max(1, int(side * r + Fraction(1, 2))) for side in (w, h)]
    assert [placement.width, placement.height] == expected
    assert (placement.left, placement.top) == ((width - expected[0]) // 2, (height - expected[1]) // 2)


@given(w=sides, h=sides, width=sides, height=sides, seed=st.integers(0, 99))
def test_boxes_come_back_from_the_input(w: int, h: int, width: int, height: int, seed: int) -> None:
    placement = Placement.fit(w, h, width, height)
    boxes = np.random.default_rng(seed).uniform(0, 1, (5, 4)).astype(np.float32) * np.float32([w, h, w, h])
    back = placement.to_source(placement.to_input(boxes))
    # A float32 step in input pixels, as large as it is in source pixels.
    step = max(width, height) * 2.0**-22 * max(w / placement.width, h / placement.height) + max(w, h) * 2.0**-22
    np.testing.assert_allclose(back, boxes, atol=step)
    outside = placement.to_source(np.float32([[-1e6, -1e6, 1e6, 1e6]]))
    np.testing.assert_array_equal(outside, np.float32([[0, 0, w, h]]))


def test_padding_surrounds_the_picture_and_color_orders_the_channels() -> None:
    image = noise(72, 128)
    rgb, placement = letterbox(image, 96, 160, value=7)
    bgr, _ = letterbox(image, 96, 160, value=7, color="bgr")
    assert (placement.left, placement.top, placement.width, placement.height) == (0, 3, 160, 90)
    np.testing.assert_array_equal(rgb, bgr[..., ::-1])
    assert (rgb[:3] == 7).all() and (rgb[93:] == 7).all() and rgb[3:93].std() > 10


def test_a_picture_of_the_right_size_is_only_reordered() -> None:
    image = noise(48, 64)
    out, placement = letterbox(image, 48, 64)
    np.testing.assert_array_equal(out, image[..., ::-1])
    assert placement == Placement(left=0, top=0, width=64, height=48, source_width=64, source_height=48)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_every_view_gives_what_its_copy_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = noise(60, 80)
    views = [image[5:40, 7:70], image[::-1], image[:, ::-1], image[::2], image[:, ::3], image[..., ::-1]]
    view = views[rng.integers(len(views))]
    out, _ = letterbox(view, 32, 64)
    again, _ = letterbox(np.ascontiguousarray(view), 32, 64)
    np.testing.assert_array_equal(out, again)


@pytest.mark.parametrize(
    ("image", "arguments", "message"),
    [
        (
            np.zeros((4, 4, 3), np.float32),
            {},
            "expected a uint8 array of height x width x 3 (BGR), got float32 (4, 4, 3)",
        ),
        (np.zeros((4, 4, 3), np.int8), {}, "expected a uint8 array"),
        (np.zeros((4, 4), np.uint8), {}, "got uint8 (4, 4)"),
        (np.zeros((4, 4, 4), np.uint8), {}, "got uint8 (4, 4, 4)"),
        (np.zeros((0, 4, 3), np.uint8), {}, "the array is empty"),
        (np.zeros((4, 0, 3), np.uint8), {}, "the array is empty"),
        (np.zeros((4, 4, 3), np.uint8), {"value": 256}, "value 256"),
        (np.zeros((4, 4, 3), np.uint8), {"color": "hsv"}, "'hsv' is neither"),
        (np.zeros((4, 4, 3), np.uint8), {"height": 0}, "height 0"),
        (np.zeros((4, 4, 3), np.uint8), {"width": -5}, "width -5"),
    ],
)
def test_what_is_no_picture_is_refused(image: np.ndarray, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UninaError) as error:
        letterbox(image, **({"height": 32, "width": 64} | arguments))
    assert message in str(error.value)


def test_placement_survives_pickling() -> None:
    placement = Placement.fit(1280, 720, 640, 384)
    assert pickle.loads(pickle.dumps(placement)) == placement
    assert hash(placement) == hash(Placement.fit(1280, 720, 640, 384))
    assert placement != Placement.fit(1280, 721, 640, 384)


def test_boxes_that_are_not_n_by_4_are_refused() -> None:
    with pytest.raises(UninaError, match="N x 4"):
        Placement.fit(8, 8, 8, 8).to_source(np.zeros((3, 5), np.float32))
