"""`unina-eval --detections`: what unina-detector wrote is scored as the stage that it is, and nothing else is."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_evaluate_command import answered, refused
from untrained_bundle import untrained_bundle

from unina.cli.eval import main
from unina.evaluate.device import with_device
from unina.evaluate.stages import SCORE_FLOOR

PROGRAMS = Path(os.environ.get("UNINA_PROGRAM_DIR", Path(sys.executable).parent))
COMPARISONS = {"beside", "estimated_ms", "detections"}
"""what a stage says beyond its own accuracy"""


def detect(bundle: Path, pictures: Path, output: Path, *, floor: float | None = SCORE_FLOOR) -> Path:
    """As on a device: no data set, no torch, pictures of a folder."""
    words: list[str] = [str(PROGRAMS / "unina-detector"), "--bundle", str(bundle), "--source", f"images:{pictures}"]
    words += ["--accelerator", "host", "--output", str(output)]
    words += [] if floor is None else ["--score-threshold", str(floor)]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    return output


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Bundle and data.yaml."""
    return untrained_bundle(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def written(exported: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its detections in copies of the pictures of val, elsewhere."""
    bundle, data = exported
    folder = tmp_path_factory.mktemp("device")
    shutil.copytree(data.parent / "images" / "val", folder / "pictures")
    return detect(bundle, folder / "pictures", folder / "cones.jsonl")


def accuracy(stage: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in stage.items() if key not in COMPARISONS}


def test_detections_of_the_host_accelerator_score_exactly_as_the_integer_stage(
    exported: tuple[Path, Path], written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    result = answered(capsys, bundle, "--detections", written, "--data", data)
    assert list(result) == ["onnx", "qdq", "host", "device host"]
    device = result["device host"]
    assert accuracy(device) == accuracy(result["host"]) and device["boxes"] > 0
    beside = device["beside"]
    assert (beside["stage"], beside["map50_95_points"], beside["maps"]) == ("host", 0, None)
    assert beside["boxes"]["here"] > 10 and beside["boxes"]["kept"] == beside["boxes"]["found_before"] == 1
    assert device["detections"]["file"] == str(written)
    assert device["detections"]["run"]["accelerator"] == "host"


def test_without_the_bundle_the_file_says_enough(
    exported: tuple[Path, Path], written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    alone = answered(capsys, "--detections", written, "--data", data)
    assert list(alone) == ["device host"]
    host = answered(capsys, bundle, "--data", data, "--stages", "host")["host"]
    assert accuracy(alone["device host"]) | {"operating_manifest": None} == accuracy(host) | {
        "operating_manifest": None
    }


def test_it_is_a_row_of_the_table_and_of_the_report(
    exported: tuple[Path, Path], written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    gpu = tmp_path / "gpu.jsonl"
    gpu.write_text(written.read_text().replace('"accelerator":"host"', '"accelerator":"tensorrt"'))
    words = (bundle, "--detections", written, "--detections", gpu, "--data", data, "--stages", "host")
    assert main([str(word) for word in (*words, "--report", tmp_path / "report")]) == 0
    assert "device tensorrt" in capsys.readouterr().out
    page = (tmp_path / "report" / "index.html").read_text()
    assert "<td>device host</td>" in page and "<td>device tensorrt</td>" in page
    result = answered(capsys, *words)
    assert [stage.get("beside") and stage["beside"]["stage"] for stage in result.values()] == [None, "host", "host"]
    same = shutil.copy(written, tmp_path / "again.jsonl")
    assert list(answered(capsys, "--detections", written, "--detections", same, "--data", data)) == [
        "device cones",
        "device again",
    ]
    assert "rename one" in refused(capsys, "--detections", written, "--detections", written, "--data", data)


def test_a_device_is_held_against_the_other_models_integers(
    exported: tuple[Path, Path], written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    result = answered(capsys, bundle, "--detections", written, "--data", data, "--stages", "onnx", "--against", bundle)
    assert [stage["against"]["stage"] for stage in result.values()] == ["onnx", "host"]
    assert [stage["against"]["difference"] for stage in result.values()] == [0, 0]


def test_what_was_written_at_the_cars_thresholds_is_no_map(
    exported: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    high = detect(bundle, data.parent / "images" / "val", tmp_path / "high.jsonl", floor=None)
    why = refused(capsys, "--detections", high, "--data", data)
    assert "below a score of 0.4" in why and "unina-detector again with --score-threshold 0.005" in why
    capsys.readouterr()
    assert main([str(high), "--data", str(data)]) == 0  # in place of a model it is scored as it is, with a warning
    assert "below a score of 0.4" in " ".join(capsys.readouterr().err.split())


def test_what_lies_below_the_other_stages_floor_is_left_out(
    exported: tuple[Path, Path], written: Path, tmp_path: Path
) -> None:
    bundle, data = exported
    val = data.parent / "images" / "val"
    few = detect(bundle, val, tmp_path / "few.jsonl", floor=1e-6)
    wanted = written.read_text().count('"box"')
    assert few.read_text().count('"box"') > wanted
    stage = with_device(None, [few], dict.fromkeys(val.iterdir(), (90, 120)), data.parent).stages["device host"]()
    assert sum(len(stage(image).detections) for image in val.iterdir()) == wanted


def test_folders_with_pictures_of_the_same_names_are_told_apart(
    exported: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    copy = shutil.copytree(data.parent, tmp_path / "data")
    for kind in ("images", "labels"):
        shutil.move(copy / kind / "val", copy / kind / "left")
        shutil.copytree(copy / kind / "train", copy / kind / "val")
        shutil.move(copy / kind / "left", copy / kind / "val" / "left")
    device = tmp_path / "device"
    shutil.copytree(copy / "images" / "val", device / "val")
    both = detect(bundle, device / "val", tmp_path / "right.jsonl").read_text()
    both += detect(bundle, device / "val" / "left", tmp_path / "left.jsonl").read_text()
    file = tmp_path / "both.jsonl"
    file.write_text(both)
    words = ("--data", copy / "data.yaml")
    result = answered(capsys, bundle, "--detections", file, *words, "--stages", "host")
    assert result["host"]["images"] == 7
    assert accuracy(result["device host"]) == accuracy(result["host"])
    assert "can be" in refused(capsys, "--detections", tmp_path / "right.jsonl", *words)


Change = Callable[[list[dict[str, Any]]], None]


def _set(key: str, value: Any, line: int = 1) -> Change:
    def change(lines: list[dict[str, Any]]) -> None:
        lines[line][key] = value

    return change


def _run(key: str, value: Any, *, every: bool = True) -> Change:
    def change(lines: list[dict[str, Any]]) -> None:
        for line in lines if every else lines[1:2]:
            line["run"][key] = value

    return change


def _found(key: str, value: Any) -> Change:
    def change(lines: list[dict[str, Any]]) -> None:
        lines[1]["detections"][0][key] = value

    return change


HOSTILE: dict[str, tuple[Change, str]] = {
    "a picture is missing": (lambda lines: lines.pop(1) and None, "no line for the picture images/val/field_3.png"),
    "a picture is there twice": (lambda lines: lines.append(lines[1]), "x.jsonl:5: .*a second line for .*field_3.png"),
    "a picture of elsewhere": (lambda lines: lines.append(lines[0] | {"source": "/a/b.png"}), "x.jsonl:5: /a/b.png is"),
    "another picture of that name": (_set("width", 640), "x.jsonl:2: .*field_3.png is 640x90 there and 120x90 here"),
    "no size": (_set("width", None), "x.jsonl:2: .*is Nonex90 there"),
    "another bundle": (_run("manifest_sha256", "0" * 64), "made with the bundle tiny, .* 0{64}; .*manifest.json has"),
    "two bundles": (_run("manifest_sha256", "0" * 64, every=False), "x.jsonl:2: .*manifest_sha256 0{64} here and"),
    "two accelerators": (_run("accelerator", "dla", every=False), "x.jsonl:2: .*accelerator dla here and host above"),
    "other classes": (_run("classes", ["dog", "cat"]), "x.jsonl:1: .*class_id . is .*_cone here and (dog|cat) above"),
    "no run": (lambda lines: [line.pop("run") for line in lines] and None, "does not say what made it"),
    "one line without a run": (lambda lines: lines[1].pop("run"), "x.jsonl:2: .*no run here, a run above"),
    "a run that is none": (_run("input", 7), "x.jsonl:1: not a line of detections"),
    "fewer thresholds": (_run("thresholds", [0.005]), "x.jsonl:1: .*2 classes and 1 thresholds"),
    "a threshold that is none": (_run("thresholds", [float("nan")] * 2), "x.jsonl: .*a score of nan"),
    "a class that is not the model's": (_found("class_id", 2), "x.jsonl:2: class_id 2 is .*_cone here and None"),
    "a class_id that is none": (_found("class_id", 1e99), "x.jsonl:2: not a line"),
    "a box that ends before it begins": (_found("box", [5, 5, 4, 9]), "x.jsonl:2: .*box is x0, y0, x1, y1"),
    "a box of three": (_found("box", [5, 5, 4]), "x.jsonl:2: not a line"),
    "a score above 1": (_found("score", 1.5), "x.jsonl:2: .*score lies between 0 and 1"),
    "a detection that is none": (_set("detections", [7]), "x.jsonl:2: not a line"),
    "no list": (_set("detections", {"a": 1}), "x.jsonl:2: not a line"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_not_of_these_pictures_and_this_bundle_is_refused(
    name: str, exported: tuple[Path, Path], written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    change, words = HOSTILE[name]
    lines = [json.loads(line) for line in written.read_text().splitlines()]
    assert [Path(line["source"]).name for line in lines] == ["field_1.png", "field_3.png", "track_0.png", "track_2.png"]
    change(lines)
    file = tmp_path / "x.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    why = refused(capsys, bundle, "--detections", file, "--data", data)
    assert "x.jsonl" in why
    assert re.search(words, why), why


def test_a_file_that_was_cut_anywhere_is_refused(
    exported: tuple[Path, Path], written: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, data = exported
    whole = written.read_bytes()
    file = tmp_path / "x.jsonl"
    ends = [0, 1, whole.index(b"\n") - 1, whole.index(b"\n"), whole.index(b"\n") + 1, len(whole) - 2]
    ends += list(np.random.default_rng(0).integers(0, len(whole) - 2, 20))
    for end in ends:
        file.write_bytes(whole[:end])
        assert "x.jsonl" in refused(capsys, "--detections", file, "--data", data)
    file.write_bytes(whole[:-2])
    assert "ends in the middle of it" in refused(capsys, "--detections", file, "--data", data)
    file.write_bytes(whole[: whole.index(b"\n") - 1] + b"\xff\n")
    assert "x.jsonl:1: not a line" in refused(capsys, "--detections", file, "--data", data)
    file.write_bytes(b"[" * 100_000)
    assert "x.jsonl:1: not a line" in refused(capsys, "--detections", file, "--data", data)


def test_what_goes_with_a_model_alone_is_said(
    exported: tuple[Path, Path], written: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle, data = exported
    assert "give a model" in refused(capsys, "--data", data)
    words = ("--detections", written, "--data", data)
    assert "--stages goes with a model" in refused(capsys, *words, "--stages", "host")
    assert "--input-size goes with a model" in refused(capsys, *words, "--input-size", "96x64")
    assert "is no bundle" in refused(capsys, bundle.parent / "checkpoint.pt", *words)
    assert "no such file" in refused(capsys, "--detections", bundle / "none", "--data", data).lower()
