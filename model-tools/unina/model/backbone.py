"""The backbone: a stem and one stage a stride, all of 3×3 rep blocks (RepVGG, arXiv 2101.03697, section 3.4)."""

from torch import Tensor, nn

from unina.model.plan import Plan
from unina.model.rep_block import BLOCKS
from unina.model.spec import Block


class Backbone(nn.Module):
    """Features at the wanted strides."""

    def __init__(self, plan: Plan, block: Block, strides: tuple[int, ...]) -> None:
        super().__init__()
        make = BLOCKS[block]
        self.stem = make(3, plan.stem, 2)
        self.stages = nn.ModuleList()
        self.taken: list[bool] = []
        width, stride = plan.stem, 4
        while stride <= strides[-1]:
            out = plan.at(plan.widths, stride)
            blocks = [make(width, out, 2)] + [make(out, out) for _ in range(plan.at(plan.depths, stride) - 1)]
            self.stages.append(nn.Sequential(*blocks))
            self.taken.append(stride in strides)
            width, stride = out, stride * 2
        self.widths = tuple(plan.at(plan.widths, stride) for stride in strides)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N×3×H×W to one map N×width×H/stride×W/stride for each wanted stride, finest first."""
        features = []
        x = self.stem(x)
        for stage, taken in zip(self.stages, self.taken, strict=True):
            x = stage(x)
            if taken:
                features.append(x)
        return tuple(features)
