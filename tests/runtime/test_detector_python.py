"""Detector.detect() is letterbox, network and decode, as NumPy computes them one after the other."""

import gc
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from numpy_decode import numpy_decode
from tiny_bundle import CLASSES, HEIGHT, REG_MAX, SCALE, STRIDES, WIDTH, TinyBundle, promote_class_maps

from unina_runtime import Bundle, Detections, Detector, UninaError, letterbox


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(32, 64), (72, 128), (101, 77), (720, 1280), (5, 3)])
@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_detections_equal_the_stages_one_by_one(bundle: TinyBundle, size: tuple[int, int], color: str) -> None:
    bundle.rewrite(lambda manifest: manifest["input"].update(color=color))
    image = noise(*size)
    pixels, placement = letterbox(image, HEIGHT, WIDTH, color=color)  # type: ignore[arg-type]
    q = (pixels.astype(np.int16) - 128).astype(np.int8).transpose(2, 0, 1)
    maps = {name: map_(q) * np.float32(SCALE) for name, map_ in bundle.maps.items()}
    expected = numpy_decode(
        [maps[f"s{s}_class"] for s in STRIDES],
        [maps[f"s{s}_box"] for s in STRIDES],
        strides=STRIDES,
        reg_max=REG_MAX,
        thresholds=bundle.manifest["thresholds"],
        placement=placement,
    )
    assert expected, "a test without detections shows nothing"
    found = Detector(bundle.path).detect(image)
    assert [int(c) for c in found.classes] == [c for _, c, _ in expected]
    np.testing.assert_allclose(found.scores, [s for s, _, _ in expected], rtol=1e-5)
    np.testing.assert_allclose(found.boxes, [b for _, _, b in expected], rtol=1e-4, atol=1e-3)


def test_float16_class_maps_beside_int8_box_maps_are_decoded_as_they_are(bundle: TinyBundle) -> None:
    network = promote_class_maps(bundle)
    image = noise(72, 128)
    pixels, placement = letterbox(image, HEIGHT, WIDTH)
    q = (pixels.astype(np.int16) - 128).astype(np.int8).transpose(2, 0, 1)
    maps = {name: values[0] for name, values in reference.run(network, {"images": q[None]}).items()}
    expected = numpy_decode(
        [maps[f"s{s}_class"] for s in STRIDES],
        [maps[f"s{s}_box"] * np.float32(SCALE) for s in STRIDES],
        strides=STRIDES,
        reg_max=REG_MAX,
        thresholds=bundle.manifest["thresholds"],
        placement=placement,
    )
    assert expected, "a test without detections shows nothing"
    for threads in (1, 2):
        found = Detector(bundle.path, threads=threads).detect(image)
        assert [int(c) for c in found.classes] == [c for _, c, _ in expected]
        np.testing.assert_allclose(found.scores, [s for s, _, _ in expected], rtol=1e-5)
        np.testing.assert_allclose(found.boxes, [b for _, _, b in expected], rtol=1e-4, atol=1e-3)


def test_a_manifest_that_contradicts_the_loadable_on_float16_is_refused(bundle: TinyBundle) -> None:
    before = [dict(tensor) for tensor in bundle.manifest["tensors"]]
    promote_class_maps(bundle)
    bundle.rewrite(lambda manifest: manifest.update(tensors=before))
    with pytest.raises(UninaError, match="another shape, type or scale"):
        Detector(bundle.path)


def test_manifest_classes_and_times_are_those_of_the_bundle(bundle: TinyBundle) -> None:
    detector = Detector(str(bundle.path), "host", threads=2)
    assert detector.manifest == bundle.manifest
    assert detector.classes == CLASSES
    assert detector.accelerator == "host"
    detector.detect(noise(9, 9))
    assert set(detector.times) == {"preprocess", "infer", "decode"}


def test_score_threshold_replaces_those_of_the_bundle(bundle: TinyBundle) -> None:
    image = noise(72, 128)
    everything = Detector(bundle.path, score_threshold=0.0).detect(image)
    some = Detector(bundle.path, score_threshold=0.85).detect(image)
    keep = everything.scores >= 0.85
    assert 0 < keep.sum() < len(everything)
    np.testing.assert_array_equal(some.boxes, everything.boxes[keep])
    assert len(Detector(bundle.path, score_threshold=1.0).detect(image)) == 0


def test_pictures_of_any_size_one_after_the_other(bundle: TinyBundle) -> None:
    detector = Detector(bundle.path)
    for size in [(40, 60), (60, 40), (40, 60), (32, 64)]:
        image = noise(*size)
        np.testing.assert_array_equal(detector.detect(image).boxes, Detector(bundle.path).detect(image).boxes)


def test_one_detector_serves_many_python_threads(bundle: TinyBundle) -> None:
    detector = Detector(bundle.path)
    images = [noise(40 + i, 60, seed=i) for i in range(4)]
    expected = [detector.detect(image) for image in images]
    wrong: list[int] = []

    def work(which: int) -> None:
        for _ in range(20):
            if not np.array_equal(detector.detect(images[which]).boxes, expected[which].boxes):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"accelerator": "dla0"}, "accelerator 'dla0' is not in this build; it has: auto, "),
        ({"accelerator": "cudla-hybrid"}, "needs a DLA loadable"),
        ({"score_threshold": 1.5}, "threshold 1.5"),
        ({"score_threshold": float("nan")}, "not within 0 and 1"),
        ({"threads": 0}, "threads"),
        ({"threads": 100000}, "threads"),
        ({"dla": 2}, "DLA core '2': expected 0, 1 or both"),
        ({"dla_loadables": ["a", "b"]}, "2 DLA loadables for 1 of the cores; expected one for each"),
        ({"accelerator": "cudla-hybrid", "dla_loadables": Path("no.dla"), "dla_timeout_ms": 0}, "timeout of 0 ms"),
        ({"accelerator": "tensorrt", "engine": "net.engine"}, "'tensorrt' is not in this build"),
        ({"preprocess": "gpu"}, "preprocess"),
        ({"engine_on": "dla2"}, "engine_on 'dla2': expected 'gpu', 'dla0' or 'dla1'"),
    ],
)
def test_options_out_of_range_are_refused(bundle: TinyBundle, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UninaError) as error:
        Detector(bundle.path, **arguments)  # type: ignore[arg-type]
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("image", "pixel_format", "message"),
    [
        (np.zeros((4, 4), np.uint8), "bgr", "expected a uint8 array of height x width x 3 (BGR), got uint8 (4, 4)"),
        (np.zeros((4, 4, 4), np.uint8), "bgr", "got uint8 (4, 4, 4)"),
        (np.zeros((4, 4, 3)), "bgr", "got float64 (4, 4, 3)"),
        (np.zeros((0, 0, 3), np.uint8), "bgr", "the array is empty"),
        (None, "bgr", "got None, which cv2.imread returns for a file that it cannot read"),
        ([[1, 2, 3]], "bgr", "got list"),
        (np.zeros((4, 4, 3), np.uint8), "rgb", "pixel_format 'rgb': expected 'bgr', 'rgba', 'nv12' or 'uyvy'"),
        (np.zeros((4, 4, 3), np.uint8), "rgba", "height x width x 4 (RGBA), got uint8 (4, 4, 3)"),
        (np.zeros((4, 5, 2), np.uint8), "uyvy", "the width must be even"),
        (np.zeros((8, 4), np.uint8), "nv12", "1.5 height x width (NV12), or a tuple of its planes"),
        (np.zeros((9, 5), np.uint8), "nv12", "the width must be even"),
        ((np.zeros((6, 4), np.uint8),), "nv12", "got a tuple of 1"),
        ((np.zeros((5, 4), np.uint8), np.zeros((2, 4), np.uint8)), "nv12", "the height must be even"),
        ((np.zeros((4, 4), np.uint8), np.zeros((1, 4), np.uint8)), "nv12", "2 rows of 4 bytes, got uint8 (1, 4)"),
        ((np.zeros((4, 4), np.uint8), np.zeros((2, 2, 2), np.int8)), "nv12", "got int8 (2, 2, 2)"),
    ],
)
def test_what_is_no_picture_is_refused(bundle: TinyBundle, image: Any, pixel_format: Any, message: str) -> None:
    with pytest.raises(UninaError, match=r"image: |pixel_format ") as error:
        Detector(bundle.path).detect(image, pixel_format)
    assert message in str(error.value)


def picture(pixel_format: str, seed: int = 0) -> Any:
    shapes = {"bgr": (720, 1280, 3), "rgba": (720, 1280, 4), "uyvy": (720, 1280, 2), "nv12": (1080, 1280)}
    return np.random.default_rng(seed).integers(0, 256, shapes[pixel_format], dtype=np.uint8)


def as_bgr(image: Any, pixel_format: Any) -> Any:
    """Of the same size: the letterbox only turns colours into BGR then (docs/preprocessing.md)."""
    return letterbox(image, 720, 1280, color="bgr", pixel_format=pixel_format)[0]


@pytest.mark.parametrize("pixel_format", ["bgr", "rgba", "uyvy", "nv12"])
def test_a_camera_s_picture_is_what_its_colours_are(bundle: TinyBundle, pixel_format: Any) -> None:
    image = picture(pixel_format)
    detector = Detector(bundle.path)
    found, expected = detector.detect(image, pixel_format), detector.detect(as_bgr(image, pixel_format))
    assert len(expected)
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    np.testing.assert_array_equal(found.classes, expected.classes)


def test_the_planes_of_nv12_may_lie_apart(bundle: TinyBundle) -> None:
    image, detector = picture("nv12"), Detector(bundle.path)
    expected = detector.detect(image, "nv12")
    luma = np.full((720, 1536), 255, np.uint8)  # rows with gaps, as a camera's driver aligns them
    luma[:, :1280] = image[:720]
    pairs = image[720:].reshape(360, 640, 2)
    for planes in [(image[:720].copy(), pairs.copy()), (luma[:, :1280], image[720:])]:
        np.testing.assert_array_equal(detector.detect(planes, "nv12").boxes, expected.boxes)


def bytes_taken(call: Callable[[], object]) -> int:
    """The most memory that Python and NumPy took at a time during a call, in bytes."""
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pixel_format", ["bgr", "rgba", "uyvy", "nv12"])
def test_a_picture_is_read_where_it_lies(bundle: TinyBundle, pixel_format: Any) -> None:
    detector, image = Detector(bundle.path, score_threshold=1.0), picture(pixel_format)
    assert bytes_taken(lambda: detector.detect(image, pixel_format)) < 50_000
    assert bytes_taken(lambda: detector.detect(image[:600, 100:], pixel_format)) < 50_000  # a crop
    assert bytes_taken(lambda: detector.detect(image[::-1], pixel_format)) > 1_000_000  # upside down: copied


def test_detections_are_views_of_what_cpp_wrote_and_outlive_the_detector(bundle: TinyBundle) -> None:
    detector = Detector(bundle.path)
    found = detector.detect(noise(72, 128))
    boxes, kept = found.boxes, found.boxes.copy()
    assert len(boxes) > 1
    assert not boxes.flags.owndata and boxes.strides == (24, 4)
    assert found.scores.strides == found.classes.strides == (24,)
    assert found.scores.ctypes.data == boxes.ctypes.data + 16 and found.classes.ctypes.data == boxes.ctypes.data + 20
    others = [detector.detect(noise(72, 128, seed=n)) for n in range(1, 20)]
    del found, detector, others
    gc.collect()
    np.testing.assert_array_equal(boxes, kept)


def test_many_pictures_are_answered_in_their_order_and_asked_for_one_at_a_time(bundle: TinyBundle) -> None:
    detector = Detector(bundle.path)
    images = [noise(40 + n, 60, seed=n) for n in range(5)]
    asked: list[int] = []

    def camera() -> Iterator[np.ndarray]:
        for n, image in enumerate(images):
            asked.append(n)
            yield image

    answers = detector.detect_many(camera())
    assert not asked
    for n, image in enumerate(images):
        np.testing.assert_array_equal(next(answers).boxes, detector.detect(image).boxes)
        assert len(asked) == min(n + 2, 5)  # one ahead: it is fetched while the accelerator works
    assert next(answers, None) is None
    with pytest.raises(UninaError, match="got None"):
        list(detector.detect_many([images[0], None]))  # type: ignore[list-item]


def test_a_bundle_gives_its_manifest_and_files_and_no_damaged_one(bundle: TinyBundle) -> None:
    opened = Bundle(bundle.path)
    assert (opened.path, opened.manifest) == (bundle.path, bundle.manifest)
    assert opened.read("labels.txt").decode().split() == list(CLASSES)
    with pytest.raises(UninaError, match=r"the bundle has no .other\.txt"):
        opened.read("other.txt")
    (bundle.path / "labels.txt").write_text("blue_cone\nyellow_con_\n")
    with pytest.raises(UninaError, match=r"labels\.txt"):
        opened.read("labels.txt")
    with pytest.raises(UninaError, match=r"labels\.txt"):
        Bundle(bundle.path)


def test_detections_are_checked_when_made() -> None:
    boxes, scores, classes = np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int32)
    assert len(Detections(boxes, scores, classes)) == 2
    assert len(Detections.empty()) == 0
    for bad in [
        (boxes[:1], scores, classes),
        (boxes.astype(float), scores, classes),
        (boxes, scores, classes[:, None]),
    ]:
        with pytest.raises(UninaError, match="expected"):
            Detections(*bad)
