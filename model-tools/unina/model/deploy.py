"""The network as it leaves for the device: every block one convolution, the one-to-one head alone, raw pixels in."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unina.model.rep_block import FusableBlock, FusedBlock
from unina.model.spec import ModelSpec


def fused(module: nn.Module) -> nn.Module:
    """A copy of the module in which every rep block is the one convolution that equals it in eval mode."""
    if isinstance(module, FusableBlock):
        return module.fuse()
    children = dict(module.named_children())
    duplicate = copy.deepcopy(module, {id(child): child for child in children.values()})  # the children stay shared …
    for name, child in children.items():
        setattr(duplicate, name, fused(child))  # … until each is replaced by its own fused copy
    return duplicate


class DeployedDetector(nn.Module):
    """Backbone, neck and one-to-one head with fused blocks, for inference and export.

    `forward` takes x, float32 N×3×H×W, RGB pixel − 128, and returns the maps named by `output_names`, in that order:
    class logits N×classes×h×w and box bins N×(4·reg_max)×h×w (left, top, right, bottom), level by level, finest first.
    """

    def __init__(
        self,
        backbone: nn.Module,
        neck: nn.Module,
        head: nn.Module,
        spec: ModelSpec,
        classes: tuple[str, ...],
        input_scale: float,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.classes = classes
        self.strides = spec.strides
        self.reg_max = spec.reg_max
        self.output_names = tuple(f"{level}_{kind}" for level in spec.levels for kind in ("class", "box"))
        with torch.no_grad():
            self.backbone, self.neck, self.head = fused(backbone), fused(neck), fused(head)
            stem = self.backbone.stem
            assert isinstance(stem, FusedBlock)
            stem.conv.weight.mul_(input_scale)  # zero padding is pixel 128 on both sides of the scaling
        self.requires_grad_(False)
        self.eval()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N×3×H×W to the maps of `output_names`."""
        levels: Sequence[tuple[Tensor, Tensor]] = self.head(self.neck(self.backbone(x)))
        return tuple(tensor for level in levels for tensor in level)
