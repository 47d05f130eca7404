"""Varies light and camera: brightness, saturation, a little hue, blur, noise, compression.

Colour is the class of a cone, so brightness and saturation move in HSV, where the hue survives clipping (scaling RGB
until red clips turns orange into yellow), and the hue itself moves by a few degrees only.
"""

import cv2
import numpy as np

from unina.train.picture import Image
from unina.train.spec import AugmentSpec


def vary(pixels: Image, spec: AugmentSpec, rng: np.random.Generator) -> Image:
    """All of it, each with its own chance; uint8 H×W×3 RGB."""
    pixels = jitter_color(pixels, spec, rng)
    if rng.random() < spec.blur:
        pixels = blur(pixels, rng)
    if rng.random() < spec.noise:
        pixels = add_noise(pixels, rng)
    if rng.random() < spec.jpeg:
        pixels = compress(pixels, rng)
    return pixels


def jitter_color(pixels: Image, spec: AugmentSpec, rng: np.random.Generator) -> Image:
    """Shifts the hue by a few degrees, scales saturation and value; uint8 H×W×3 RGB."""
    hue = rng.uniform(-1, 1) * spec.hue / 2  # OpenCV counts hue in units of two degrees
    saturation = 1 + rng.uniform(-1, 1) * spec.saturation
    value = 1 + rng.uniform(-1, 1) * spec.value
    steps = np.arange(256, dtype=np.float64)
    table = np.stack(
        (
            np.rint(steps + hue) % 180,
            np.rint(steps * saturation).clip(0, 255),
            np.rint(steps * value).clip(0, 255),
        ),
        axis=1,
    ).astype(np.uint8)
    hsv = cv2.LUT(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV), table[:, None, :])
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)


def blur(pixels: Image, rng: np.random.Generator) -> Image:
    """A soft focus or a short horizontal motion."""
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (3, 3), rng.uniform(0.4, 1.0)), np.uint8)
    return np.asarray(cv2.blur(pixels, (int(rng.integers(2, 5)), 1)), np.uint8)


def add_noise(pixels: Image, rng: np.random.Generator) -> Image:
    """Normal noise of up to 6 grey levels, uint8 H×W×3, the same in all channels, so that it has no hue."""
    strength = np.float32(rng.uniform(1, 6))
    noise = np.rint(rng.standard_normal(pixels.shape[:2], np.float32) * strength).astype(np.int16)
    return np.asarray((pixels + noise[:, :, None]).clip(0, 255), np.uint8)


def compress(pixels: Image, rng: np.random.Generator) -> Image:
    """JPEG at quality 40…90 of uint8 H×W×3 RGB: the blocks and the halved colour resolution of video stills."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 91))])
    return np.asarray(cv2.cvtColor(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR)), cv2.COLOR_BGR2RGB), np.uint8)
