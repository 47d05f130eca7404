"""Linear light to the 8-bit sRGB of files (IEC 61966-2-1), by table."""

import numpy as np
import numpy.typing as npt

SCALE = 4095
_STEPS = np.linspace(0, 1, SCALE + 1)
_ENCODED = np.where(_STEPS <= 0.0031308, 12.92 * _STEPS, 1.055 * _STEPS ** (1 / 2.4) - 0.055)
ENCODE = np.round(_ENCODED * 255).astype(np.uint8)
_CODES = np.arange(256) / 255
DECODE = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(np.float32)


def encode(linear: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Linear light of any shape, 1.0 is white, to sRGB codes; clips."""
    return np.asarray(ENCODE[(np.clip(linear, 0, 1) * SCALE).astype(np.int32)])


def decode(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """sRGB codes of any shape to linear light."""
    return np.asarray(DECODE[codes])


def linear(red: float, green: float, blue: float) -> npt.NDArray[np.float32]:
    """An sRGB colour as people write it (0…255) to linear BGR."""
    return np.asarray(np.interp([blue, green, red], np.arange(256), DECODE), dtype=np.float32)
