"""The modes of the host engine's arithmetic, as docs/integer-semantics.md defines them, and how they are called."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

ROUNDINGS = ("half-away", "half-even")
"""To int8; the first is what NVIDIA documents for the DLA."""
POINTWISES = ("fp32", "fp19")
"""Between accumulator and int8; the second emulates what is known of the DLA."""


@dataclass(frozen=True)
class Arithmetic:
    """One mode."""

    rounding: str | None = None
    """of ROUNDINGS; None: the loadable's own"""
    pointwise: str = "fp32"
    """of POINTWISES"""

    def __str__(self) -> str:
        return f"{self.rounding or 'own rounding'} {self.pointwise}"


OWN = Arithmetic()
"""What bundles are made, scored and served with."""


def modes(roundings: Sequence[str], pointwises: Sequence[str]) -> tuple[Arithmetic, ...]:
    """Every combination, each once, in the order of ROUNDINGS and POINTWISES."""
    every = itertools.product(ROUNDINGS, POINTWISES)
    return tuple(Arithmetic(*mode) for mode in every if mode[0] in roundings and mode[1] in pointwises)


EVERY_MODE = modes(ROUNDINGS, POINTWISES)
