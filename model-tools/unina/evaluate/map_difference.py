"""How far the raw maps of one stage lie from those of another, over many pictures.

Beside integers, the stage before is cut to what these can hold: logits far below zero are left out on purpose
(`unina.dla.scales.raw_map_amax`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unina.evaluate.raw_maps import FloatMaps, Limits


@dataclass(frozen=True)
class MapDifference:
    """One output of the network."""

    output: str
    largest_difference: float
    """max |stage − stage before|; NaN where either holds one"""
    largest_value: float
    """max |stage before|"""
    signal: float
    """sum of squares of the stage before"""
    noise: float
    """sum of squares of the difference"""

    @property
    def relative(self) -> float:
        """The largest difference as a share of the largest value; infinite where all values are zero."""
        if self.largest_difference == 0:
            return 0.0
        return self.largest_difference / self.largest_value if self.largest_value else math.inf

    @property
    def snr_db(self) -> float:
        """10·log10(signal / noise); infinite where the maps are equal."""
        if self.noise == 0:
            return math.inf
        ratio = self.signal / self.noise
        return 10 * math.log10(ratio) if ratio > 0 else -math.inf if ratio == 0 else math.nan

    def to_json(self) -> dict[str, Any]:
        """As plain Python values; null for what is infinite or no number."""
        return {
            "max_difference": finite(self.largest_difference),
            "relative": finite(self.relative),
            "snr_db": finite(self.snr_db),
        }


class MapTally:
    """Adds up the differences of two stages, picture by picture."""

    def __init__(self) -> None:
        self._outputs: dict[str, MapDifference] = {}

    def add(self, before: FloatMaps, maps: FloatMaps, limits: Limits | None = None) -> None:
        """Both 1×C×h×w by name; `limits`: what `maps` can hold, to which the stage before is cut.

        Raises ValueError where names or shapes differ: two networks, not two stages of one.
        """
        if _shapes(before) != _shapes(maps):
            raise ValueError(f"not two stages of one network: raw maps {_shapes(before)} and {_shapes(maps)}")
        for name, values in before.items():
            low, high = (limits or {}).get(name, (-math.inf, math.inf))
            exact = values.astype(np.float64).clip(low, high)
            apart = np.abs(exact - maps[name])
            old = self._outputs.get(name, MapDifference(name, 0.0, 0.0, 0.0, 0.0))
            self._outputs[name] = MapDifference(
                name,
                float(np.maximum(old.largest_difference, apart.max())),  # keeps a NaN, as max() would not
                float(np.maximum(old.largest_value, np.abs(exact).max())),
                old.signal + float(np.square(exact).sum()),
                old.noise + float(np.square(apart).sum()),
            )

    def result(self) -> tuple[MapDifference, ...]:
        """One row an output; empty before the first picture."""
        return tuple(self._outputs.values())


def worst(rows: tuple[MapDifference, ...]) -> MapDifference:
    """The output that differs most for its size; one with NaN before all. Raises ValueError without a row."""
    return max(rows, key=lambda row: math.inf if math.isnan(row.relative) else row.relative)


def finite(value: float | None) -> float | None:
    """JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None


def _shapes(maps: Mapping[str, Any]) -> dict[str, list[int]]:
    return {name: list(values.shape) for name, values in sorted(maps.items())}
