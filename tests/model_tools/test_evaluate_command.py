"""`unina-eval` from the command line: what it takes, what it writes, and one line for what is wrong."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from scored_sets import found
from torch import nn

from unina.cli.eval import main
from unina.cli.export import main as export
from unina.data import DataError, load_dataset
from unina.data.convert import write_dataset
from unina.evaluate.jsonl import detections_line, read_detections, source_name
from unina.evaluate.session import cone_free_pictures
from unina.model import Detector, ModelSpec, save_checkpoint
from unina_runtime import Detections

NAMES = ("blue_cone", "yellow_cone")
SPEC = ModelSpec(input_height=64, input_width=96, levels=("p2", "p3"))


def write_data(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """A data set of three training and four validation pictures of one cone each."""
    random = np.random.default_rng(0)
    for split, count in (("train", 3), ("val", 4)):
        (folder / "images" / split).mkdir(parents=True)
        (folder / "labels" / split).mkdir(parents=True)
        for i in range(count):
            blocks = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            name = f"{'field' if i % 2 else 'track'}_{i}"
            cv2.imwrite(str(folder / "images" / split / f"{name}.png"), cv2.resize(blocks, (120, 90)))
            (folder / "labels" / split / f"{name}.txt").write_text(f"{i % 2} 0.5 0.5 0.2 0.4\n")
    lines = ["path: .", "train: images/train", "val: images/val", "names:"]
    (folder / "data.yaml").write_text("\n".join([*lines, *(f"  {i}: {n}" for i, n in enumerate(names))]) + "\n")
    return folder / "data.yaml"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder whose untrained network varies enough to find something."""
    torch.manual_seed(0)
    detector = Detector(SPEC, len(NAMES), NAMES)
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    folder = tmp_path_factory.mktemp("run")
    save_checkpoint(folder / "checkpoint.pt", detector.eval(), {"seed": 7})
    return folder


@pytest.fixture(scope="module")
def bundle(run: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("out") / "tiny.unina"
    words = [run / "checkpoint.pt", "--data", data, "--output", output, "--calibration-images", 3, "--no-accuracy"]
    assert export([str(word) for word in (*words, "--score-threshold", 0.4, "--json")]) == 0
    return output


def answered(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    capsys.readouterr()
    assert main([str(word) for word in (*words, "--json")]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of an evaluation that can't be made."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("unina-eval: ")
    return err


def write_detections(path: Path, data: Path, scores: list[float]) -> Path:
    """As unina-detector would: every cone of val is found, with these scores, in order of the file names."""
    lines = []
    for number, image in enumerate(sorted((data.parent / "images" / "val").iterdir())):
        label = int(image.with_suffix("").name.split("_")[1]) % 2
        one = found((scores[number], [48.0, 27.0, 72.0, 63.0], label)) if scores[number] else Detections.empty()
        lines.append(detections_line(number, f"frames/{image.name}", (90, 120), one, NAMES))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_run_its_checkpoint_and_its_bundle_are_the_same_detector(
    run: Path, bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_run = answered(capsys, run, "--data", data)
    assert by_run == answered(capsys, run / "checkpoint.pt", "--data", data)
    by_bundle = answered(
        capsys, bundle, "--data", data, "--checkpoint", run / "checkpoint.pt", "--stages", "torch,onnx"
    )
    assert list(by_bundle) == ["torch", "onnx"]
    assert by_bundle["torch"]["map50"] == by_run["torch"]["map50"]
    assert by_bundle["onnx"]["map50"] == pytest.approx(by_run["torch"]["map50"], abs=0.01)
    assert by_run["torch"]["operating_manifest"] is None
    assert by_bundle["onnx"]["operating_manifest"]["false"] >= 0
    assert by_run["torch"]["estimated_ms"] == pytest.approx(by_bundle["onnx"]["estimated_ms"])
    assert by_run["torch"]["input"] == [64, 96]


def test_another_input_size_is_another_evaluation(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = answered(capsys, run, "--data", data, "--input-size", "128x96")["torch"]
    assert result["input"] == [96, 128]
    own = answered(capsys, run, "--data", data)["torch"]
    assert result["estimated_ms"] > own["estimated_ms"]
    # boxes 36 pixels high in pictures of 120×90: 25.6 in 96×64, 38.4 in 128×96
    assert [row["boxes"] for row in own["heights"]] == [0, 0, 4, 0]
    assert [row["boxes"] for row in result["heights"]] == [0, 0, 0, 4]


def test_saved_detections_score_as_the_detector_that_made_them(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "found.jsonl"
    direct = answered(capsys, run, "--data", data, "--save-detections", file)["torch"]
    saved = answered(capsys, file, "--data", data, "--input-size", "96x64")["saved"]
    assert saved | {"estimated_ms": None} == direct | {"estimated_ms": None}


def test_a_line_gives_back_its_detections_exactly(tmp_path: Path) -> None:
    names = ("blue_cone", "yellow_cone", "orange_cone", "large_orange_cone")
    one = found((0.7, [1.1, 2.2, 3.3, 4.4], 3), (0.1, [0, 0, 1e-3, 1], 1))
    path = tmp_path / "a.jsonl"
    path.write_text(detections_line(0, "x/y.png", (4, 5), one, names) + "\n")
    again = read_detections(path)
    assert again.names == ("yellow_cone", "large_orange_cone")  # those that were found, by their numbers
    picture = again.of(tmp_path / "x" / "y.png", tmp_path)
    assert (picture.boxes == one.boxes).all() and (picture.scores == one.scores).all()
    assert picture.classes.tolist() == [1, 0]
    assert source_name(tmp_path / "x" / "y.png", tmp_path / "z") == "../x/y.png"


def test_two_sets_of_detections_are_compared(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_detections(tmp_path / "good.jsonl", data, [0.9, 0.8, 0.7, 0.6])
    poor = write_detections(tmp_path / "poor.jsonl", data, [0.9, 0, 0, 0.6])
    result = answered(capsys, good, "--data", data, "--against", poor)["saved"]
    assert result["map50"] == pytest.approx(1)
    against = result["against"]
    assert against["difference"] == pytest.approx(against["map50"] - against["map50_other"])
    assert against["groups"] == {}
    assert 0 <= against["low"] < against["difference"] < against["high"] <= 1
    assert answered(capsys, good, "--data", data, "--against", good)["saved"]["against"]["clear"] is False
    kinds = answered(capsys, good, "--data", data, "--against", poor, "--groups", "^[a-z]+")["saved"]["against"][
        "groups"
    ]
    assert {kind: one["images"] for kind, one in kinds.items()} == {"field": 2, "track": 2}
    assert main([str(word) for word in (good, "--data", data, "--against", poor, "--groups", "^[a-z]+")]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "saved, field: 1.000 against" in out and "95 % interval" in out


def test_cone_free_pictures_groups_and_a_report(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for i in range(2):
        cv2.imwrite(str(bare / f"{i}.jpg"), np.random.default_rng(i).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    words = (run, "--data", data, "--negatives", bare, "--groups", "^[a-z]+", "--report", tmp_path / "report")
    file = tmp_path / "found.jsonl"
    result = answered(capsys, *words, "--save-detections", file, "--output", tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == result
    assert result["torch"]["negatives"]["images"] == 2
    assert [row["name"] for row in result["torch"]["groups"]] == ["field", "track"]
    assert (tmp_path / "report" / "index.html").stat().st_size > 10_000
    again = answered(capsys, file, "--data", data, "--negatives", bare)
    assert again["saved"]["negatives"] == result["torch"]["negatives"]


def test_the_unlabelled_pictures_of_a_data_set_are_cone_free(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    for split in ("train", "val"):
        (tmp_path / "data" / "labels" / split / "track_0.txt").write_text("")
    assert [path.name for path in cone_free_pictures(data)] == ["track_0.png"] * 2
    assert cone_free_pictures(data.parent) == cone_free_pictures(data)
    for label in (tmp_path / "data" / "labels").rglob("*.txt"):
        label.write_text("")  # a set without a single cone is as good
    assert len(cone_free_pictures(data)) == 7
    (tmp_path / "data" / "labels" / "val" / "track_0.txt").write_text("0 0.5 0.5\n")  # who knows what stands there
    with pytest.raises(DataError, match=r"track_0\.txt:1"):
        cone_free_pictures(data)


@pytest.mark.parametrize("form", ["coco", "kitti", "supervisely"])
def test_a_data_set_of_any_format_is_no_plain_folder(data: Path, tmp_path: Path, form: str) -> None:
    labels = shutil.copytree(data.parent, tmp_path / "data") / "labels"
    (labels / "val" / "track_2.txt").write_text("")
    path = write_dataset(load_dataset(tmp_path / "data"), tmp_path / form, form).entry
    assert [picture.name for picture in cone_free_pictures(path)] == ["track_2.png"]


def test_pictures_in_a_folder_that_is_no_data_set_are_all_cone_free(data: Path) -> None:
    assert len(cone_free_pictures(data.parent / "images")) == 7


def test_classes_of_other_names_are_mapped_and_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", ("blue", "gold"))
    assert "'yellow_cone'" in refused(capsys, run, "--data", data)
    assert main([str(run), "--data", str(data), "--map", "yellow_cone=gold", "--json"]) == 0
    out, err = capsys.readouterr()
    assert list(json.loads(out)["torch"]["ap50"]) == ["blue", "gold"]
    assert "blue_cone → blue" in err and "yellow_cone → gold" in err


def test_an_export_takes_thresholds_from_a_set_whose_classes_are_called_otherwise(run: Path, tmp_path: Path) -> None:
    data, output = write_data(tmp_path / "data", ("blue", "yellow")), tmp_path / "a.unina"
    words = (run / "checkpoint.pt", "--data", data, "--output", output, "--calibration-images", 2, "--json")
    assert export([str(word) for word in words]) == 0
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["classes"] == list(NAMES)
    assert list(manifest["accuracy"]["host"]["ap50"]) == ["blue", "yellow"]
    assert len(manifest["thresholds"]) == 2


def test_an_ignored_class_is_reported_with_and_without(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = answered(capsys, run, "--data", data, "--ignore", "yellow_cone")["torch"]
    assert list(result["ap50"]) == ["blue_cone"]
    assert result["ignored_boxes"] == 2
    assert result["map50_with_ignored"] == answered(capsys, run, "--data", data)["torch"]["map50"]


def test_a_class_that_the_model_lacks_can_be_ignored(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_data(tmp_path / "data", (*NAMES, "unknown_cone"))
    (data.parent / "labels" / "val" / "track_0.txt").write_text("0 0.5 0.5 0.2 0.4\n2 0.2 0.5 0.1 0.1\n")
    assert "unknown_cone" in refused(capsys, run, "--data", data)
    result = answered(capsys, run, "--data", data, "--ignore", "unknown_cone")["torch"]
    assert result["ignored_boxes"] == 1 and result["map50_with_ignored"] is None
    assert result["map50_ignored_as_background"] is not None


def test_the_table_holds_every_section(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run), "--data", str(data)]) == 0
    out = capsys.readouterr().out
    for words in ("mAP50-95", "AP50 yellow_cone", "16–32", "recommended", "NMS", "H 64 × W 96", "one DLA"):
        assert words in out


def test_a_requirement_that_is_not_met_is_exit_code_1(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_detections(tmp_path / "a.jsonl", data, [0.9, 0, 0, 0])
    assert main([str(file), "--data", str(data), "--require", "0.2"]) == 0
    assert main([str(file), "--data", str(data), "--require", "0.9"]) == 1
    assert "below 0.9" in capsys.readouterr().err


FINE = '{"class": "blue", "class_id": 0, "score": 1, "box": [0, 0, 1, 1]}'


def one_line(detections: str) -> str:
    return f'{{"schema": 1, "source": "a", "detections": [{detections}]}}\n'


def test_bad_input_is_one_line(
    run: Path, bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--data", data)
    assert "no such bundle" in refused(capsys, tmp_path / "none", *flags)
    assert "neither a bundle" in refused(capsys, tmp_path, *flags)
    assert "no such split" in refused(capsys, run, *flags, "--split", "test")
    assert "multiples of 8" in refused(capsys, run, *flags, "--input-size", "96x60")
    assert "fixed at 96x64" in refused(capsys, bundle, *flags, "--input-size", "96x96")
    assert "give --checkpoint" in refused(capsys, bundle, *flags, "--stages", "torch")
    assert "has onnx, qdq, host" in refused(capsys, bundle, *flags, "--stages", "onxx")
    assert "--checkpoint belongs to a bundle" in refused(capsys, run, *flags, "--checkpoint", run / "checkpoint.pt")
    assert "no cone-free picture" in refused(capsys, run, *flags, "--negatives", data)
    (tmp_path / "empty").mkdir()
    assert "no cone-free picture" in refused(capsys, run, *flags, "--negatives", tmp_path / "empty")
    assert "no folder" in refused(capsys, run, *flags, "--output", tmp_path / "none" / "a.json")
    assert "is a folder" in refused(capsys, run, *flags, "--save-detections", tmp_path)
    assert "is a file" in refused(capsys, run, *flags, "--report", data)
    broken = tmp_path / "broken.jsonl"
    for text, words in (
        ("", "no line of detections"),
        ('{"schema": 1}\n', "broken.jsonl:1: not a line of detections"),
        ('{"schema": 2, "source": "a", "detections": []}\n', "schema 2, not 1"),
        ('{"schema": 1, "source": "a", "detections": []}\n' * 2, "broken.jsonl:2: a second line for a"),
        ('{"schema": 1, "source": "a", "detections": []}\n', "no line for the picture images/val/field_1.png"),
        (one_line('{"class": "b", "class_id": 0, "score": NaN, "box": [0, 0, 1, 1]}'), "a score lies between"),
        (one_line('{"class": "b", "class_id": 0, "score": 1, "box": [0, 0, 1]}'), "not a line of detections"),
        (one_line(f"{FINE}, {FINE.replace('blue', 'red')}"), "class_id 0 is red here and blue above"),
    ):
        broken.write_text(text)
        assert words in refused(capsys, broken, *flags)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--input-size", "640", "width and height such as 960x544"),
        ("--groups", "[", "not a regular expression"),
        ("--nms", "2", "a number from 0 to 1"),
        ("--map", "orange", "MODEL_CLASS=DATA_CLASS"),
    ],
)
def test_a_bad_option_is_named(option: str, value: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["x", "--data", "y", option, value])
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert option in err and words in err


def test_help_shows_examples() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "unina.cli.eval", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "--against runs/old" in text and "docs/evaluation.md" in text
