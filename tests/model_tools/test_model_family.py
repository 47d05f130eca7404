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

from unina.cli.models import deploy_network, family, main, markdown
from unina.dla.estimate import estimate
from unina.dla.input_size import at_size
from unina.dla.network import Network, Node
from unina.dla.platforms import MAXN
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
def network_of(backbone: str, levels: str, reg_max: int) -> Network:
    return deploy_network(spec_of(backbone, levels, reg_max))


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
    network = at_size(network_of(backbone, levels, reg_max), height, width)
    assert {node.op for node in network.nodes} <= {"Conv", "Relu", "MaxPool", "Resize", "Concat"}
    for node in network.nodes:
        shape = network.shape(node.outputs[0])
        assert shape and all(1 <= size <= 8192 for size in shape[1:]), node.name
        read = node.attributes
        if node.op == "Conv":
            kernel = network.constants[node.inputs[1]].shape[2:]
            assert max(kernel) <= 32 and max(read.get("strides", (1,))) <= 8, node.name
            assert max(read.get("dilations", (1,))) <= 32 and read.get("group", 1) == 1, node.name
            assert max(read.get("pads", (0,))) <= 31 and max(read.get("pads", (0,))) < max(kernel), node.name
            assert convolution_buffer_banks(node, network) <= 16, node.name
        if node.op == "MaxPool":
            assert max(read["kernel_shape"]) <= 8 and max(read["strides"]) <= 16 and max(read["pads"]) <= 7, node.name
        if node.op == "Resize":
            factors = network.constants[node.inputs[2]]
            assert set(factors[:2]) == {1} and all(factor in range(1, 33) for factor in factors[2:]), node.name
        if node.op == "Concat":
            assert len({network.shape(name)[2:] for name in node.inputs}) == 1, node.name


def convolution_buffer_banks(node: Node, network: Network) -> int:
    """Banks of 32 KiB that weights of one output channel and the input rows of one output row take, INT8."""
    _, channels, _, width = network.shape(node.inputs[0])
    rows, columns = network.constants[node.inputs[1]].shape[2:]
    weight_banks = math.ceil(math.ceil(channels * rows * columns / 128) * 128 / 32768)
    entries = math.ceil(math.ceil(channels / 32) * width / 4)
    dilation = node.attributes.get("dilations", (1, 1))[0]
    return weight_banks + math.ceil(entries * ((rows - 1) * dilation + 1) / 256)


@pytest.mark.parametrize(("backbone", "levels"), list(product(BACKBONES, LEVELS)))
def test_widths_fill_the_dlas_atoms(backbone: str, levels: str) -> None:
    """32 channels are computed together; pico, which no car runs, keeps to 8. More than 512 are never worth it."""
    atom = 8 if backbone == "pico" else 32
    network = network_of(backbone, levels, 16)
    for node in network.nodes:
        if node.op == "Conv" and node.outputs[0] not in network.outputs:
            outputs = network.constants[node.inputs[1]].shape[0]
            assert outputs % atom == 0 and outputs <= 512, node.name


def test_a_larger_backbone_takes_longer_at_the_default_levels() -> None:
    found = [estimate(at_size(network_of(backbone, "P2–P4", 16), 640, 640)) for backbone in BACKBONES]
    assert [one.macs for one in found] == sorted(one.macs for one in found)
    assert [one.latency_ms for one in found] == sorted(one.latency_ms for one in found)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_spec_that_ships_is_estimated_below_two_milliseconds(path: Path) -> None:
    found = estimate(deploy_network(ModelSpec(**yaml.safe_load(path.read_text())["model"])))
    assert found.mode == MAXN
    assert found.latency_ms <= 2.0, str(found)


def test_the_table_of_the_docs_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    printed = markdown(family([(640, 640), (1280, 384)], MAXN), MAXN)
    assert printed in (ROOT / "docs" / "models.md").read_text(), "paste the output of python -m unina.cli.models"
    with pytest.raises(SystemExit) as stop:
        main(["--size", "641x640"])
    assert stop.value.code == 2
    assert "641x640: must be WIDTHxHEIGHT in multiples of 32" in capsys.readouterr().err
