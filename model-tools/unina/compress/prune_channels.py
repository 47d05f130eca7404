"""Which channels of a detector go together, and how much each matters.

The dependencies are torch-pruning's (DepGraph, arXiv 2301.12900): a channel goes with the row of every kernel that
writes it (both branches of a block, and all blocks that an identity ties), its normalisations, and the column of every
kernel that reads it, through concat, resize and max filter. Its importance is the L1 norm of those rows and columns
(arXiv 1608.08710), taken from the fused kernels: the branches alone do not say what is left after the normalisation.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch_pruning
from torch import Tensor, nn

from unina.model import Detector
from unina.model.rep_block import FusableBlock, PointwiseBlock

Entry = tuple[Literal["stem", "widths", "neck", "head"], int]
"""A width of a `Plan`: its field, and the stride in the field's tuple; stride 2 for the stem."""

AUXILIARY = "one_to_many."
"""What is not deployed: its kernels follow, but they free nothing on the device."""


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that several convolutions share: channel i goes from all of them, or from none."""

    root: str
    """the convolution that names them"""
    entries: frozenset[Entry]
    """widths of the plan that count these channels"""
    filters: int
    """deployed convolutions that each lose a filter with a channel"""
    importance: Tensor
    """C float64: L1 norms over rows and columns, each kernel's divided by their mean, averaged over the kernels"""


@dataclass(frozen=True)
class Member:
    """A convolution of a group, and which of its channels the group's channels are."""

    name: str
    writes: bool
    """the group's channels are its outputs; else its inputs"""
    own: Tensor
    """its channels"""
    group: Tensor
    """the group's, one for each of `own`"""


class Dependencies:
    """The dependency graph of a copy of a detector, which it prunes."""

    def __init__(self, model: Detector) -> None:
        self.model = copy.deepcopy(model).eval()
        self.model.requires_grad_(True)  # the graph is read from the gradient's
        self.model.one_to_one_gradient = 1.0  # else it would end before the head that is deployed
        self.names = {module: name for name, module in self.model.named_modules()}
        self.graph = torch_pruning.DependencyGraph()
        side = 2 * model.spec.strides[-1]
        with torch.enable_grad():
            self.graph.build_dependency(self.model, torch.zeros(1, 3, side, side), forward_fn=_outputs)

    def groups(self) -> list[ChannelGroup]:
        """All of them, in the order of the model; every width of the plan that is in use belongs to one or more."""
        kernels = fused_kernels(self.model)
        found: list[ChannelGroup] = []
        known: set[str] = set()
        for name, convolution in self.model.named_modules():
            if not isinstance(convolution, nn.Conv2d) or name in known or entry_of(self.model, name) is None:
                continue
            members = self._members(convolution, range(convolution.out_channels))
            written = [member.name for member in members if member.writes]
            known.update(written)
            entries = {cast(Entry, entry_of(self.model, one)) for one in written}
            filters = sum(one in kernels and not one.startswith(AUXILIARY) for one in written)
            norms = [_norms(kernels[m.name], m, convolution.out_channels) for m in members if m.name in kernels]
            found.append(ChannelGroup(name, frozenset(entries), filters, torch.stack(norms).mean(dim=0)))
        return found

    def remove(self, root: str, channels: Sequence[int]) -> None:
        """Takes channels of a group out of all its convolutions and normalisations."""
        if channels:
            self._group(self.model.get_submodule(root), channels).prune()

    def _group(self, convolution: nn.Module, channels: Sequence[int]) -> Any:
        return self.graph.get_pruning_group(convolution, torch_pruning.prune_conv_out_channels, list(channels))

    def _members(self, convolution: nn.Conv2d, channels: Sequence[int]) -> list[Member]:
        members = []
        for item in self._group(convolution, channels):
            module = item.dep.target.module
            if isinstance(module, nn.Conv2d):
                writes = self.graph.is_out_channel_pruning_fn(item.dep.handler)
                own, group = torch.tensor(item.idxs), torch.tensor(item.root_idxs)
                members.append(Member(self.names[module], writes, own, group))
        return members


def _outputs(model: Detector, x: Tensor) -> list[Tensor]:
    maps = model(x)
    return [tensor for head in (maps.one_to_many, maps.one_to_one) for level in head for tensor in level]


def _norms(kernel: Tensor, member: Member, channels: int) -> Tensor:
    """L1 norm of the kernel's rows or columns that are each channel's, C float64, over their mean."""
    norms = kernel.abs().sum(dim=(1, 2, 3) if member.writes else (0, 2, 3))
    total = norms.new_zeros(channels).index_add(0, member.group, norms[member.own])
    return total / total.mean().clamp(min=torch.finfo(torch.float64).tiny)


@torch.no_grad()
def fused_kernels(model: Detector) -> dict[str, Tensor]:
    """The kernel of each convolution as it is deployed, O×I×k×k float64, by the name of the block's largest branch.

    The 1×1 branch beside a 3×3 is part of that kernel and has no entry of its own.
    """
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, FusableBlock):
            main = "conv" if isinstance(module, PointwiseBlock) else "conv3"
            found[f"{name}.{main}"] = module.equivalent()[0]
        elif isinstance(module, nn.Conv2d) and name.split(".")[-1].isdigit():  # the last of a tower stands alone
            found[name] = module.weight.double()
    return found


def entry_of(model: Detector, convolution: str) -> Entry | None:
    """The width of the plan that counts a convolution's outputs; None for the last of a tower, which predicts."""
    words = convolution.split(".")
    strides = model.spec.strides
    match words[:3]:
        case ["backbone", "stem", _]:
            return "stem", 2
        case ["backbone", "stages", stage]:
            return "widths", 4 << int(stage)
        case ["neck", part, level]:
            return "neck", strides[int(level) + (part == "bottom_up")]
        case [_, _, level] if len(words) == 5:  # one_to_one.class_towers.LEVEL.BLOCK.conv3
            return "head", strides[int(level)]
    return None


def filters_of(model: Detector) -> int:
    """Output channels of all deployed convolutions but the last of each tower, which are given by what is predicted."""
    blocks = ((name, m) for name, m in model.named_modules() if isinstance(m, FusableBlock))
    return sum(block.out_channels for name, block in blocks if not name.startswith(AUXILIARY))
