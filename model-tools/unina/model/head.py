"""A decoupled head: a class tower and a box tower a level, ending at raw maps.

The class towers of the one-to-one head end with a max filter (after DeFCN, arXiv 2012.03544, section 3.3): each cell
sees the strongest answer among its neighbours beside its own, and learns to fall silent where it is not the strongest.
That is what replaces NMS; to the DLA it is one max pooling and one concat a level.

Box sides are distributions over bins (Generalized Focal Loss, arXiv 2006.04388). The class bias starts at a prior
probability (RetinaNet, arXiv 1708.02002, section 3.3), so that the sea of background does not drown the first steps.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unina.model.plan import Plan
from unina.model.rep_block import BLOCKS
from unina.model.spec import Block

PRIOR = 0.001
"""Score of every anchor before training: about the share of anchors that answer for a target."""

SLOPE = 0.3
"""By how much each bin starts below the one before: boxes begin about 5 strides wide, near the size they will have.
From flat bins (15 strides wide) the IoUs that rank the anchors are all nearly 0, and a short run never recovers."""

LevelMaps = tuple[Tensor, Tensor]
"""Class logits N×classes×h×w and box bins N×(4·reg_max)×h×w (left, top, right, bottom) of one level."""


class MaxFilter(nn.Module):
    """Appends to every channel its maximum over the 3×3 neighbourhood."""

    def forward(self, x: Tensor) -> Tensor:
        """N×C×H×W to N×2C×H×W."""
        return torch.cat((x, F.max_pool2d(x, 3, stride=1, padding=1)), dim=1)


class Head(nn.Module):
    """One prediction for every cell of every level."""

    def __init__(
        self,
        plan: Plan,
        block: Block,
        strides: tuple[int, ...],
        in_widths: tuple[int, ...],
        classes: int,
        reg_max: int,
        *,
        max_filter: bool,
    ) -> None:
        """`max_filter`: the class towers compare each cell with its neighbours."""
        super().__init__()
        make = BLOCKS[block]

        def tower(width: int, stride: int, outputs: int, filtered: bool) -> nn.Sequential:
            inner = plan.at(plan.head, stride)
            widths = [width] + [inner] * plan.head_depth
            blocks: list[nn.Module] = [make(i, o) for i, o in pairwise(widths)]
            if filtered:
                return nn.Sequential(*blocks, MaxFilter(), nn.Conv2d(2 * inner, outputs, 1))
            return nn.Sequential(*blocks, nn.Conv2d(inner, outputs, 1))

        levels = list(zip(in_widths, strides, strict=True))
        self.class_towers = nn.ModuleList(tower(width, stride, classes, max_filter) for width, stride in levels)
        self.box_towers = nn.ModuleList(tower(width, stride, 4 * reg_max, False) for width, stride in levels)
        side = -SLOPE * torch.arange(reg_max) if reg_max > 1 else torch.tensor([2.5])
        for towers, bias in (
            (self.class_towers, torch.full((classes,), -math.log((1 - PRIOR) / PRIOR))),
            (self.box_towers, side.repeat(4)),
        ):
            for module in towers:
                last = module[-1]  # type: ignore[index]
                nn.init.normal_(last.weight, std=0.01)
                last.bias.data = bias

    def forward(self, features: tuple[Tensor, ...]) -> tuple[LevelMaps, ...]:
        """Neck maps N×C×h×w, finest first, to a pair a level: logits N×classes×h×w, bins N×(4·reg_max)×h×w."""
        return tuple(
            (class_tower(feature), box_tower(feature))
            for class_tower, box_tower, feature in zip(self.class_towers, self.box_towers, features, strict=True)
        )
