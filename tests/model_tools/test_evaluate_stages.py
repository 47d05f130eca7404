"""Every stage beside the one before it: what the table says of a sound bundle, and that it points at a broken stage."""

import itertools
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from onnx import numpy_helper
from scored_sets import found
from test_evaluate_command import NAMES, SPEC, answered, refused
from torch import nn
from untrained_bundle import untrained_bundle

from unina.cli.eval import main
from unina.cli.eval_forms import exported_forms
from unina.dla.graph_reader import read_graph
from unina.evaluate import HostMaps, OnnxMaps, tinygrad_maps
from unina.evaluate.agreement import box_agreement
from unina.evaluate.map_difference import MapTally, worst
from unina.evaluate.raw_maps import int8_limits
from unina.evaluate.stage_table import beside
from unina.evaluate.subject import open_subject
from unina.evaluate.tinygrad_maps import TinygradMaps
from unina.model import Detector, ModelSpec, load_checkpoint, save_checkpoint
from unina.model.plan import Plan
from unina_runtime import Detections

SOUND = ("torch", "fused", "onnx", "qdq", "host")
LABELLED = 3
"""Boxes of the network itself that stand as labels of a picture."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """checkpoint.pt, tiny.unina and data/, whose labels are the best boxes of the network: it has an accuracy."""
    folder = tmp_path_factory.mktemp("stages")
    untrained_bundle(folder)
    stage = open_subject(folder / "checkpoint.pt", folder).stages["torch"]()
    for picture in sorted((folder / "data" / "images" / "val").iterdir()):
        best = stage(picture).detections
        assert len(best) >= LABELLED
        lines = []
        for k in range(LABELLED):
            x0, y0, x1, y1 = (float(v) / side for v, side in zip(best.boxes[k], (120, 90, 120, 90), strict=True))
            x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in (x0, y0, x1, y1))
            lines.append(f"{best.classes[k]} {(x0 + x1) / 2:.9f} {(y0 + y1) / 2:.9f} {x1 - x0:.9f} {y1 - y0:.9f}")
        (folder / "data" / "labels" / "val" / f"{picture.stem}.txt").write_text("\n".join(lines) + "\n")
    return folder


def words(place: Path, bundle: Path, *more: object) -> tuple[object, ...]:
    return (bundle, "--data", place / "data", "--checkpoint", place / "checkpoint.pt", *more)


@pytest.fixture(scope="module")
def sound(place: Path) -> dict:
    """The JSON of an evaluation of a bundle as exported, which also writes a report."""
    more = ("--stages", ",".join(SOUND), "--output", place / "sound.json", "--report", place / "report")
    assert main([str(word) for word in words(place, place / "tiny.unina", *more)]) == 0
    return json.loads((place / "sound.json").read_text())


def test_each_stage_is_compared_with_the_one_before(sound: dict) -> None:
    assert tuple(sound) == SOUND
    assert sound["torch"]["beside"] is None
    assert [sound[stage]["beside"]["stage"] for stage in SOUND[1:]] == list(SOUND[:-1])
    for before, stage in itertools.pairwise(SOUND):
        points = 100 * (sound[stage]["map50_95"] - sound[before]["map50_95"])
        assert sound[stage]["beside"]["map50_95_points"] == pytest.approx(points)


def test_of_a_sound_bundle_only_quantisation_moves_the_maps(sound: dict) -> None:
    maps = {stage: sound[stage]["beside"]["maps"] for stage in SOUND[1:]}
    assert set(maps["fused"]["outputs"]) == {"p2_class", "p2_box", "p3_class", "p3_box"}
    for stage in ("fused", "onnx"):  # float32 in another order of summation
        assert 0 < maps[stage]["relative"] < 1e-5 and maps[stage]["snr_db"] > 100
    assert 0.005 < maps["qdq"]["relative"] < 0.5 and 10 < maps["qdq"]["snr_db"] < 60
    assert maps["host"]["snr_db"] is None or maps["host"]["snr_db"] > maps["qdq"]["snr_db"] + 10
    kept = {stage: sound[stage]["beside"]["boxes"]["kept"] for stage in SOUND[1:]}
    assert kept["fused"] == kept["onnx"] == 1 and 0.5 < kept["qdq"] < 1
    assert sound["torch"]["map50"] > 0.7 and sound["torch"]["map50"] == pytest.approx(sound["onnx"]["map50"])


def test_the_report_holds_the_table(sound: dict, place: Path) -> None:
    page = (place / "report" / "index.html").read_text()
    table = page[page.index("<h2>Stage by stage</h2>") :].split("</table>")[0]
    assert [line.split("</td>")[0] for line in table.split("<tr><td>")[1:]] == list(SOUND)
    assert f"<td>{sound['qdq']['beside']['maps']['max_difference']:.1e}</td>" in table
    assert f"<td>{sound['qdq']['map50_95']:.3f}</td>" in table


def test_the_terminal_shows_one_row_a_stage(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main([str(word) for word in words(place, place / "tiny.unina", "--stages", "fused,onnx")]) == 0
    lines = capsys.readouterr().out.split("stage by stage")[1].splitlines()
    rows = [line.split() for line in lines if line.startswith(("torch ", "fused ", "onnx ", "qdq ", "host "))]
    assert [row[0] for row in rows] == ["fused", "onnx"]
    assert len(rows[0]) == 3 and rows[1][8:] == ["100.0", "⇄", "100.0"]


def double_a_weight(path: Path) -> None:
    """Of the last convolution but ten, so that its output still looks like one."""
    model = onnx.load(path)
    node = [node for node in model.graph.node if node.op_type == "Conv"][-10]
    (tensor,) = (one for one in model.graph.initializer if one.name == node.input[1])
    tensor.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(tensor), tensor.name))
    onnx.save(model, path)


def halve_a_scale(path: Path) -> None:
    """One tensor saturates at half its range."""
    model = onnx.load(path)
    scale = next(one for one in model.graph.initializer if "scale" in one.name and one.dims in ([], [1]))
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) / 2, scale.name))
    onnx.save(model, path)


@pytest.mark.parametrize(
    ("stage", "file", "breaks"),
    [("onnx", "model.onnx", double_a_weight), ("qdq", "model.qdq.onnx", halve_a_scale)],
)
def test_a_broken_file_shows_at_its_stage(
    stage: str,
    file: str,
    breaks: Callable[[Path], None],
    place: Path,
    sound: dict,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle = tmp_path / "broken.unina"
    shutil.copytree(place / "tiny.unina", bundle)
    breaks(bundle / file)
    result = answered(capsys, *words(place, bundle, "--stages", ",".join(SOUND)))
    for earlier in SOUND[: SOUND.index(stage)]:
        assert result[earlier] == sound[earlier]
    broken, fine = result[stage]["beside"], sound[stage]["beside"]
    assert broken["maps"]["max_difference"] > fine["maps"]["max_difference"]
    assert broken["maps"]["snr_db"] < fine["maps"]["snr_db"] - 3
    assert broken["boxes"]["kept"] < fine["boxes"]["kept"]
    assert broken["map50_95_points"] < min(fine["map50_95_points"], 0)


def test_a_wrong_fusion_shows_between_torch_and_fused(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = Detector.deploy

    def wrong(self: Detector) -> nn.Module:
        deployed = deploy(self)
        deployed.backbone.stem.conv.bias.add_(20)
        return deployed

    monkeypatch.setattr(Detector, "deploy", wrong)
    run = place / "checkpoint.pt"
    result = answered(capsys, run, "--data", place / "data", "--stages", "torch,fused,onnx")
    assert result["fused"]["beside"]["maps"]["relative"] > 0.01
    assert result["fused"]["beside"]["boxes"]["kept"] < 1
    assert result["onnx"]["beside"]["maps"]["relative"] < 1e-5, "the export is faithful to what was fused"


def test_a_checkpoint_is_exported_in_memory(
    place: Path, sound: dict, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unina.evaluate.subject.missing", lambda: "nothing here")
    listed = sorted(place.iterdir())
    result = answered(capsys, place / "checkpoint.pt", "--data", place / "data", "--stages", "all")
    assert list(result) == ["torch", "fused", "onnx"]
    assert result["onnx"]["map50_95"] == sound["onnx"]["map50_95"]
    assert result["onnx"]["beside"]["maps"] == sound["onnx"]["beside"]["maps"]
    assert sorted(place.iterdir()) == listed


def test_a_checkpoint_at_another_input_size_is_exported_at_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (place / "checkpoint.pt", "--data", place / "data", "--stages", "fused,onnx", "--input-size", "128x64")
    result = answered(capsys, *words)
    assert result["onnx"]["input"] == [64, 128]
    assert result["onnx"]["beside"]["maps"]["relative"] < 1e-5


def test_a_checkpoint_with_scales_has_the_integer_stages(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scales that a run in integers would have learnt: here one for all tensors, so that every tie holds."""
    run = place / "checkpoint.pt"
    loaded = load_checkpoint(run)
    graph = read_graph(onnx.load_from_string(exported_forms(loaded, loaded.model.deploy(), run).onnx))
    scales = dict.fromkeys(graph.shapes, 1.0)
    save_checkpoint(tmp_path / "checkpoint.pt", loaded.model, {}, scales=scales)
    stages = ("--stages", "onnx,qdq,host", "--rounding", "all")
    result = answered(capsys, tmp_path, "--data", place / "data", *stages)
    result.pop("band")
    modes = ["host half-away fp32", "host half-even fp32"]
    assert list(result) == ["onnx", "qdq", *modes]
    assert [result[mode]["beside"]["stage"] for mode in modes] == ["qdq", "qdq"]
    assert result["qdq"]["beside"]["maps"]["max_difference"] > 0
    del scales[next(iter(scales))]
    save_checkpoint(tmp_path / "checkpoint.pt", loaded.model, {}, scales=scales)
    assert "no scale for" in refused(capsys, tmp_path, "--data", place / "data", *stages)


def test_modes_of_one_stage_are_all_beside_the_stage_before_them() -> None:
    assert beside(("a", "b", "c")) == {"b": "a", "c": "b"}
    assert beside(("qdq", "host 1", "host 2", "onnx"), ("host 1", "host 2")) == {
        "host 1": "qdq",
        "host 2": "qdq",
        "onnx": "qdq",
    }
    assert beside(("host 1", "host 2", "host 3"), ("host 1", "host 2", "host 3")) == {
        "host 2": "host 1",
        "host 3": "host 1",
    }
    assert beside(("a",)) == {}


def test_agreement_by_hand() -> None:
    box, near, far = [0.0, 0, 100, 100], [0.0, 0, 100, 95], [0.0, 0, 100, 80]
    before = found((0.9, box, 0), (0.8, [300.0, 0, 340, 40], 1), (0.2, [200.0, 0, 240, 40], 0))
    after = found((0.7, near, 0), (0.6, far, 0), (0.9, [300.0, 0, 340, 40], 0), (0.9, [200.0, 0, 240, 40], 0))
    result = box_agreement([before], [after], (0.5, 0.5))
    assert (result.kept, result.boxes_before) == (0.5, 2), "one near enough, one of another class"
    assert (result.found_before, result.boxes) == (0.25, 4), "a partner below the score is none"
    nothing = box_agreement([Detections.empty()], [before], (0.5, 0.5))
    assert (nothing.kept, nothing.found_before) == (None, 0)


@given(st.integers(0, 2**32 - 1))
def test_agreement_is_whole_with_itself_and_turns_round(seed: int) -> None:
    random = np.random.default_rng(seed)

    def some() -> Detections:
        corner = random.integers(0, 6, (9, 2)).astype(np.float32)
        boxes = np.concatenate([corner, corner + random.integers(1, 20, (9, 2))], axis=1).astype(np.float32)
        return Detections(boxes, random.random(9, np.float32), random.integers(0, 2, 9).astype(np.int32))

    first, second = [some(), some()], [some(), some()]
    alone = box_agreement(first, first, (0.3, 0.6))
    assert alone.kept in {1, None} and alone.found_before == alone.kept
    one, other = box_agreement(first, second, (0.3, 0.6)), box_agreement(second, first, (0.3, 0.6))
    assert (one.kept, one.boxes) == (other.found_before, other.boxes_before)


def test_differences_by_hand() -> None:
    tally = MapTally()
    tally.add(
        {"a": np.float32([[3, -4]]), "b": np.float32([[100]])}, {"a": np.float32([[3, -5]]), "b": np.float32([[99]])}
    )
    tally.add({"a": np.float32([[0, 8]]), "b": np.float32([[0]])}, {"a": np.float32([[2, 8]]), "b": np.float32([[0]])})
    rows = tally.result()
    assert worst(rows) is rows[0] and rows[0].output == "a"
    assert (rows[0].largest_difference, rows[0].relative) == (2, 2 / 8)
    assert rows[0].snr_db == pytest.approx(10 * math.log10((9 + 16 + 64) / (1 + 4)))
    tally.add(
        {"a": np.float32([[0, 0]]), "b": np.float32([[1]])}, {"a": np.float32([[0, 0]]), "b": np.float32([[np.nan]])}
    )
    tally.add({"a": np.float32([[0, 0]]), "b": np.float32([[1]])}, {"a": np.float32([[0, 0]]), "b": np.float32([[1]])})
    row = worst(tally.result())
    assert row.output == "b" and math.isnan(row.largest_difference), "no later picture hides a NaN"
    assert row.to_json() == {"max_difference": None, "relative": None, "snr_db": None}
    with pytest.raises(ValueError, match="not two stages of one network"):
        tally.add({"a": np.zeros((1, 2), np.float32)}, {"a": np.zeros((1, 3), np.float32)})


def test_beside_integers_only_what_they_can_hold_counts() -> None:
    tally = MapTally()
    tally.add({"a": np.float32([[-90, 3]])}, {"a": np.float32([[-8, 3.5]])}, {"a": (-8.0, 7.9)})
    assert tally.result()[0].largest_difference == 0.5
    assert tally.result()[0].signal == 64 + 9


def test_the_limits_of_a_quantised_graph_are_those_of_its_scales(place: Path) -> None:
    bundle = place / "tiny.unina"
    tensors = json.loads((bundle / "manifest.json").read_text())["tensors"]
    wanted = {t["name"]: (-128 * t["scale"], 127 * t["scale"]) for t in tensors if t["role"] == "output"}
    assert wanted
    for limits in (OnnxMaps(bundle / "model.qdq.onnx").limits, int8_limits(HostMaps(bundle / "host.loadable").scales)):
        assert limits == {name: pytest.approx(pair) for name, pair in wanted.items()}
    assert OnnxMaps(bundle / "model.onnx").limits == {}


def test_what_cannot_be_compared_is_said(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ("--data", place / "data")
    run, bundle = place / "checkpoint.pt", place / "tiny.unina"
    broken = tmp_path / "broken.unina"
    shutil.copytree(bundle, broken)
    (broken / "model.onnx").write_bytes(b"none")
    assert "broken.unina/model.onnx: ONNX Runtime can't load it" in refused(capsys, broken, *data, "--stages", "onnx")
    (broken / "model.onnx").unlink()
    assert "model.onnx: no such file" in refused(capsys, broken, *data, "--stages", "onnx")
    for stage in ("qdq", "host"):
        assert "no scales of INT8: unina-export it" in refused(capsys, run, *data, "--stages", stage)
    assert "give --checkpoint" in refused(capsys, bundle, *data, "--stages", "fused,onnx")
    torch.manual_seed(0)
    for spec, names, words in (
        (replace(SPEC, levels=("p3",)), NAMES, "outputs"),
        (SPEC, ("blue_cone", "gold"), "classes ('blue_cone', 'gold')"),
    ):
        save_checkpoint(tmp_path / "other.pt", Detector(spec, len(names), names).eval(), {})
        line = refused(capsys, bundle, *data, "--checkpoint", tmp_path / "other.pt", "--stages", "torch,onnx")
        assert "is not its bundle" in line and words in line


def test_without_tinygrad_or_clang_it_says_what_to_install(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, monkey = (place / "tiny.unina", "--data", place / "data", "--stages"), monkeypatch
    monkey.setattr(tinygrad_maps.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'unina-model-tools[tinygrad]'" in refused(capsys, *here, "onnx,tinygrad")
    assert main([str(word) for word in (*here, "all", "--json")]) == 0
    out, err = capsys.readouterr()
    assert list(json.loads(out)) == ["onnx", "qdq", "host"]
    assert "stage tinygrad left out: tinygrad is not installed" in err
    monkey.setattr(tinygrad_maps.importlib.util, "find_spec", lambda name: object())
    monkey.setattr(tinygrad_maps.shutil, "which", lambda name: None)
    monkey.delenv("CC", raising=False)
    assert "apt-get install clang" in refused(capsys, *here, "tinygrad")
    monkey.setenv("CC", "gcc")
    assert "CC=gcc: unset CC" in refused(capsys, *here, "tinygrad")


def test_tinygrad_computes_what_onnx_runtime_computes(tmp_path: Path) -> None:
    """A network of one level and eight channels: clang compiles every layer."""
    reason = tinygrad_maps.missing()
    if reason is not None:
        pytest.skip(f"NOT CHECKED: {reason}")
    torch.manual_seed(0)
    plan = Plan(8, (8,) * 4, (1,) * 4, (8,) * 4, (8,) * 4, 1)
    spec = ModelSpec(input_height=32, input_width=32, levels=("p3",), plan=plan)
    detector = Detector(spec, 1, ("cone",))
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, detector.eval(), {})
    forms = exported_forms(load_checkpoint(path), detector.deploy(), path)
    ours, theirs = TinygradMaps(forms.onnx), OnnxMaps(forms.onnx)
    random, tally = np.random.default_rng(0), MapTally()
    for _ in range(4):  # the third call on is compiled as a whole
        x = random.integers(-128, 128, (1, 3, 32, 32)).astype(np.float32)
        tally.add(theirs(x), ours(x))
    assert 0 < worst(tally.result()).relative < 1e-5
