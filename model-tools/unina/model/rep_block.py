"""Blocks that train with several branches and deploy as one 3×3 convolution with bias and ReLU.

`RepBlock` is RepVGG (arXiv 2101.03697, section 3.3): 3×3, 1×1 and identity, each with its batch normalisation.
`QARepBlock` is QARepVGG's final form (arXiv 2212.01593, section 3): normalisation only in the 3×3 branch and once more
after the sum, which bounds the variance of weights and activations and so survives per-tensor INT8.
"""

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unina.model.spec import Block

BN_EPS = 1e-3
BN_MOMENTUM = 0.05  # runs are short: the default of detection frameworks (0.03) lags behind


class FusableBlock(nn.Module, ABC):
    """A block that equals `relu(conv(x, weight, bias))` once its statistics are frozen."""

    in_channels: int
    out_channels: int
    stride: int

    @abstractmethod
    def equivalent(self) -> tuple[Tensor, Tensor]:
        """Weight O×I×k×k and bias O of the one convolution that equals the block in eval mode; float64."""

    def fuse(self) -> "FusedBlock":
        """The block as it is deployed."""
        weight, bias = self.equivalent()
        return FusedBlock(weight.float(), bias.float(), self.stride)


class FusedBlock(nn.Module):
    """Convolution with bias, then ReLU: all that is left of a block on the device."""

    def __init__(self, weight: Tensor, bias: Tensor, stride: int) -> None:
        super().__init__()
        out_channels, in_channels, kernel, _ = weight.shape
        self.conv = nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2)
        self.conv.weight = nn.Parameter(weight.detach().clone())
        self.conv.bias = nn.Parameter(bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W to N×O×⌈H/stride⌉×⌈W/stride⌉."""
        return F.relu(self.conv(x))


def normalisation(channels: int) -> nn.BatchNorm2d:
    """The batch normalisation of all blocks."""
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


def affine_of(bn: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Frozen batch normalisation as `gain · x + shift`, one a channel, float64."""
    assert bn.running_mean is not None and bn.running_var is not None
    gain = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    return gain, bn.bias.double() - bn.running_mean.double() * gain


def as_3x3(pointwise: Tensor) -> Tensor:
    """A 1×1 kernel (O×I×1×1) as the 3×3 kernel that does the same."""
    return F.pad(pointwise, (1, 1, 1, 1))


def identity_kernel(channels: int) -> Tensor:
    """The 1×1 kernel that copies its input, float64 C×C×1×1."""
    return torch.eye(channels, dtype=torch.float64)[:, :, None, None]


class QARepBlock(FusableBlock):
    """`relu(bn(bn(conv3(x)) + conv1(x) + x))`; the identity needs stride 1 and equal widths."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, stride
        self.has_identity = in_channels == out_channels and stride == 1
        self.conv3 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn3 = normalisation(out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.bn = normalisation(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W to N×O×⌈H/stride⌉×⌈W/stride⌉."""
        total = self.bn3(self.conv3(x)) + self.conv1(x)
        if self.has_identity:
            total = total + x
        return F.relu(self.bn(total))

    def equivalent(self) -> tuple[Tensor, Tensor]:
        """Weight O×I×3×3 and bias O, float64: `g · (g₃ · w₃ + w₁ + 1)`, `g · b₃ + b` (arXiv 2212.01593, section 3)."""
        gain3, shift3 = affine_of(self.bn3)
        weight = self.conv3.weight.double() * gain3[:, None, None, None]
        pointwise = self.conv1.weight.double()
        if self.has_identity:
            pointwise = pointwise + identity_kernel(self.out_channels)
        gain, shift = affine_of(self.bn)
        return (weight + as_3x3(pointwise)) * gain[:, None, None, None], shift3 * gain + shift


class RepBlock(FusableBlock):
    """`relu(bn(conv3(x)) + bn(conv1(x)) + bn(x))`; the identity needs stride 1 and equal widths."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, stride
        self.conv3 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn3 = normalisation(out_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.bn1 = normalisation(out_channels)
        self.bn0 = normalisation(out_channels) if in_channels == out_channels and stride == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W to N×O×⌈H/stride⌉×⌈W/stride⌉."""
        total = self.bn3(self.conv3(x)) + self.bn1(self.conv1(x))
        if self.bn0 is not None:
            total = total + self.bn0(x)
        return F.relu(total)

    def equivalent(self) -> tuple[Tensor, Tensor]:
        """Weight O×I×3×3 and bias O, float64: the sum of the branches' (arXiv 2101.03697, section 3.3)."""
        gain3, bias = affine_of(self.bn3)
        gain1, shift1 = affine_of(self.bn1)
        pointwise = self.conv1.weight.double() * gain1[:, None, None, None]
        bias = bias + shift1
        if self.bn0 is not None:
            gain0, shift0 = affine_of(self.bn0)
            pointwise = pointwise + identity_kernel(self.out_channels) * gain0[:, None, None, None]
            bias = bias + shift0
        return self.conv3.weight.double() * gain3[:, None, None, None] + as_3x3(pointwise), bias


class PointwiseBlock(FusableBlock):
    """`relu(bn(conv1(x)))`: the laterals of the neck."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels, self.out_channels, self.stride = in_channels, out_channels, 1
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn = normalisation(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """N×I×H×W to N×O×H×W."""
        return F.relu(self.bn(self.conv(x)))

    def equivalent(self) -> tuple[Tensor, Tensor]:
        """Weight O×I×1×1 and bias O, float64."""
        gain, shift = affine_of(self.bn)
        return self.conv.weight.double() * gain[:, None, None, None], shift


BLOCKS: dict[Block, type[QARepBlock] | type[RepBlock]] = {"qarep": QARepBlock, "rep": RepBlock}
"""The 3×3 block of each `model.block`."""
