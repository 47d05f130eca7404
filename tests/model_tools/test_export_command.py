"""`unina-export` from checkpoint to bundle: what is written is consistent and loads; what goes wrong says why."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from export_integer_reference import Loadable
from torch import nn

import unina_runtime
from unina.cli.export import main
from unina.dla.scales import ScaleMap
from unina.evaluate import Head, host_maps
from unina.export.cache import format_cache, read_cache
from unina.model import Detector, ModelSpec, save_checkpoint

NAMES = ("blue_cone", "yellow_cone")
SPEC = ModelSpec(input_height=64, input_width=96, levels=("p2", "p3"))
FILES = {
    "calibration.cache",
    "host.loadable",
    "labels.txt",
    "model.onnx",
    "model.qdq.onnx",
    "report.html",
    "report.json",
    "selftest.png",
}


def write_data(folder: Path, names: tuple[str, ...] = NAMES, *, flat: bool = False) -> Path:
    """A data set of six training and three validation pictures of one cone each."""
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for i in range(count):
            blocks = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            image = np.zeros((90, 120, 3), np.uint8) if flat else cv2.resize(blocks, (120, 90))
            cv2.imwrite(str(folder / "images" / split / f"{i}.png"), image)
            (folder / "labels" / split / f"{i}.txt").write_text(f"{i % 2} 0.5 0.5 0.2 0.4\n")
    lines = [
        "path: .",
        "train: images/train",
        "val: images/val",
        "names:",
        *(f"  {i}: {n}" for i, n in enumerate(names)),
    ]
    (folder / "data.yaml").write_text("\n".join(lines) + "\n")
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def write_checkpoint(path: Path, change: Callable[[Detector], None] = lambda detector: None) -> Path:
    """An untrained network whose weights are large enough that its maps vary; `change` spoils it."""
    torch.manual_seed(0)
    detector = Detector(SPEC, len(NAMES), NAMES)
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    change(detector)
    spec = {
        "data": "",
        "sources": ({"data": "/home/somebody/cones/data.yaml", "share": 1.0},),
        "train": {"init_from": ""},
    }
    save_checkpoint(path, detector.eval(), {"seed": 7, "spec": spec})
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("run") / "checkpoint.pt")


@pytest.fixture(scope="module")
def exported(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "tiny.unina"
    words = [str(checkpoint), "--data", str(data), "--output", str(output), "--calibration-images", "4"]
    assert main([*words, "--json"]) == 0
    return output


def manifest_of(bundle: Path) -> dict:
    return json.loads((bundle / "manifest.json").read_text())


def test_the_runtime_opens_the_bundle(exported: Path, data: Path) -> None:
    detector = unina_runtime.Detector(str(exported), accelerator="host")
    assert tuple(detector.classes) == NAMES
    detector.detect(cv2.imread(str(data.parent / "images" / "val" / "0.png")))
    assert {path.name for path in exported.iterdir()} == FILES | {"manifest.json"}
    assert (exported / "labels.txt").read_text() == "blue_cone\nyellow_cone\n"


def test_the_manifest_says_where_the_bundle_comes_from(exported: Path) -> None:
    manifest = manifest_of(exported)
    assert (manifest["schema"], manifest["name"], manifest["rounding"]) == (1, "tiny", "half-away")
    assert manifest["input"] == {
        "name": "images",
        "height": 64,
        "width": 96,
        "color": "rgb",
        "letterbox_value": 128,
        "offset": 128,
        "scale": 1.0,
    }
    assert manifest["levels"][1] == {"stride": 8, "class": "p3_class", "box": "p3_box"}
    provenance = manifest["provenance"]
    assert provenance["seed"] == 7 and provenance["spec"]["levels"] == ["p2", "p3"]
    assert provenance["calibration"]["method"] == "minmax"
    images = provenance["calibration"]["images"]
    assert len(images) == len(set(images)) == 4 and all(name.startswith("images/train/") for name in images)
    assert provenance["training"]["spec"]["sources"] == [{"data": "cones/data.yaml", "share": 1.0}], (
        "no place on a disk"
    )
    assert list(manifest["accuracy"]) == ["torch", "fused", "onnx", "qdq", "host"]
    assert all(m["images"] == 3 and m["boxes"] == 3 for m in manifest["accuracy"].values())
    assert all(0.05 <= threshold <= 0.9 for threshold in manifest["thresholds"])


def test_the_report_says_what_was_checked_and_marks_estimates_as_such(exported: Path) -> None:
    manifest = json.loads((exported / "manifest.json").read_text())
    report = json.loads((exported / "report.json").read_text())
    assert report["accuracy"] == manifest["accuracy"] and report["parity"] == manifest["parity"]
    dla = report["dla"]
    nodes = [node.name for node in onnx.load(exported / "model.onnx").graph.node]
    assert dla["nodes"] == dict.fromkeys(nodes, "DLA")
    assert (dla["on_dla"], dla["regions"], dla["reformats"]) == (True, 1, 0)
    assert dla["estimated_ms"]["MAXN"] == pytest.approx(sum(layer["us"] for layer in dla["layers"]) / 1e3, rel=0.02)
    assert list(dla["estimated_ms"].values()) == sorted(dla["estimated_ms"].values())
    stages = report["stages"]
    assert list(stages) == list(manifest["accuracy"]) and stages["torch"] is None
    assert [stages[name]["stage"] for name in ("fused", "onnx", "qdq", "host")] == ["torch", "fused", "onnx", "qdq"]
    assert stages["onnx"]["maps"]["relative"] < 1e-5 < stages["qdq"]["maps"]["relative"]
    assert "precision" not in manifest and "sensitivity" not in report
    page = (exported / "report.html").read_text()
    assert "Stage by stage" in page and "boxes kept" in page and "INT8 and FP16" not in page
    assert page.count("<img src='data:image/jpeg") == 3 and "http" not in page.replace("http-equiv", "")
    assert "estimated" in page and "nothing was measured on a Jetson" in page
    assert f"{manifest['accuracy']['host']['map50']:.3f}" in page


def test_every_file_holds_the_same_scales(exported: Path) -> None:
    cache = read_cache(exported / "calibration.cache").scales
    loadable = Loadable((exported / "host.loadable").read_bytes())
    qdq = onnx.load(exported / "model.qdq.onnx")
    initialisers = {t.name: onnx.numpy_helper.to_array(t) for t in qdq.graph.initializer}
    for tensor, scale in cache.items():
        assert initialisers[f"{tensor}_scale"] == scale
    assert set(loadable.scales) <= set(cache)
    for tensor, scale in loadable.scales.items():
        assert cache[tensor] == scale
    for entry in manifest_of(exported)["tensors"]:
        assert entry["scale_bits"] == cache.bits(entry["name"]) == struct.pack(">f", entry["scale"]).hex()
        assert loadable.shapes[entry["name"]] == tuple(entry["shape"])
    onnx.checker.check_model(qdq, full_check=True)


def test_the_host_engine_computes_the_definition_on_the_exported_network(exported: Path, data: Path) -> None:
    content = (exported / "host.loadable").read_bytes()
    pixels, _ = Head.of_manifest(manifest_of(exported)).pixels(cv2.imread(str(data.parent / "images/val/1.png")))
    q = (pixels.astype(int) - 128).astype(np.int8).transpose(2, 0, 1)[None]
    expected = Loadable(content).run({"images": q})
    found = host_maps(content, np.ascontiguousarray(q))
    assert found.keys() == {"p2_class", "p2_box", "p3_class", "p3_box"}
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name])


def test_every_stage_sees_the_same_network(exported: Path) -> None:
    for row in manifest_of(exported)["parity"]:
        assert row["onnx_relative"] < 1e-5
        assert row["qdq_within_one"] > 0.99
        assert row["host_snr_db"] > 20


def test_without_accuracy_the_thresholds_are_the_given_score(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "named.unina"
    words = [str(checkpoint), "--data", str(data), "--output", str(output), "--no-accuracy", "--name", "other"]
    words += ["--score-threshold", "0.42", "--rounding", "half-even", "--calibration", "entropy"]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "torch−ONNX" in shown and "thresholds: blue_cone 0.42, yellow_cone 0.42" in shown
    manifest = manifest_of(output)
    assert manifest["name"] == "other" and manifest["rounding"] == "half-even" and manifest["accuracy"] == {}
    assert manifest["thresholds"] == [0.42, 0.42]
    assert manifest["provenance"]["calibration"]["method"] == "entropy"
    assert len(manifest["provenance"]["calibration"]["images"]) == 6  # all there are
    assert Loadable((output / "host.loadable").read_bytes()).header["rounding"] == "half-even"


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line on stderr of a run that must fail with exit code 2."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("unina-export: ")]
    assert len(lines) == 1 and "Traceback" not in captured.err
    return lines[0]


def test_bad_input_is_one_line_and_leaves_nothing(
    checkpoint: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "x.unina"
    flags = ("--data", data, "--output", output)
    assert "no such checkpoint" in refused(capsys, tmp_path / "none.pt", *flags)
    assert "none.yaml" in refused(capsys, checkpoint, "--data", tmp_path / "none.yaml", "--output", output)
    assert "--score-threshold 1.5" in refused(capsys, checkpoint, *flags, "--score-threshold", 1.5)
    assert "--calibration-images 0" in refused(capsys, checkpoint, *flags, "--calibration-images", 0)
    assert "NAME.unina" in refused(capsys, checkpoint, "--data", data, "--output", tmp_path / "x")
    (tmp_path / "text.pt").write_text("not a checkpoint")
    assert "text.pt: cannot be read" in refused(capsys, tmp_path / "text.pt", *flags)
    (tmp_path / "text.pt").unlink()
    assert list(tmp_path.iterdir()) == []


def test_a_data_set_of_other_classes_is_refused(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", ("blue_cone", "red_cone"))
    line = refused(capsys, checkpoint, "--data", data, "--output", tmp_path / "x.unina")
    assert "blue_cone, red_cone" in line and "blue_cone, yellow_cone" in line


def test_pictures_of_one_colour_cannot_calibrate(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", flat=True)
    line = refused(capsys, checkpoint, "--data", data, "--output", tmp_path / "x.unina")
    assert "all 6 calibration pictures are of one colour" in line
    assert not (tmp_path / "x.unina").exists()


def test_a_network_that_cannot_be_scaled_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights that are NaN, activations that overflow, a layer that is dead: by name, and nothing is written."""

    def spoilt(value: float) -> Callable[[Detector], None]:
        def change(detector: Detector) -> None:
            for module in detector.backbone.stem.modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.data.fill_(value)

        return change

    for value, said in (
        (float("nan"), "stem/conv/Conv (Conv): the weights hold NaN or infinity"),
        (3e38, "the weights hold NaN or infinity"),
        (1e36, "is not finite on calibration picture 1"),
        (0.0, "everywhere on all 6 calibration pictures: its layer is dead"),
    ):
        spoilt_checkpoint = write_checkpoint(tmp_path / "spoilt.pt", spoilt(value))
        line = refused(capsys, spoilt_checkpoint, "--data", data, "--output", tmp_path / "x.unina")
        assert said in line, line
    assert [path.name for path in tmp_path.iterdir()] == ["spoilt.pt"]


def test_without_a_picture_to_calibrate_on_nothing_is_written(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data")
    for kind in ("images", "labels"):
        for file in (tmp_path / "data" / kind / "train").iterdir():
            file.unlink()
    line = refused(capsys, checkpoint, "--data", data, "--output", tmp_path / "x.unina")
    assert "train: holds no picture" in line
    text = data.read_text().splitlines()
    data.write_text("\n".join(line for line in text if not line.startswith("train:")) + "\n")
    line = refused(capsys, checkpoint, "--data", data, "--output", tmp_path / "x.unina")
    assert "train: no such split" in line
    assert not (tmp_path / "x.unina").exists()


def test_a_cache_that_lacks_a_tensor_is_never_written(
    checkpoint: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The text itself is read again and held against the network, so that a fault of its writer is found, too."""

    def forgetful(scales: ScaleMap) -> str:
        return "".join(f"{line}\n" for line in format_cache(scales).splitlines() if not line.startswith("p3_box:"))

    monkeypatch.setattr("unina.export.cache.format_cache", forgetful)
    line = refused(capsys, checkpoint, "--data", data, "--output", tmp_path / "x.unina", "--no-accuracy")
    assert "calibration.cache: p3_box: " in line and "without a scale" in line
    assert list(tmp_path.iterdir()) == []


def test_an_existing_bundle_stays_as_it_is(
    checkpoint: Path, data: Path, exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (exported / "manifest.json").read_bytes()
    assert "--force" in refused(capsys, checkpoint, "--data", data, "--output", exported)
    assert (exported / "manifest.json").read_bytes() == before
    assert [path.name for path in exported.parent.iterdir()] == [exported.name]
