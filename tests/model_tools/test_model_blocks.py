"""A rep block and the one convolution that it deploys as compute the same function."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unina.model.rep_block import FusableBlock, PointwiseBlock, QARepBlock, RepBlock

TOLERANCE = 1e-4


def randomise(module: nn.Module, seed: int, spread: float) -> None:
    """Weights and statistics as training might leave them; `spread` scales how uneven the channels are."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            fan_in = part.weight[0].numel()
            part.weight.data = torch.randn(part.weight.shape, generator=generator) / fan_in**0.5
        if isinstance(part, nn.BatchNorm2d):
            size = part.weight.shape
            part.weight.data = torch.randn(size, generator=generator)
            part.bias.data = torch.randn(size, generator=generator)
            part.running_mean = torch.randn(size, generator=generator) * spread
            part.running_var = torch.exp(torch.randn(size, generator=generator).clamp(-2, 2) * spread)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from([QARepBlock, RepBlock]),
    in_channels=st.integers(1, 24),
    out_channels=st.integers(1, 24),
    same=st.booleans(),
    stride=st.sampled_from([1, 2]),
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    batch=st.integers(1, 3),
    seed=st.integers(0, 2**31),
    spread=st.floats(0.1, 1.0),
)
def test_fused_equals_unfused(
    kind: type[QARepBlock] | type[RepBlock],
    in_channels: int,
    out_channels: int,
    same: bool,
    stride: int,
    height: int,
    width: int,
    batch: int,
    seed: int,
    spread: float,
) -> None:
    block = kind(in_channels, in_channels if same else out_channels, stride)
    check(block, torch.randn(batch, in_channels, height, width), seed, spread)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**31), st.floats(0.1, 1.0))
def test_fused_lateral_equals_unfused(in_channels: int, out_channels: int, seed: int, spread: float) -> None:
    check(PointwiseBlock(in_channels, out_channels), torch.randn(2, in_channels, 5, 7), seed, spread)


def check(block: FusableBlock, x: torch.Tensor, seed: int, spread: float) -> None:
    randomise(block, seed, spread)
    block.eval()
    with torch.no_grad():
        expected, actual = block(x), block.fuse()(x)
    scale = max(1.0, float(expected.abs().max()))
    assert actual.shape == expected.shape
    assert float((actual - expected).abs().max()) <= TOLERANCE * scale


@pytest.mark.parametrize("kind", [QARepBlock, RepBlock])
def test_fused_block_is_one_3x3_convolution_with_bias(kind: type[QARepBlock] | type[RepBlock]) -> None:
    parts = [m for m in kind(8, 8).fuse().modules() if not list(m.children())]
    assert [type(m) for m in parts] == [nn.Conv2d]
    conv = parts[0]
    assert isinstance(conv, nn.Conv2d)
    assert conv.kernel_size == (3, 3) and conv.bias is not None


def test_qarep_normalises_the_3x3_branch_and_the_sum_only() -> None:
    """arXiv 2212.01593: a normalisation in the 1×1 or identity branch is what breaks INT8."""
    assert {name for name, m in QARepBlock(8, 8).named_modules() if isinstance(m, nn.BatchNorm2d)} == {"bn3", "bn"}
