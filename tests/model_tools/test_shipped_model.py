"""The bundle that the image ships: whole, small enough, fast enough by estimate, and good on cones it never saw."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from unina.data import Sample, load_dataset, read_image
from unina.data.scenes.render import render_scene
from unina.dla.estimate import estimate
from unina.dla.input_size import at_size
from unina.dla.network import read_network
from unina.evaluate import Head, HostStage, centred, map_classes, onnx_maps, score_as
from unina.model import load_checkpoint
from unina_runtime import Detector

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "recipes-ai" / "unina-model"
BUNDLE = FOLDER / "files" / "cones.unina"
REAL = ROOT.parent / "shared" / "data" / "cones" / "fs_feb" / "data.yaml"
CLASSES = ["blue_cone", "yellow_cone", "orange_cone", "large_orange_cone"]


@pytest.fixture(scope="module")
def manifest() -> dict:
    return json.loads((BUNDLE / "manifest.json").read_text())


def test_every_file_is_the_one_that_the_manifest_names(manifest: dict) -> None:
    listed = manifest["files"]
    assert {path.name for path in BUNDLE.iterdir()} == {*listed, "manifest.json"}
    for name, entry in listed.items():
        assert hashlib.sha256((BUNDLE / name).read_bytes()).hexdigest() == entry["sha256"], name
    assert sum(path.stat().st_size for path in BUNDLE.iterdir()) <= 32 * 2**20


def test_it_is_the_detector_that_was_promised(manifest: dict) -> None:
    assert manifest["classes"] == CLASSES
    assert (manifest["input"]["height"], manifest["input"]["width"]) == (640, 640)
    network = read_network(BUNDLE / "model.onnx")
    found, wide = estimate(network), estimate(at_size(network, 384, 1280))
    assert not found.missing and found.latency_ms <= 2.0, str(found)
    assert wide.latency_ms / found.latency_ms == pytest.approx(1.2, abs=0.05), "a fifth more cells"


def test_card_and_readme_quote_the_estimate() -> None:
    network = read_network(BUNDLE / "model.onnx")
    own, *others = (
        estimate(at_size(network, height, width)) for height, width in ((640, 640), (544, 960), (384, 1280))
    )
    quoted = f"{own.latency_ms:.2f} ms ±{own.uncertainty:.0%}".replace("%", " %")
    card = (FOLDER / "MODEL_CARD.md").read_text()
    assert quoted in card and quoted in (ROOT / "README.md").read_text()
    assert f"at 960×544: {others[0].latency_ms:.2f} ms, at 1280×384: {others[1].latency_ms:.2f} ms" in card


def test_neither_bundle_nor_card_names_a_place_on_a_disk() -> None:
    for path in (BUNDLE / "manifest.json", FOLDER / "MODEL_CARD.md"):
        assert not re.search(r'["\s(](/home|/root|/work|/tmp|/mnt)/', path.read_text()), path


def test_the_card_quotes_the_manifests_accuracy(manifest: dict) -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text()
    for stage in ("torch", "host"):
        assert f"{manifest['accuracy'][stage]['map50']:.3f}" in card, stage


def test_the_weights_to_start_from_are_those_that_ship(manifest: dict) -> None:
    """Kernels are kept in float16: the maps agree to a hundredth of their range."""
    deployed = load_checkpoint(ROOT / "model-tools" / "weights" / "cones.pt").model.deploy()
    x = torch.from_numpy(centred(render_scene(5, 0, 0, 640, 640).pixels))
    shipped = onnx_maps(BUNDLE / "model.onnx", x.numpy())
    for name, found in zip(deployed.output_names, deployed(x), strict=True):
        expected = shipped[name]
        assert np.abs(found.numpy() - expected).max() <= 0.01 * np.abs(expected).max(), name


def test_it_finds_rendered_cones() -> None:
    """Scenes of a seed that did not train, at the manifest's own thresholds."""
    detector = Detector(BUNDLE)
    scenes = [render_scene(987, 0, index, 960, 540) for index in range(12)]
    samples = [Sample(Path("scene"), 960, 540, scene.layout.boxes, scene.layout.classes) for scene in scenes]
    found = [detector.detect(scene.pixels) for scene in scenes]
    assert score_as(map_classes(CLASSES, CLASSES, (), samples), samples, found).map50 > 0.5


def test_it_finds_real_cones_of_another_car(manifest: dict) -> None:
    """INT8, integer engine, no NMS; the floor that the project set itself."""
    if not REAL.is_file():
        pytest.skip("no real cone pictures beside the repository: the shipped model's accuracy is NOT checked")
    dataset = load_dataset(REAL)
    samples = dataset.split("val")
    stage = HostStage(BUNDLE / "host.loadable", Head.of_manifest(manifest))
    classes = map_classes(CLASSES, dataset.names, dataset.groups, samples)
    metrics = score_as(classes, samples, [stage(read_image(sample.image)) for sample in samples])
    assert metrics.map50 >= 0.85
    assert metrics.map50 == pytest.approx(manifest["accuracy"]["host"]["map50"], abs=1e-3)
