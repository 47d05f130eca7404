"""Numbers from files that anybody may have written."""

import math
from collections.abc import Mapping

LARGEST = 1e18


def number(value: object) -> float:
    """A finite number; raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{str(value)[:40]!r} is no number")
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise ValueError(f"{str(value)[:40]} is no number that can be measured")
    return float(value)


def numbers(told: object) -> dict[str, float]:
    """Names with their numbers; raises TypeError or ValueError."""
    if not isinstance(told, Mapping):
        raise TypeError(f"{str(told)[:40]!r} has no names with numbers")
    return {str(name): number(value) for name, value in told.items()}
