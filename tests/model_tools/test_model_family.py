"""Every backbone of the family builds, fuses without loss and keeps the limits of the DLA."""

import math
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
import torch
import yaml
from torch import nn

from unina.cli.models import deploy_graph, family, main, markdown
from unina.dla.estimate import MAXN, at_size, estimate
from unina.dla.graph import Concat, Conv, Graph, MaxPool, Resize
from unina.model import Detector, ModelSpec
from unina.model.plan import PLANS
from unina.model.spec import Backbone, Block

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "model-tools" / "specs").glob("*.yaml"))
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
LEVELS = {"P2–P4": ("p2", "p3", "p4"), "P3–P5": ("p3", "p4", "p5")}


def spec_of(backbone: str, levels: str, reg_max: int, block: str = "qarep", size: int = 64) -> ModelSpec:
    return ModelSpec(backbone, block, size, size, LEVELS[levels], reg_max)  # type: ignore[arg-type]


@lru_cache
def graph_of(backbone: str, levels: str, reg_max: int) -> Graph:
    return deploy_graph(spec_of(backbone, levels, reg_max))


NETWORKS = list(product(BACKBONES, LEVELS, (16, 1)))


def test_every_backbone_has_a_plan_and_every_plan_a_backbone() -> None:
    assert set(PLANS) == set(BACKBONES)


@pytest.mark.parametrize("block", get_args(Block))
@pytest.mark.parametrize(("backbone", "levels", "reg_max"), NETWORKS)
def test_the_deployed_network_equals_the_trained_one(backbone: str, levels: str, reg_max: int, block: str) -> None:
    spec = spec_of(backbone, levels, reg_max, block)
    torch.manual_seed(0)
    model = Detector(spec, 4).train()
    x = torch.randint(-128, 128, (2, 3, 64, 64)).float()
    with torch.no_grad():
        for _ in range(2):
            model(x)  # moves the statistics away from 0 and 1
        for part in model.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.uniform_(-0.5, 0.5)
        model.eval()
        trained = [tensor for level in model(x[:1]).one_to_one for tensor in level]
        deployed = model.deploy()(x[:1])
    for a, b in zip(deployed, trained, strict=True):
        assert a.shape == b.shape
        assert float((a - b).abs().max()) <= 1e-4 * max(1.0, float(b.abs().max()))


@pytest.mark.parametrize(("backbone", "levels", "reg_max"), NETWORKS)
@pytest.mark.parametrize(("height", "width"), [(640, 640), (384, 1280)])
def test_the_limits_of_the_dla_are_kept(backbone: str, levels: str, reg_max: int, height: int, width: int) -> None:
    """TensorRT 8.5.3 developer guide, DLA layer restrictions; the buffer test is the pseudo-code of its 8.4 guide."""
    graph = at_size(graph_of(backbone, levels, reg_max), height, width)
    for op in graph.ops:
        shape = graph.shapes[op.output]
        assert all(1 <= size <= 8192 for size in shape[1:]), op.name
        if isinstance(op, Conv):
            assert max(op.kernel) <= 32 and max(op.stride) <= 8 and max(op.dilation) <= 32 and op.groups == 1, op.name
            assert max(op.pads) <= 31 and max(op.pads) < max(op.kernel), op.name
            assert convolution_buffer_banks(op, graph) <= 16, op.name
        if isinstance(op, MaxPool):
            assert max(op.kernel) <= 8 and max(op.stride) <= 16 and max(op.pads) <= 7, op.name
        if isinstance(op, Resize):
            assert min(op.factor) >= 1 and max(op.factor) <= 32, op.name
        if isinstance(op, Concat):
            assert len({graph.shapes[name][2:] for name in op.inputs}) == 1, op.name


def convolution_buffer_banks(op: Conv, graph: Graph) -> int:
    """Banks of 32 KiB that weights of one output channel and the input rows of one output row take, INT8."""
    _, channels, _, width = graph.shapes[op.inputs[0]]
    rows, columns = op.kernel
    weight_banks = math.ceil(math.ceil(channels * rows * columns / 128) * 128 / 32768)
    entries = math.ceil(math.ceil(channels / 32) * width / 4)
    return weight_banks + math.ceil(entries * ((rows - 1) * op.dilation[0] + 1) / 256)


@pytest.mark.parametrize(("backbone", "levels"), list(product(BACKBONES, LEVELS)))
def test_widths_fill_the_dlas_atoms(backbone: str, levels: str) -> None:
    """32 channels are computed together; pico, which no car runs, keeps to 8. More than 512 are never worth it."""
    atom = 8 if backbone == "pico" else 32
    graph = graph_of(backbone, levels, 16)
    for op in graph.ops:
        if isinstance(op, Conv) and op.output not in graph.outputs:
            assert op.weight.shape[0] % atom == 0 and op.weight.shape[0] <= 512, op.name


def test_a_larger_backbone_takes_longer_at_the_default_levels() -> None:
    found = [estimate(at_size(graph_of(backbone, "P2–P4", 16), 640, 640)) for backbone in BACKBONES]
    assert [one.macs for one in found] == sorted(one.macs for one in found)
    assert [one.latency_ms for one in found] == sorted(one.latency_ms for one in found)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_that_ships_is_estimated_below_two_milliseconds(path: Path) -> None:
    found = estimate(deploy_graph(ModelSpec(**yaml.safe_load(path.read_text())["model"])))
    assert found.mode == MAXN
    assert found.latency_ms <= 2.0, str(found)


def test_the_table_of_the_docs_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    printed = markdown(family([(640, 640), (1280, 384)], MAXN), MAXN)
    assert printed in (ROOT / "docs" / "models.md").read_text(), "paste the output of python -m unina.cli.models"
    with pytest.raises(SystemExit) as stop:
        main(["--size", "641x640"])
    assert stop.value.code == 2
    assert "641x640: must be WIDTHxHEIGHT in multiples of 32" in capsys.readouterr().err
