"""Functions of one int8 value as the host engine has them: 256 values, worked out once (docs/integer-semantics.md)."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

Rounding = Literal["half-away", "half-even"]
Real = npt.NDArray[np.float64]


UNARY: dict[str, Callable[[Real], Real]] = {"Abs": np.abs, "Sin": np.sin, "Cos": np.cos, "Atan": np.arctan}
"""by ONNX's name"""


def sigmoid(x: Real) -> Real:
    """1 / (1 + e⁻ˣ)."""
    return np.exp(-np.logaddexp(0, -x))


def silu(x: Real) -> Real:
    """x / (1 + e⁻ˣ)."""
    return x * sigmoid(x)


def leaky_relu(slope: float) -> Callable[[Real], Real]:
    """max(x, 0) + slope · min(x, 0)."""
    return lambda x: np.maximum(x, 0) + slope * np.minimum(x, 0)


def table(
    function: Callable[[Real], Real], input_scale: np.float32, output_scale: np.float32, rounding: Rounding
) -> npt.NDArray[np.int8]:
    """What the function makes of −128 to 127: `clamp(round(function(q · input_scale) / output_scale), −128, 127)`."""
    steps = function(np.arange(-128, 128) * np.float64(input_scale)) / np.float64(output_scale)
    whole = np.rint(steps) if rounding == "half-even" else np.trunc(steps + np.copysign(0.5, steps))
    return whole.clip(-128, 127).astype(np.int8)
