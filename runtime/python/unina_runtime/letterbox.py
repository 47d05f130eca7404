"""The letterbox that training, calibration and the device share (docs/bundle.md); the work is done in C++."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from unina_runtime import _unina
from unina_runtime._unina import Placement
from unina_runtime.picture import Picture, PixelFormat


def letterbox(
    image: Picture,
    height: int,
    width: int,
    *,
    value: int = 128,
    color: Literal["rgb", "bgr"] = "rgb",
    pixel_format: PixelFormat = "bgr",
) -> tuple[npt.NDArray[np.uint8], Placement]:
    """Resizes a picture to fit, centres it and fills the rest with `value`.

    Args:
        image: uint8, by default H×W×3 BGR; `unina_runtime.Picture` lists the others.
        height: of the result, in pixels.
        width: of the result, in pixels.
        value: grey of the padding, 0 to 255.
        color: channel order of the result.
        pixel_format: of `image`.

    Returns:
        uint8 height×width×3, and where the picture lies in it.

    Raises:
        UninaError: another dtype or shape, an empty picture, a size or value out of range.
    """
    return _unina.letterbox(image, height, width, value=value, color=color, pixel_format=pixel_format)
