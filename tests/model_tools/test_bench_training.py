"""The comparison with another detector is fair: the same batches for both, the same boxes, nothing fetched."""

import importlib
import importlib.util
import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_runs import small_spec, write_dataset
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "model-tools" / "bench"))

import peers
import training

from unina.evaluate.score import MAX_DETECTIONS
from unina.evaluate.stages import SCORE_FLOOR
from unina.train.assigner import Targets
from unina.train.spec import TrainSpec
from unina_runtime import Placement

with_transformers = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in peers.NEEDED),
    reason="NOT TESTED, no peer to train: pip install 'unina-model-tools[bench]'",
)


def targets_of(boxes: list[list[float]], classes: list[int], images: list[int]) -> Targets:
    labels, places = torch.tensor(classes, dtype=torch.int64), torch.tensor(images, dtype=torch.int64)
    return Targets(torch.tensor(boxes).reshape(-1, 4), labels, places)


def test_targets_become_one_label_a_crop_in_parts_of_its_side() -> None:
    targets = targets_of([[0, 0, 80, 160], [160, 80, 320, 320], [10, 20, 30, 60]], [1, 0, 2], [2, 0, 2])
    labels = peers.labels_of(targets, images=3, size=320, classes=3, groups=())
    assert [label["class_labels"].tolist() for label in labels] == [[0], [], [1, 2]]
    assert labels[0]["boxes"].tolist() == [[0.75, 0.625, 0.5, 0.75]]
    assert labels[1]["boxes"].shape == (0, 4)
    assert torch.allclose(labels[2]["boxes"], torch.tensor([[0.125, 0.25, 0.25, 0.5], [0.0625, 0.125, 0.0625, 0.125]]))


def test_a_label_of_several_classes_is_taught_as_the_first_of_them() -> None:
    targets = targets_of([[0, 0, 8, 8]] * 4, [0, 3, 4, 2], [0] * 4)
    (labels,) = peers.labels_of(targets, images=1, size=64, classes=3, groups=((1, 2), (0, 1)))
    assert labels["class_labels"].tolist() == [0, 1, 0, 2]


def logits_for(classes: list[int], count: int) -> npt.NDArray[np.float32]:
    """One query a class, sure of it, of nothing else, and the first one surest."""
    logits = np.full((len(classes), count), -20, np.float32)
    for row, label in enumerate(classes):
        logits[row, label] = 5 - 0.1 * row
    return logits


@given(
    width=st.integers(64, 2000),
    height=st.integers(64, 2000),
    rows=st.lists(st.tuples(*[st.floats(0, 1)] * 4, st.integers(0, 3)), min_size=1, max_size=8),
)
def test_boxes_come_back_from_the_peer_where_they_were_labelled(
    width: int, height: int, rows: list[tuple[float, float, float, float, int]]
) -> None:
    """Source pixels → letterboxed input → the peer's form → detections: within a tenth of a pixel."""
    size = 640
    placement = Placement.fit(width, height, size, size)
    corners = np.array(
        [[min(a, c) * width, min(b, d) * height, max(a, c) * width, max(b, d) * height] for a, b, c, d, _ in rows],
        np.float32,
    )
    classes = [row[4] for row in rows]
    targets = targets_of(placement.to_input(corners).tolist(), classes, [0] * len(rows))
    (labels,) = peers.labels_of(targets, images=1, size=size, classes=4, groups=())
    found = peers.detections_of(logits_for(classes, 4), labels["boxes"].numpy(), placement, size, size)
    assert found.classes.tolist() == classes
    assert np.abs(found.boxes - corners).max() < 0.1


def test_a_box_is_placed_by_height_and_width_of_the_input() -> None:
    placement = Placement.fit(1280, 720, 640, 384)
    boxes = np.array([[0.5, 0.5, 0.25, 0.125]], np.float32)
    found = peers.detections_of(logits_for([0], 1), boxes, placement, 384, 640)
    # 160×48 input pixels around the centre, twice as large in the source
    assert np.allclose(found.boxes, [[480, 312, 800, 408]], atol=0.01)


def test_scores_fall_and_what_is_too_low_or_too_many_is_left_out() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (MAX_DETECTIONS, 3)).astype(np.float32)
    logits[0] = [9, 8.5, -9]  # one query may be two classes
    boxes = np.full((MAX_DETECTIONS, 4), 0.25, np.float32)
    found = peers.detections_of(logits, boxes, Placement.fit(64, 64, 64, 64), 64, 64)
    assert len(found) == MAX_DETECTIONS and (np.diff(found.scores) <= 0).all()
    assert found.classes[:2].tolist() == [0, 1]
    few = peers.detections_of(logits[:5], boxes[:5], Placement.fit(64, 64, 64, 64), 64, 64)
    sigmoid = 1 / (1 + np.exp(-logits[:5].astype(np.float64)))
    assert len(few) == (sigmoid >= SCORE_FLOOR).sum() < 15


def test_both_see_the_same_batches_once_and_take_turns_at_beginning() -> None:
    """Crops are cut once; a mistake here would compare two trainings on different data."""
    steps, seen = 2 * training.SLICE + 3, []

    def batch(step: int) -> Any:
        seen.append(("cut", step))
        return SimpleNamespace(x=torch.full((2, 1), float(step)))

    def our_step(given: Any) -> list[float]:
        seen.append(("ours", int(given.x[0])))
        return [1.0]

    def peer_step(given: Any, step: int) -> float:
        assert int(given.x[0]) == step
        seen.append(("peer", step))
        return 2.0

    trainer: Any = SimpleNamespace(
        spec=SimpleNamespace(train=TrainSpec(epochs=1, epoch_crops=2 * steps, batch=2)),
        processes=SimpleNamespace(device=torch.device("cpu")),
        loader=SimpleNamespace(batch=batch),
        train_step=our_step,
    )
    peer: Any = SimpleNamespace(recipe=peers.RECIPES["dfine-n"], train_step=peer_step)
    slices = training.take_turns(trainer, peer, lambda text: None)
    for who in ("cut", "ours", "peer"):
        assert [step for name, step in seen if name == who] == list(range(steps))
    turns = [name for name, _ in seen if name != "cut"]
    assert [turns[2 * one.step] for one in slices] == ["ours", "peer", "ours"]
    assert [(one.step, one.ours.images, one.peer.images) for one in slices] == [(0, 20, 20), (10, 20, 20), (20, 6, 6)]
    assert all(one.ours.loss == 1.0 and one.peer.loss == 2.0 for one in slices)


def test_an_option_of_the_run_overrides_and_training_begins_from_random_weights() -> None:
    words = ["--data", "cones/data.yaml", "--crops", "40", "--crop", "256", "--plan", "b0", "--train.init_from", "x.pt"]
    options, others = training.build_parser().parse_known_args([*words, "--train.batch", "4", "--threads", "1"])
    spec = training.spec_of(options, others)
    assert spec.data == "cones/data.yaml" and spec.model.backbone == "b0"
    assert (spec.model.input_height, spec.model.input_width) == (640, 640)
    assert (spec.train.crop, spec.train.batch, spec.train.steps, spec.train.threads) == (256, 4, 10, 1)
    assert spec.train.init_from == ""


def test_a_crop_that_the_peer_cannot_halve_five_times_is_refused() -> None:
    spec = small_spec(Path("nowhere/data.yaml"), epochs=1, crop=176)
    with pytest.raises(ValueError, match=r"train\.crop: 176: must be a multiple of 32 for D-FINE-N"):
        training.measure(spec, "dfine-n", None, print)


def test_without_the_extra_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert training.main(["--data", "nowhere/data.yaml"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "training.py: transformers and scipy: not installed; pip install 'unina-model-tools[bench]'\n"


def test_transformers_is_offline_and_silent_before_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    switches = ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY")
    for switch in switches:
        monkeypatch.setenv(switch, "0")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib, "import_module", lambda name: {name: [os.environ[switch] for switch in switches]})
    assert peers.require() == {"transformers": ["1", "1"]}


def test_the_learning_rate_goes_with_the_root_of_the_batch() -> None:
    recipe = peers.RECIPES["dfine-n"]
    assert recipe.lr_for(recipe.batch) == recipe.lr
    assert recipe.lr_for(8) == pytest.approx(2e-4)


@with_transformers
@pytest.mark.parametrize("kind", list(peers.RECIPES))
def test_a_peer_begins_with_weights_that_can_learn_and_fetches_none(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection to {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    model = peers.build(kind, 4, 96)
    assert all(bool((m.weight == 1).all()) for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    biases = {name: p for name, p in model.named_parameters() if "enc_score_head.bias" in name}
    assert biases and all(torch.allclose(p.sigmoid(), torch.tensor(peers.PRIOR)) for p in biases.values())
    size = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert size == pytest.approx({"dfine-n": 3.7, "rtdetr-r18": 20.1}[kind], abs=0.2)  # papers, 80 classes: 4 and 20


@with_transformers
@pytest.mark.parametrize("bf16", [False, True])
def test_two_steps_of_both_give_a_whole_report(tmp_path: Path, bf16: bool) -> None:
    spec = small_spec(write_dataset(tmp_path / "data"), epochs=1, bf16=bf16)
    lines: list[str] = []
    report = json.loads(json.dumps(training.measure(spec, "dfine-n", None, lines.append)))
    assert report["crops"] == 8 and len(lines) == 2
    for who in ("ours", "peer"):
        one = report[who]
        assert one["images_per_s"] > 0 and len(one["losses"]) == 1 and one["losses"][0] > 0
        assert 0 <= one["accuracy"]["map50_95"] <= one["accuracy"]["map50"] <= 1
        assert one["accuracy"]["boxes"] == 8
    assert "D-FINE-N" in training.table(report)


@with_transformers
def test_a_peer_learns_and_crops_without_a_box_do_not_stop_it(tmp_path: Path) -> None:
    """One batch again and again: the loss falls; a batch of negatives gives a finite one."""
    spec = replace(small_spec(write_dataset(tmp_path / "data"), epochs=1).train, epochs=50, warmup=0.0, lr=0.004)
    peer = peers.Peer("dfine-n", 2, (), spec, torch.device("cpu"))
    x = torch.randn(2, 3, 96, 96) * 40
    labelled = SimpleNamespace(x=x, targets=targets_of([[8, 8, 40, 56], [20, 30, 60, 90]], [0, 1], [0, 1]))
    nothing = SimpleNamespace(x=x, targets=targets_of([], [], []))
    losses = [peer.train_step(labelled, step) for step in range(12)]  # type: ignore[arg-type]
    assert np.isfinite(peer.train_step(nothing, 12))  # type: ignore[arg-type]
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])
