"""Widths and depths of the backbones: one row a variant.

Widths are multiples of 32, in which the DLA computes channels (pico, for tests and demos, of 8), and at most 512. The
finest level gets the narrowest neck and head: it holds three quarters of all cells.
"""

from dataclasses import dataclass
from typing import Literal

Backbone = Literal["pico", "b0", "b1", "b2", "b3"]


@dataclass(frozen=True)
class Plan:
    """Widths by stride; the tuples are for strides 4, 8, 16 and 32."""

    stem: int
    """channels at stride 2"""
    widths: tuple[int, int, int, int]
    """channels of the backbone stage"""
    depths: tuple[int, int, int, int]
    """rep blocks of the stage, its stride-2 block included"""
    neck: tuple[int, int, int, int]
    """channels of the neck at that level"""
    head: tuple[int, int, int, int]
    """channels of the class and of the box tower at that level"""
    head_depth: int
    """rep blocks in a tower"""

    def __post_init__(self) -> None:
        for name in ("widths", "depths", "neck", "head"):
            values = tuple(getattr(self, name))  # YAML and JSON give lists
            object.__setattr__(self, name, values)
            if len(values) != 4:
                raise ValueError(f"model.plan.{name}: {list(values)}: four values are needed, for strides 4, 8, 16, 32")
        for value in (self.stem, *self.widths, *self.neck, *self.head):
            if value < 8 or value % 8 or value > 2048:
                raise ValueError(f"model.plan: {value} channels: must be a multiple of 8 in 8..2048; 32 fill the DLA")
        for value in (*self.depths, self.head_depth):
            if not 1 <= value <= 64:
                raise ValueError(f"model.plan: {value} rep blocks: must lie in 1..64")

    @staticmethod
    def at(values: tuple[int, int, int, int], stride: int) -> int:
        """The entry of a tuple that belongs to a stride (4, 8, 16 or 32)."""
        return values[stride.bit_length() - 3]


PLANS: dict[Backbone, Plan] = {
    "pico": Plan(
        stem=16,
        widths=(32, 48, 64, 96),
        depths=(1, 2, 2, 2),
        neck=(16, 32, 48, 64),
        head=(16, 32, 48, 64),
        head_depth=1,
    ),
    "b0": Plan(
        stem=32,
        widths=(32, 64, 128, 256),
        depths=(1, 2, 2, 2),
        neck=(32, 32, 64, 128),
        head=(32, 32, 64, 128),
        head_depth=1,
    ),
    "b1": Plan(
        stem=32,
        widths=(64, 128, 256, 384),
        depths=(1, 2, 3, 2),
        neck=(64, 64, 128, 128),
        head=(32, 64, 128, 128),
        head_depth=2,
    ),
    "b2": Plan(
        stem=32,
        widths=(64, 128, 256, 384),
        depths=(2, 3, 4, 2),
        neck=(64, 64, 128, 128),
        head=(32, 64, 128, 128),
        head_depth=2,
    ),
    "b3": Plan(
        stem=32,
        widths=(64, 160, 320, 512),
        depths=(2, 4, 6, 3),
        neck=(64, 96, 128, 128),
        head=(64, 96, 128, 128),
        head_depth=2,
    ),
}
