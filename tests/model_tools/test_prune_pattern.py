"""2:4: what is exported has the zeros that the DLA asks for, before and after fine-tuning."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_runs import small_spec, trainer_of, write_dataset

from unina.cli import prune as command
from unina.compress.prune_pattern import prune_pattern, two_of_four
from unina.dla.graph_reader import read_graph
from unina.dla.network import Network, read_network
from unina.dla.rules import Context, Site, faults, sparsity
from unina.export.onnx_graph import export_onnx
from unina.model import CheckpointError, Detector, ModelSpec, load_checkpoint, save_checkpoint
from unina.model.plan import Plan
from unina.train.mixture import load_mixture
from unina.train.quantise_spec import QuantiseSpec
from unina.train.trainer import Trainer
from unina.train.transfer import take_weights

PLAN = Plan(16, (16, 72, 128, 32), (1, 1, 2, 1), (16, 32, 96, 32), (16, 32, 96, 32), 1)


def detector(block: str) -> Detector:
    torch.manual_seed(1)
    spec = ModelSpec(block=block, input_height=96, input_width=96, plan=PLAN)  # type: ignore[arg-type]
    return Detector(spec, 2, ("blue", "yellow")).eval()


def network_of(model: Detector) -> Network:
    return read_network(export_onnx(model.deploy()))


def sparse_kernels(network: Network) -> dict[str, float]:
    """Convolutions that break no rule of sparsity, the pattern included: part of their weights that is zero."""
    context = Context(sparse=True)
    sites = [Site(node, network, context) for node in network.nodes if node.op == "Conv"]
    found = {}
    for site in sites:
        if not any(fault.rule in sparsity.RULES for fault in faults(site)):
            kernel = site.constant(1)
            assert kernel is not None
            found[site.node.name] = float(np.mean(kernel == 0))
    return found


def test_two_of_four_stay() -> None:
    magnitudes = torch.tensor([[3.0, 1, 4, 2, 1, 1, 1, 1, 9, 0]])[:, :, None, None]
    assert two_of_four(magnitudes)[0, :, 0, 0].int().tolist() == [1, 0, 1, 0, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("block", ["qarep", "rep"])
def test_the_export_is_sparse_where_the_rules_allow_it_and_as_it_was_elsewhere(block: str) -> None:
    model = detector(block)
    before = network_of(model)
    assert sparse_kernels(before) == {}
    found = prune_pattern(model, before)
    after = network_of(found.model)
    assert sparse_kernels(after) == {name: 0.5 for name in found.convolutions}
    assert "/backbone/stages.2/stages.2.1/conv/Conv" in found.convolutions
    for node in before.nodes:
        if node.op == "Conv":
            kernel, now = before.constants[node.inputs[1]], after.constants[node.inputs[1]]
            same = now == kernel
            assert same.all() if node.name in found.dense else (same | (now == 0)).all()
    assert found.dense["/backbone/stem/conv/Conv"].startswith("it reads a picture in HWC4")


@pytest.mark.parametrize("block", ["qarep", "rep"])
def test_fine_tuning_keeps_the_zeros_of_the_deployed_kernels(tmp_path: Path, block: str) -> None:
    torch.set_num_threads(1)
    model = detector(block)
    save_checkpoint(tmp_path / "dense.pt", model, {})
    words = [str(tmp_path / "dense.pt"), "--pattern", "2:4", "--output", str(tmp_path / "sparse")]
    assert command.main(words) == 0
    start = tmp_path / "sparse" / "checkpoint.pt"
    spec = small_spec(write_dataset(tmp_path / "data"), 1, init_from=str(start))
    spec = replace(spec, model=model.spec)
    trainer_of(replace(spec, train=replace(spec.train, epochs=1)), tmp_path / "run").run()
    tuned = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    expected = sparse_kernels(network_of(load_checkpoint(start).model))
    found = sparse_kernels(network_of(tuned.model))
    assert expected and found == expected
    name = next(iter(tuned.masks or {}))
    assert not torch.equal(tuned.model.get_parameter(name), load_checkpoint(start).model.get_parameter(name))

    resumed = trainer_of(spec, tmp_path / "run", resume=True)  # the zeros are the run's, not only the first session's
    assert resumed.masks.keys() == (tuned.masks or {}).keys()


def test_training_in_integers_keeps_them_too(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model = detector("qarep")
    found = prune_pattern(model, network_of(model))
    save_checkpoint(tmp_path / "sparse.pt", found.model, {}, masks=found.masks)
    spec = small_spec(write_dataset(tmp_path / "data"), 1, init_from=str(tmp_path / "sparse.pt"))
    spec = replace(spec, model=model.spec, quantise=QuantiseSpec(crops=4))
    graph = read_graph(export_onnx(model.deploy()))
    Trainer(spec, load_mixture(spec), tmp_path / "run", graph=graph).run()
    tuned = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert tuned.scales is not None
    assert sparse_kernels(network_of(tuned.model)) == {name: 0.5 for name in found.convolutions}


def test_what_it_saves_is_said_and_nothing_more_than_the_rules_allow(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "dense.pt", detector("qarep"), {})
    words = [str(tmp_path / "dense.pt"), "--pattern", "2:4", "--output", str(tmp_path / "sparse"), "--json"]
    assert command.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    figures = found["figures"]
    assert (
        figures["sparse"] == len(found["sparse"]) > 0
        and len(found["dense"]) == figures["convolutions"] - figures["sparse"]
    )
    assert figures["sparse_ms"] < figures["dense_ms"] and 0 < figures["sparse_macs"] < 1

    plan = Plan(16, (16, 16, 32, 32), (1, 1, 1, 1), (16, 16, 32, 32), (16, 16, 16, 32), 1)
    narrow = Detector(ModelSpec(input_height=96, input_width=96, plan=plan), 2, ("blue", "yellow"))
    save_checkpoint(tmp_path / "narrow.pt", narrow, {})
    assert command.main([str(tmp_path / "narrow.pt"), *words[1:4], str(tmp_path / "no")]) == 2
    assert "more than 64 input channels" in capsys.readouterr().err and not (tmp_path / "no").exists()
    assert command.main([*words[:3], "--retrain", "spec.yaml", *words[3:]]) == 2
    assert "--pattern: goes at once" in capsys.readouterr().err


def test_a_sparse_checkpoint_does_not_start_another_model(tmp_path: Path) -> None:
    model = detector("qarep")
    found = prune_pattern(model, network_of(model))
    save_checkpoint(tmp_path / "sparse.pt", found.model, {}, masks=found.masks)
    with pytest.raises(CheckpointError, match="is sparse 2:4, but backbone"):
        take_weights(Detector(ModelSpec(), 2, ("blue", "yellow")), tmp_path / "sparse.pt")
