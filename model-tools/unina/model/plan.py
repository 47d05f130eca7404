"""Widths and depths of the backbones: one row a variant.

Widths are multiples of 8 (pico) or 32, since the DLA computes channels in groups of 32.
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
}
