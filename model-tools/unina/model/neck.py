"""Rep-PAN: a path-aggregation network of rep blocks (PANet, arXiv 1803.01534; Rep-PAN, arXiv 2209.02976, section 2.2).

Only what the DLA runs in INT8: 1×1 laterals, nearest ×2 (exported as Resize with scales), channel concat, 3×3 blocks.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unina.model.plan import Plan
from unina.model.rep_block import BLOCKS, PointwiseBlock
from unina.model.spec import Block


class RepPan(nn.Module):
    """Mixes features top-down, then bottom-up."""

    def __init__(self, plan: Plan, block: Block, strides: tuple[int, ...], in_widths: tuple[int, ...]) -> None:
        super().__init__()
        make = BLOCKS[block]
        self.widths = tuple(plan.at(plan.neck, stride) for stride in strides)
        pairs = list(pairwise(self.widths))  # (finer, coarser)
        self.laterals = nn.ModuleList(PointwiseBlock(i, o) for i, o in zip(in_widths, self.widths, strict=True))
        self.top_down = nn.ModuleList(make(fine + coarse, fine) for fine, coarse in pairs)
        self.down = nn.ModuleList(make(fine, fine, 2) for fine, _ in pairs)
        self.bottom_up = nn.ModuleList(make(fine + coarse, coarse) for fine, coarse in pairs)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """One map N×width×h×w a level, finest first, to as many maps of the neck's widths."""
        maps = [lateral(feature) for lateral, feature in zip(self.laterals, features, strict=True)]
        for i in range(len(maps) - 2, -1, -1):
            up = F.interpolate(maps[i + 1], scale_factor=2.0, mode="nearest")
            maps[i] = self.top_down[i](torch.cat((up, maps[i]), dim=1))
        for i in range(len(maps) - 1):
            maps[i + 1] = self.bottom_up[i](torch.cat((self.down[i](maps[i]), maps[i + 1]), dim=1))
        return tuple(maps)
