"""The C++ decoder says what an independent NumPy computation says: int8, float16, float32; DFL, plain distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_decode import numpy_decode

from unina_runtime import Detections, Placement, UninaError, decode

STRIDES = (4, 8)
SIZE = (24, 40)  # height, width of the input


def whole_input() -> Placement:
    return Placement(left=0, top=0, width=SIZE[1], height=SIZE[0], source_width=SIZE[1], source_height=SIZE[0])


def assert_same(found: Detections, expected: list[tuple[float, int, list[float]]]) -> None:
    assert len(found) == len(expected)
    assert [int(c) for c in found.classes] == [c for _, c, _ in expected]
    np.testing.assert_allclose(found.scores, [s for s, _, _ in expected], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, np.reshape([b for _, _, b in expected], (-1, 4)), atol=2e-3, rtol=1e-5)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    classes=st.integers(1, 40),
    reg_max=st.sampled_from([1, 2, 7, 16]),
    source=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    max_detections=st.sampled_from([1, 5, 300]),
)
def test_int8_maps(seed: int, classes: int, reg_max: int, source: tuple[int, int], max_detections: int) -> None:
    rng = np.random.default_rng(seed)
    thresholds = rng.uniform(0.3, 0.95, classes).astype(np.float32)
    # Box scales small enough that no distance is so near to zero that float32 and float64 differ on "empty".
    class_scale, box_scale = np.float32(rng.uniform(0.01, 0.1)), np.float32(rng.uniform(0.005, 0.02))
    shapes = [(SIZE[0] // s, SIZE[1] // s) for s in STRIDES]
    logits = [rng.integers(-128, 128, (classes, *shape)).astype(np.int8) for shape in shapes]
    boxes = [rng.integers(-128, 128, (4 * reg_max, *shape)).astype(np.int8) for shape in shapes]
    placement = Placement.fit(source[0], source[1], SIZE[1], SIZE[0])
    common = {"strides": STRIDES, "reg_max": reg_max, "thresholds": list(thresholds), "placement": placement}
    found = decode(logits, boxes, **common, scales=[(class_scale, box_scale)] * 2, max_detections=max_detections)
    expected = numpy_decode(
        [m * class_scale for m in logits], [m * box_scale for m in boxes], **common, max_detections=max_detections
    )
    assert_same(found, expected)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32 - 1), classes=st.integers(1, 9), reg_max=st.sampled_from([1, 16]))
def test_float_maps(seed: int, classes: int, reg_max: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(SIZE[0] // s, SIZE[1] // s) for s in STRIDES]
    count = sum(classes * h * w for h, w in shapes)
    # Distinct logits: near-ties could be ordered either way by a difference in the last bit.
    values = rng.permutation(np.linspace(-6, 6, count, dtype=np.float32))
    logits, at = [], 0
    for h, w in shapes:
        logits.append(values[at : at + classes * h * w].reshape(classes, h, w))
        at += classes * h * w
    boxes = [rng.normal(0, 3, (4 * reg_max, *shape)).astype(np.float32) for shape in shapes]
    common = {"strides": STRIDES, "reg_max": reg_max, "thresholds": [0.625] * classes}
    expected = numpy_decode(logits, boxes, **common, placement=whole_input())
    assert_same(decode(logits, boxes, **common), expected)
    strided = [np.asfortranarray(m) for m in boxes]
    assert_same(decode(logits, strided, **common, placement=whole_input()), expected)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    reg_max=st.sampled_from([1, 16]),
    types=st.tuples(*[st.sampled_from([np.int8, np.float16, np.float32])] * 2),
)
def test_class_and_box_maps_may_be_of_different_types(seed: int, reg_max: int, types: tuple[type, type]) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(SIZE[0] // s, SIZE[1] // s) for s in STRIDES]
    # Multiples of 1/16 and 1/64 that all three types hold: int8 with these scales.
    logits = [rng.integers(-128, 128, (3, *shape)).astype(np.int8) for shape in shapes]
    boxes = [rng.integers(-128, 128, (4 * reg_max, *shape)).astype(np.int8) for shape in shapes]
    scales = (0.0625, 0.015625)

    def given_as(maps: list[np.ndarray], scale: float, wanted: type) -> list[np.ndarray]:
        return maps if wanted is np.int8 else [(m * np.float32(scale)).astype(wanted) for m in maps]

    common = {"strides": STRIDES, "reg_max": reg_max, "thresholds": [0.625] * 3, "placement": whole_input()}
    found = decode(given_as(logits, scales[0], types[0]), given_as(boxes, scales[1], types[1]), **common,
                   scales=[scales] * 2)  # fmt: skip
    expected = numpy_decode([m * scales[0] for m in logits], [m * scales[1] for m in boxes], **common)
    assert_same(found, expected)


@pytest.mark.parametrize("value", [2.0**-24, -(2.0**-14), 1.5, -10.99])
def test_float16_maps_decode_as_the_same_values_in_float32(value: float) -> None:
    boxes = np.full((8, 2, 2), value, np.float16)
    boxes[::2] = 2.0**-20
    logits = np.full((1, 2, 2), value, np.float16)
    common = {"strides": [8], "reg_max": 2, "thresholds": [0.0]}
    found = decode([logits], [boxes], **common)
    wide = decode([logits.astype(np.float32)], [boxes.astype(np.float32)], **common)
    assert len(found) == 4
    np.testing.assert_array_equal(found.boxes, wide.boxes)
    np.testing.assert_array_equal(found.scores, wide.scores)


def test_the_threshold_itself_passes() -> None:
    boxes = np.full((4, 1, 1), 0.5, np.float32)
    logits = np.zeros((1, 1, 1), np.float32)  # sigmoid(0) is 0.5, exactly
    assert len(decode([logits], [boxes], strides=[8], reg_max=1, thresholds=[0.5])) == 1
    assert (
        len(decode([logits], [boxes], strides=[8], reg_max=1, thresholds=[float(np.nextafter(np.float32(0.5), 1))]))
        == 0
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_what_is_not_finite_never_becomes_a_box(value: float, kind: type) -> None:
    boxes = np.full((8, 2, 2), value, kind)
    logits = np.full((1, 2, 2), 9, kind)
    found = decode([logits], [boxes], strides=[8], reg_max=2, thresholds=[0.1])
    assert np.isfinite(found.boxes).all()
    assert len(decode([logits * kind(np.nan)], [boxes], strides=[8], reg_max=2, thresholds=[0.1])) == 0


GOOD = {
    "class_maps": [np.zeros((2, 3, 5), np.int8)],
    "box_maps": [np.zeros((8, 3, 5), np.int8)],
    "strides": [8],
    "reg_max": 2,
    "thresholds": [0.5, 0.5],
    "scales": [(0.1, 0.1)],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"class_maps": [np.zeros((2, 3, 5))]}, "class_maps[0]: expected an int8, float16 or float32"),
        ({"class_maps": [np.zeros((1, 2, 3, 5), np.int8)]}, "channels x height x width, got int8 (1, 2, 3, 5)"),
        ({"class_maps": [np.zeros((2, 0, 5), np.int8)]}, "class_maps[0]"),
        ({"class_maps": [np.zeros((3, 3, 5), np.int8)]}, "one channel for each of the 2 thresholds"),
        ({"box_maps": [np.zeros((8, 3, 4), np.int8)]}, "same height and width"),
        ({"box_maps": [np.zeros((7, 3, 5), np.int8)]}, "4 * reg_max = 8"),
        ({"scales": None}, "needs its scale"),
        ({"scales": [(0.0, 0.1)]}, "not positive and finite"),
        ({"scales": [(0.1, float("inf"))]}, "not positive and finite"),
        ({"strides": [0]}, "stride must be at least 1"),
        ({"strides": [8, 16]}, "one of each a level"),
        ({"strides": [], "class_maps": [], "box_maps": [], "scales": []}, "at least one level"),
        ({"thresholds": [0.5, 1.5]}, "not within 0 and 1"),
        ({"thresholds": [0.5, float("nan")]}, "not within 0 and 1"),
        ({"thresholds": []}, "one threshold for each class"),
        ({"reg_max": 0}, "reg_max 0"),
        ({"max_detections": 0}, "max_detections 0"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(UninaError) as error:
        decode(**(GOOD | change))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
