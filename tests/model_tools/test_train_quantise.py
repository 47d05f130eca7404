"""Training in integers: what trains is what the engine computes, ties and scales included, and export needs no data."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_train_distil import outspoken
from tiny_runs import small_spec, state_of, stop_after, trainer_of, write_dataset

from unina.cli.train import SpecError, deploy_graph, parse
from unina.dla.graph import Graph
from unina.dla.graph_reader import read_graph
from unina.dla.scales import ScaleMap
from unina.dla.ties import tied_groups
from unina.evaluate.raw_maps import HostMaps
from unina.export import ExportSettings, export_bundle
from unina.export.exporter import ExportError, trained_scales
from unina.export.lower import lower
from unina.export.onnx_graph import export_onnx
from unina.model import Detector, ModelSpec, load_checkpoint, save_checkpoint
from unina.train import RunSpec
from unina.train.mixture import load_mixture
from unina.train.quantise_spec import QuantiseSpec
from unina.train.quantised import QuantisedDetector, requantised
from unina.train.trainer import Interrupted, Trainer, TrainingError, Watch

SMALL = ModelSpec(input_height=96, input_width=96)
NAMES = ("blue", "yellow")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("quantise") / "data")


def lively(block: str = "qarep") -> Detector:
    """An untrained detector with statistics and biases that are not all 0 and 1."""
    torch.manual_seed(7)
    model = outspoken(Detector(replace(SMALL, block=block), 2, NAMES))  # type: ignore[arg-type]
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            torch.nn.init.normal_(module.running_mean, std=0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.normal_(module.bias, mean=0.1, std=0.2)
    for tower in model.one_to_one.class_towers:
        torch.nn.init.zeros_(tower[-1].bias)  # scores on both sides of a half
    return model.eval()


def noise(seed: int, count: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(-128, 128, (count, 3, 12, 12), generator=generator).float()
    return torch.nn.functional.interpolate(coarse, scale_factor=8.0)


def prepared(model: Detector, spec: QuantiseSpec) -> tuple[QuantisedDetector, Graph]:
    graph = read_graph(export_onnx(model.deploy()))
    network = QuantisedDetector(model, graph, spec)
    network.observe(noise(0, 4))
    network.begin()
    return network, graph


@pytest.mark.parametrize("rounding", ["half-away", "half-even"])
@pytest.mark.parametrize("block", ["qarep", "rep"])
def test_what_trains_is_what_the_engine_computes_bit_for_bit(rounding: str, block: str) -> None:
    network, graph = prepared(lively(block), QuantiseSpec(rounding=rounding))  # type: ignore[arg-type]
    scales = ScaleMap({name: np.float32(scale) for name, scale in network.scales().items()})
    engine = HostMaps(lower(graph, scales, rounding))  # type: ignore[arg-type]
    for seed in range(3):
        x = noise(seed + 1)
        with torch.no_grad():
            mine = network.eval()(x).one_to_one
        theirs = engine(x.numpy().astype(np.int8))
        for level, (logits, bins) in zip(network.spec.levels, mine, strict=True):
            for kind, value in (("class", logits), ("box", bins)):
                name = f"{level}_{kind}"
                steps = np.rint(value.numpy() / scales[name]).astype(np.int8)
                assert len(np.unique(steps)) > 10, "a flat map proves nothing"
                np.testing.assert_array_equal(steps, theirs[name], err_msg=name)


def rounded(x: torch.Tensor, half_even: bool) -> torch.Tensor:
    return requantised(x, torch.tensor(1.0), relu=False, half_even=half_even)


@given(st.floats(-128, 127, width=32))
def test_rounding_is_to_the_nearest_and_ties_go_where_they_should(value: float) -> None:
    x = torch.tensor(value)
    assert float(rounded(x, half_even=True)) == np.rint(np.float32(value))
    magnitude = math.floor(abs(value) + 0.5)  # exact in float64
    assert float(rounded(x, half_even=False)) == math.copysign(magnitude, value)


def test_ties_round_away_or_to_even() -> None:
    x = torch.tensor([0.5, 1.5, -0.5, -2.5, 0.49999997])
    assert rounded(x, half_even=False).tolist() == [1, 2, -1, -3, 0]
    assert rounded(x, half_even=True).tolist() == [0, 2, 0, -2, 0]


def test_gradients_reach_every_branch_of_every_deployed_block_and_the_scales() -> None:
    network, _ = prepared(lively(), QuantiseSpec())
    network.detector.one_to_one_gradient = 1.0
    network.train()
    maps = network(noise(1, 2))
    sum(logits.square().mean() + bins.square().mean() for logits, bins in maps.one_to_one).backward()
    for name, parameter in network.detector.named_parameters():
        if not name.startswith("one_to_many"):
            assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0), name
    assert network.log2_scale.grad is not None
    moved = [i for i in range(len(network.groups)) if float(network.log2_scale.grad[i]) != 0]
    assert len(moved) == len(network.groups) - len(network.fixed)


def test_values_beyond_int8_are_clamped_and_stop_the_gradient() -> None:
    x = torch.tensor([[127.4, 127.6], [-128.4, -129.0], [-0.2, 0.2]], requires_grad=True)
    two_sided = requantised(x, torch.tensor(1.0), relu=False, half_even=False)
    assert two_sided.tolist() == [[127, 127], [-128, -128], [0, 0]]
    two_sided.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None and x.grad.tolist() == [[1, 0], [1, 0], [1, 1]]
    x.grad = None
    one_sided = requantised(x, torch.tensor(1.0), relu=True, half_even=False)
    assert one_sided.tolist() == [[127, 127], [0, 0], [0, 0]]
    one_sided.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad.tolist() == [[1, 0], [0, 0], [0, 1]]


def test_the_multipliers_of_channels_get_a_gradient_each() -> None:
    x = torch.tensor([[[[2.0, 3.0]], [[5.0, 999.0]]]])  # N×C×H×W; the last is clamped
    multiplier = torch.tensor([1.0, 0.5]).reshape(1, 2, 1, 1).requires_grad_()
    requantised(x, multiplier, relu=False, half_even=True).sum().backward()  # type: ignore[no-untyped-call]
    assert multiplier.grad is not None and multiplier.grad.flatten().tolist() == [5, 5]


def test_the_scales_gradient_is_that_of_lsq() -> None:
    """d(q·s)/ds = round(x/s) − x/s inside the range, ±127 or −128 outside (arXiv 1902.08153, equation 3)."""
    x = torch.tensor([0.3, 0.9, 2.2, 400.0, -400.0], dtype=torch.float64)
    s = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    total = (requantised(x, 1 / s, relu=False, half_even=True) * s).sum()
    total.backward()  # type: ignore[no-untyped-call]
    inside = x[:3] / 0.5
    assert float(s.grad) == pytest.approx(float((inside.round() - inside).sum() + 127 - 128))  # type: ignore[arg-type]


def test_tied_tensors_share_one_scale_and_the_input_keeps_its_own() -> None:
    network, graph = prepared(lively(), QuantiseSpec())
    scales = network.scales()
    assert scales.keys() == graph.shapes.keys()
    for group in tied_groups(graph):
        assert len({scales[name] for name in group}) == 1
    assert scales["images"] == 1.0


def quantised_run(data: Path, folder: Path, epochs: int = 2, **fields: object) -> RunSpec:
    """A spec that trains on in integers from a checkpoint beside it."""
    start = folder / "float.pt"
    if not start.exists():
        save_checkpoint(start, lively(), {}, {})
    spec = small_spec(data, epochs, init_from=str(start), lr=1e-3)
    return replace(spec, quantise=QuantiseSpec(crops=8, **fields))  # type: ignore[arg-type]


def run(spec: RunSpec, output: Path, watch: Watch | None = None, resume: bool = False) -> Trainer:
    mixture = load_mixture(spec)
    trainer = Trainer(spec, mixture, output, watch or Watch(), resume, graph=deploy_graph(spec, mixture.names))
    trainer.run()
    return trainer


def test_a_run_in_integers_resumes_exactly(data: Path, tmp_path: Path) -> None:
    spec = quantised_run(data, tmp_path, epochs=4)
    run(spec, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(spec, tmp_path / "parts", Watch(step=stop_after(3)))
    run(spec, tmp_path / "parts", resume=True)
    whole, parts = state_of(tmp_path / "whole"), state_of(tmp_path / "parts")
    assert whole.keys() == parts.keys() and any("log2_scale" in name for name in whole)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    one, two = (load_checkpoint(tmp_path / name / "checkpoint.pt").scales for name in ("whole", "parts"))
    assert one and one == two


@pytest.mark.parametrize("scales", ["learned", "observed"])
def test_scales_are_learnt_or_stay_and_batch_statistics_stay(scales: str, data: Path, tmp_path: Path) -> None:
    spec = quantised_run(data, tmp_path, scales=scales)
    mixture = load_mixture(spec)
    trainer = Trainer(spec, mixture, tmp_path / "run", graph=deploy_graph(spec, mixture.names))
    assert isinstance(trainer.model, QuantisedDetector)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.run()
    after = trainer.model.state_dict()
    assert torch.equal(before["log2_scale"], after["log2_scale"]) == (scales == "observed")
    assert not torch.equal(
        before["detector.neck.laterals.0.conv.weight"], after["detector.neck.laterals.0.conv.weight"]
    )
    for name, value in before.items():
        if "running_" in name or "num_batches" in name:
            assert torch.equal(value, after[name]), name


def test_export_takes_the_scales_of_the_checkpoint_and_calibrates_nothing(data: Path, tmp_path: Path) -> None:
    run(quantised_run(data, tmp_path), tmp_path / "run")
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    scales = load_checkpoint(checkpoint).scales
    assert scales
    export_bundle(ExportSettings(checkpoint, data, tmp_path / "a.unina", accuracy=False))
    manifest = json.loads((tmp_path / "a.unina" / "manifest.json").read_text())
    assert manifest["provenance"]["calibration"]["method"] == "trained"
    lines = (tmp_path / "a.unina" / "calibration.cache").read_text().splitlines()[1:]
    cache = {name: int(digits, 16) for name, digits in (line.rsplit(": ", 1) for line in lines)}
    assert cache == {name: int(np.float32(scale).view(np.uint32)) for name, scale in scales.items()}


def test_a_missing_scale_or_a_broken_tie_is_refused_by_name(tmp_path: Path) -> None:
    network, graph = prepared(lively(), QuantiseSpec())
    scales = network.scales()
    some = next(name for name in scales if name.endswith("Concat_output_0"))
    with pytest.raises(ExportError, match=f"no scale for {some}"):
        trained_scales({name: s for name, s in scales.items() if name != some}, graph, tmp_path / "c.pt")
    with pytest.raises(ExportError, match="must share one scale"):
        trained_scales(scales | {some: 2 * scales[some]}, graph, tmp_path / "c.pt")


def test_a_tensor_that_is_never_anything_but_zero_stops_the_run(data: Path, tmp_path: Path) -> None:
    dead = lively()
    with torch.no_grad():
        dead.backbone.stem.bn.weight.zero_()  # type: ignore[operator, union-attr]
        dead.backbone.stem.bn.bias.fill_(-1)  # type: ignore[operator, union-attr]
    save_checkpoint(tmp_path / "float.pt", dead, {}, {})
    with pytest.raises(TrainingError, match=r"/backbone/stem/.*: its largest magnitude on the first crops is 0"):
        run(quantised_run(data, tmp_path), tmp_path / "run")


def test_training_in_integers_starts_from_a_trained_detector(data: Path, tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"data: {data}\nquantise: {{scales: observed}}\n")
    with pytest.raises(SpecError, match=r"quantise: needs train\.init_from"):
        parse([str(spec), "--output", str(tmp_path / "run")])
    words = [str(spec), "--output", str(tmp_path / "run"), "--train.init_from", "float.pt"]
    assert parse(words).spec.quantise == QuantiseSpec(scales="observed")


def test_a_float_run_has_no_scales(data: Path, tmp_path: Path) -> None:
    trainer_of(small_spec(data, 1), tmp_path / "run").run()
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt").scales is None
