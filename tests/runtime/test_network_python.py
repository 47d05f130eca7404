"""unina_runtime.Network gives the maps as they are, and a classifier's classes; who asks for more is told so."""

from typing import Any

import loadable_writer
import numpy as np
import pytest
import reference
from tiny_bundle import CLASSES, HEIGHT, SCALE, WIDTH, TinyBundle

from unina_runtime import Detector, Network, UninaError, letterbox


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def expected(bundle: TinyBundle, image: np.ndarray) -> dict[str, np.ndarray]:
    pixels, _ = letterbox(image, HEIGHT, WIDTH)
    q = (pixels.astype(np.int16) - 128).astype(np.int8).transpose(2, 0, 1)
    return {name: map_(q)[None] * np.float32(SCALE) for name, map_ in bundle.maps.items()}


def schema_2(decode: str) -> Any:
    def change(manifest: dict[str, Any]) -> None:
        for key in ("levels", "reg_max", "thresholds", "max_detections"):
            del manifest[key]
        manifest.update(schema=2, decode=decode)

    return change


@pytest.fixture
def classifier(bundle: TinyBundle) -> tuple[TinyBundle, loadable_writer.Network]:
    """One convolution over the whole picture, a channel a class."""
    rng = np.random.default_rng(1)
    network = loadable_writer.Network()
    network.input("images", 3, HEIGHT, WIDTH)
    weights = rng.integers(-127, 128, (2, 3, HEIGHT, WIDTH)).astype(np.int8)
    multiplier = np.full(2, 40 / (73 * 73 * np.sqrt(3 * HEIGHT * WIDTH)), np.float32)
    network.conv("images", "logits", weights, np.array([3, -5], np.int32), multiplier, scale=SCALE)
    network.outputs = ["logits"]
    (bundle.path / "host.loadable").write_bytes(loadable_writer.loadable_bytes(network))
    images, output, *_ = bundle.manifest["tensors"]
    bundle.manifest["tensors"] = [images, output | {"name": "logits", "shape": [1, 2, 1, 1]}]
    schema_2("classify")(bundle.manifest)
    bundle.seal()
    return bundle, network


def test_raw_maps_are_those_of_the_network_in_the_manifests_order(bundle: TinyBundle) -> None:
    bundle.rewrite(schema_2("raw"))
    network = Network(bundle.path, "host", threads=2)
    assert (network.decode, network.accelerator) == ("raw", "host")
    for seed, size in enumerate([(72, 128), (32, 64), (40, 40)]):
        image = noise(*size, seed)
        maps, wanted = network.run(image), expected(bundle, image)
        assert list(maps) == [tensor["name"] for tensor in bundle.manifest["tensors"] if tensor["role"] == "output"]
        for name, values in maps.items():
            np.testing.assert_array_equal(values, wanted[name])
    assert network.times["infer"] > 0


def test_a_detectors_maps_can_be_read_too(bundle: TinyBundle) -> None:
    image = noise(72, 128)
    network = Network(bundle.path)
    assert (network.decode, network.classes) == ("detect", CLASSES)
    for name, values in expected(bundle, image).items():
        np.testing.assert_array_equal(network.run(image)[name], values)


def test_a_classifier_names_its_classes_by_a_softmax_of_its_logits(
    classifier: tuple[TinyBundle, loadable_writer.Network],
) -> None:
    bundle, integers = classifier
    network = Network(bundle.path)
    firsts = set()
    for seed in range(4):
        image = noise(72, 128, seed)
        pixels, _ = letterbox(image, HEIGHT, WIDTH)
        q = (pixels.astype(np.int16) - 128).astype(np.int8).transpose(2, 0, 1)[None]
        logits = reference.run(integers, {"images": q})["logits"].reshape(-1) * SCALE
        scores = np.exp(logits) / np.exp(logits).sum()
        order = np.argsort(-scores)
        found = network.classify(image)
        assert [name for name, _ in found] == [CLASSES[index] for index in order]
        np.testing.assert_allclose([score for _, score in found], scores[order], rtol=1e-6)
        assert network.classify(image, top=1) == found[:1]
        firsts.add(found[0][0])
    assert len(firsts) == 2, "one class for everything shows nothing"
    with pytest.raises(UninaError, match="top is 0"):
        network.classify(noise(8, 8), top=0)


def test_who_wants_boxes_of_a_network_without_any_is_told_what_to_take(bundle: TinyBundle) -> None:
    bundle.rewrite(schema_2("raw"))
    with pytest.raises(UninaError, match=r"tiny\.unina: its network detects nothing, its decode is raw; .*Network"):
        Detector(bundle.path)
    with pytest.raises(UninaError, match=r"its decode is raw, which names no classes; call run\(\)"):
        Network(bundle.path).classify(noise(8, 8))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(decode="boxes"), "decode: 'boxes' is not one of: classify, raw"),
        (
            lambda m: m.update(decode="classify"),
            r"one output of shape \[1, 2, 1, 1\], a logit for each class",
        ),
        (lambda m: m["tensors"].__delitem__(slice(1, None)), "lists no output"),
        (lambda m: m["tensors"].append(m["tensors"][0] | {"name": "again"}), "lists more than one input"),
        (lambda m: m["input"].update(name="s8_box"), "is listed in 'tensors' as an output"),
    ],
)
def test_what_this_runtime_cannot_decode_is_refused_by_name(bundle: TinyBundle, change: Any, message: str) -> None:
    bundle.rewrite(schema_2("raw"))
    bundle.rewrite(change)
    with pytest.raises(UninaError, match=message):
        Network(bundle.path)


def test_a_network_may_have_outputs_and_no_class_names(bundle: TinyBundle) -> None:
    bundle.rewrite(schema_2("raw"))
    (bundle.path / "labels.txt").write_text("")
    bundle.manifest["classes"] = []
    bundle.seal()
    assert Network(bundle.path).classes == ()
