"""The whole chain in small: scenes, training, calibration, bundle, service, report; then again, from memory."""

import json
import re
from pathlib import Path

import pytest
import yaml

from unina.cli import demo


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo of a few pictures and steps: what it finds is left to chance, what it writes is not."""
    folder = tmp_path_factory.mktemp("demo")
    spec = yaml.safe_load(demo.SPEC.read_text())
    spec["model"] |= {"input_height": 96, "input_width": 160}
    spec["train"] |= {"epochs": 2, "epoch_crops": 16, "crop": 96}
    small = folder / "small.yaml"
    small.write_text(yaml.safe_dump(spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "SPEC", small)
        patch.setattr(demo, "SCENES", {"train": 12, "val": 5, "test": 4})
        demo.run(folder / "out", None)
        first = (folder / "out" / "detections.jsonl").stat().st_mtime_ns
        again = demo.run(folder / "out", None)
    assert again["seconds"] == {}, "a repeated demo ran something although nothing had changed"
    assert (folder / "out" / "detections.jsonl").stat().st_mtime_ns == first
    return folder / "out"


def test_every_stage_is_scored_on_the_unseen_split(output: Path) -> None:
    accuracy = json.loads((output / "accuracy.json").read_text())
    assert list(accuracy) == ["torch", "onnx", "qdq", "host"]
    assert {stage["images"] for stage in accuracy.values()} == {4}
    assert accuracy["torch"]["map50"] == pytest.approx(accuracy["onnx"]["map50"], abs=1e-3)


def test_one_line_and_one_picture_a_frame(output: Path) -> None:
    lines = [json.loads(line) for line in (output / "detections.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2, 3]
    assert all((line["width"], line["height"]) == (1280, 720) for line in lines)
    assert len(list((output / "frames").iterdir())) == 4


def test_the_report_stands_alone(output: Path) -> None:
    page = (output / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert not re.search(r"""(src|href)=["']?https?:|url\(https?:|<script|<link""", page)
    assert "INT8, the integer host engine" in page
