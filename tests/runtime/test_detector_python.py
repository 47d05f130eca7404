"""Detector.detect() is letterbox, network and decode, as NumPy computes them one after the other."""

import threading

import numpy as np
import pytest
import reference
from numpy_decode import numpy_decode
from tiny_bundle import CLASSES, HEIGHT, REG_MAX, SCALE, STRIDES, WIDTH, TinyBundle, promote_class_maps

from unina_runtime import Detections, Detector, UninaError, letterbox


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
    ],
)
def test_options_out_of_range_are_refused(bundle: TinyBundle, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UninaError) as error:
        Detector(bundle.path, **arguments)  # type: ignore[arg-type]
    assert message in str(error.value)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 0, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused(bundle: TinyBundle, image: np.ndarray) -> None:
    with pytest.raises(UninaError, match="image: "):
        Detector(bundle.path).detect(image)


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
