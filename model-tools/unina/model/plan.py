"""Widths and depths of the backbones: one row a variant.

Widths are multiples of 32, in which the DLA computes channels (pico, for tests and demos, of 8), and at most 512. The
finest level gets the narrowest neck and head: it holds three quarters of all cells.
"""

from dataclasses import dataclass

from unina.model.spec import Backbone


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
