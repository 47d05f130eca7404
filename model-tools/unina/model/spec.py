"""What a detector is made of, as a typed value: the `model:` part of a training spec, stored in every checkpoint."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from unina.model.plan import PLANS, Backbone, Plan

__all__ = ["Backbone", "Block", "Level", "ModelSpec", "stride_of"]

Level = Literal["p2", "p3", "p4", "p5"]
Block = Literal["qarep", "rep"]


def stride_of(level: str) -> int:
    """Input pixels a cell of a pyramid level: "p3" is 2³ = 8."""
    return 1 << int(level[1:])


@dataclass(frozen=True)
class ModelSpec:
    """The network: backbone, block, input size and what the heads predict."""

    backbone: Backbone = "pico"
    """stage plan, from small to large (docs/models.md); pico trains on a CPU in minutes"""

    block: Block = "qarep"
    """qarep bounds the weights for INT8 (arXiv 2212.01593); rep is the plain RepVGG block, which learns faster"""

    input_height: int = 384
    """rows the deployed network sees; a multiple of the coarsest stride"""

    input_width: int = 640
    """columns the deployed network sees; a multiple of the coarsest stride"""

    levels: tuple[Level, ...] = ("p2", "p3", "p4")
    """pyramid levels with a head, finest first, without gaps; p2 (stride 4) is for cones under 16 px"""

    reg_max: int = 16
    """bins a box side (arXiv 2006.04388); a side spans at most reg_max − 1 strides; 1 predicts the plain distance"""

    plan: Plan | None = None
    """widths and depths of your own in place of the backbone's, as `unina-dla search` prints them"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "levels", tuple(self.levels))  # YAML and JSON give lists
        if isinstance(self.plan, dict):  # a checkpoint holds plain values
            object.__setattr__(self, "plan", Plan(**self.plan))
        if not self.levels:
            raise ValueError("model.levels: []: at least one level is needed, for instance [p2, p3, p4]")
        strides = self.strides
        if any(fine * 2 != coarse for fine, coarse in pairwise(strides)):
            raise ValueError(
                f"model.levels: {list(self.levels)}: levels go from fine to coarse without gaps, such as [p2, p3, p4]"
            )
        if not 1 <= self.reg_max <= 64:
            raise ValueError(f"model.reg_max: {self.reg_max}: must lie in 1..64")
        for name in ("input_height", "input_width"):
            size = getattr(self, name)
            if size <= 0 or size % strides[-1]:
                raise ValueError(
                    f"model.{name}: {size}: must be a multiple of {strides[-1]}, the stride of {self.levels[-1]}"
                )

    @property
    def stages(self) -> Plan:
        """Widths and depths: the given ones, or the backbone's."""
        return self.plan or PLANS[self.backbone]

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of every level, finest first."""
        return tuple(stride_of(level) for level in self.levels)
