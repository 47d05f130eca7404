"""The letterbox that training, calibration and the device share (docs/bundle.md); the work is done in C++."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from unina_runtime import _unina
from unina_runtime._unina import Placement


def letterbox(
    image: npt.NDArray[np.uint8],
    height: int,
    width: int,
    *,
    value: int = 128,
    color: Literal["rgb", "bgr"] = "rgb",
) -> tuple[npt.NDArray[np.uint8], Placement]:
    """Resizes a picture to fit, centres it and fills the rest with `value`.

    Args:
        image: uint8 H×W×3, BGR. Rows may have gaps (a crop of a larger picture); other views are copied.
        height: of the result, in pixels.
        width: of the result, in pixels.
        value: grey of the padding, 0 to 255.
        color: channel order of the result.

    Returns:
        uint8 height×width×3, and where the picture lies in it.

    Raises:
        UninaError: another dtype or channel count, an empty picture, a size or value out of range.
    """
    return _unina.letterbox(image, height, width, value=value, color=color)
