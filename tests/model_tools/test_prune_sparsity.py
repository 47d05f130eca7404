"""`train.sparsity` pulls the gains of channels towards zero, and says so."""

import csv
from pathlib import Path

import pytest
import torch
from tiny_runs import small_spec, trainer_of, write_dataset

from unina.model import Detector, ModelSpec, load_checkpoint
from unina.train.quantise_spec import QuantiseSpec
from unina.train.sparsity import channel_gains, channel_penalty
from unina.train.spec import RunSpec, TrainSpec


@pytest.mark.parametrize("block", ["qarep", "rep"])
def test_a_channel_whose_gains_are_zero_is_silent(block: str) -> None:
    torch.manual_seed(0)
    model = Detector(ModelSpec(block=block, input_height=64, input_width=64), 2).eval()  # type: ignore[arg-type]
    x = torch.randint(-128, 128, (1, 3, 64, 64)).float()
    with torch.no_grad():
        assert model(x).features[0].std() > 0
        for gain in channel_gains(model):
            gain.zero_()
        assert all(feature.abs().max() == 0 for feature in model(x).features)


def test_the_penalty_is_the_sum_of_magnitudes_and_frozen_parts_are_left_alone() -> None:
    gains = [torch.tensor([1.0, -2.0], requires_grad=True), torch.tensor([0.5], requires_grad=True)]
    total = channel_penalty(gains, 0.1)
    total.backward()  # type: ignore[no-untyped-call]
    assert float(total.detach()) == pytest.approx(0.35)
    assert gains[0].grad is not None and gains[0].grad.tolist() == pytest.approx([0.1, -0.1])
    model = Detector(ModelSpec(), 2)
    whole = len(channel_gains(model))
    model.backbone.requires_grad_(False)
    assert 0 < len(channel_gains(model)) < whole


def test_gains_shrink_and_the_penalty_is_logged(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    data = write_dataset(tmp_path / "data")
    sums = {}
    for sparsity in (0.0, 0.05):
        run = tmp_path / f"{sparsity}"
        checkpoint = trainer_of(small_spec(data, 4, sparsity=sparsity, lr=0.03), run).run().checkpoint
        model = load_checkpoint(checkpoint).model
        sums[sparsity] = float(sum(gain.detach().abs().sum() for gain in channel_gains(model)))
        rows = list(csv.DictReader((run / "metrics.csv").open()))
        parts = [float(rows[-1][name]) for name in ("class_loss", "box_loss", "dfl_loss")]
        if sparsity:
            assert float(rows[-1]["sparsity"]) < float(rows[0]["sparsity"])
            parts.append(float(rows[-1]["sparsity"]))
        else:
            assert rows[-1]["sparsity"] == ""
        assert float(rows[-1]["loss"]) == pytest.approx(sum(parts), rel=1e-4)
    assert sums[0.05] < 0.95 * sums[0.0]


def test_not_in_integers() -> None:
    with pytest.raises(ValueError, match=r"train\.sparsity: .*quantise"):
        RunSpec("d", train=TrainSpec(sparsity=1e-4, init_from="c.pt"), quantise=QuantiseSpec())
