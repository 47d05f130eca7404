"""What lens, sensor and recorder do to a picture: blur, drops, flare, exposure, colour cast, noise, rescaling."""

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes import textures
from unina.data.scenes.camera import Camera
from unina.data.scenes.colour import decode
from unina.data.scenes.light import Light

Image = npt.NDArray[np.uint8]


def photograph(canvas: Image, camera: Camera, light: Light, rng: np.random.Generator) -> Image:
    """The picture, uint8 H×W×3 BGR, as a camera would have stored it, before JPEG.

    Nothing here moves an edge by more than its blur, and no colour turns into another class's.
    """
    canvas = _blur(canvas, rng)
    if rng.random() < 0.07:
        canvas = _drops(canvas, rng)
    canvas = _tone(_glare(canvas, camera, light, rng), rng)
    if rng.random() < 0.3:  # in-camera sharpening, halo included
        soft = cv2.GaussianBlur(canvas, (0, 0), 1.2)
        amount = float(rng.uniform(0.3, 1.0))
        canvas = np.asarray(cv2.addWeighted(canvas, 1 + amount, soft, -amount, 0), dtype=np.uint8)
    sigma = float(np.clip(rng.lognormal(np.log(2.0), 0.7), 0.3, 10))
    window = textures.crop(textures.sensor_noise(), rng, canvas.shape[0], canvas.shape[1])
    return np.asarray(cv2.addWeighted(canvas, 1.0, window, sigma / 32, -128 * sigma / 32), dtype=np.uint8)


def recorded(canvas: Image, rng: np.random.Generator) -> Image:
    """uint8 H×W×3 as a still of a video: some are small and enlarged, with coarse colour and a codec's blocks."""
    kind = rng.random()
    if kind > 0.42:
        return canvas
    share = float(rng.uniform(0.65, 1.0)) if kind < 0.32 else float(rng.uniform(0.5, 0.85))
    height, width = canvas.shape[:2]
    small = np.asarray(
        cv2.resize(canvas, (round(width * share), round(height * share)), interpolation=cv2.INTER_AREA), dtype=np.uint8
    )
    if kind < 0.32:
        small = _chroma_lost(small, float(rng.choice([0.5, 0.5, 0.5, 0.3])))
        # 4:2:0 blocks of JPEG stand in for the codec's.
        quality = int(rng.uniform(28, 75))
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        small = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _chroma_lost(canvas: Image, share: float) -> Image:
    """Colour at a share of the resolution: it bleeds over edges, and small cones turn pale."""
    planes = cv2.cvtColor(canvas, cv2.COLOR_BGR2YCrCb)
    size = (max(2, round(canvas.shape[1] * share)), max(2, round(canvas.shape[0] * share)))
    chroma = cv2.resize(planes[..., 1:], size, interpolation=cv2.INTER_AREA)
    planes[..., 1:] = cv2.resize(chroma, canvas.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2BGR), dtype=np.uint8)


def _blur(canvas: Image, rng: np.random.Generator) -> Image:
    """Lens, focus, and in some pictures motion."""
    sigma = float(np.clip(rng.lognormal(np.log(0.52), 0.35), 0.3, 1.8))
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), dtype=np.uint8)
    if rng.random() < 0.18:
        length = int(rng.integers(3, 11))
        kernel = np.zeros((length, length), dtype=np.float32)
        turn = rng.normal(0, 0.35)
        offset = np.array([np.cos(turn), np.sin(turn)]) * (length - 1) / 2
        a, b = ((length - 1) / 2 - offset).round().astype(int), ((length - 1) / 2 + offset).round().astype(int)
        cv2.line(kernel, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), 1.0)
        canvas = np.asarray(cv2.filter2D(canvas, -1, kernel / kernel.sum()), dtype=np.uint8)
    return canvas


def _drops(canvas: Image, rng: np.random.Generator) -> Image:
    """Rain or dirt on the lens: round places where the picture is smeared."""
    height, width = canvas.shape[:2]
    small = cv2.resize(canvas, (width // 8, height // 8), interpolation=cv2.INTER_AREA)
    smeared = cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.5), (width, height), interpolation=cv2.INTER_LINEAR)
    mask = np.zeros((height, width), dtype=np.uint8)
    for _ in range(rng.integers(3, 22)):
        centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        axes = (int(rng.integers(4, 34)), int(rng.integers(4, 34)))
        cv2.ellipse(mask, centre, axes, 0, 0, 360, int(rng.integers(90, 215)), -1)
    weight = cv2.GaussianBlur(mask, (0, 0), 3)[..., None].astype(np.float32) / 255
    return np.asarray(canvas + (smeared - canvas.astype(np.float32)) * weight, dtype=np.uint8)


def _glare(canvas: Image, camera: Camera, light: Light, rng: np.random.Generator) -> Image:
    """A veil over the picture when the sun shines into the lens, and vignetting; from maps at low resolution."""
    height, width = canvas.shape[:2]
    y, x = np.mgrid[0:36, 0:64].astype(np.float32)
    x, y = (x + 0.5) * width / 64, (y + 0.5) * height / 36
    corner = np.hypot(width, height) / 2
    radius = np.hypot(x - width / 2, y - height / 2) / corner
    gain = 1 - float(np.clip(rng.normal(0.12, 0.12), 0, 0.5)) * radius**2.5
    place, depth = camera.project(light.direction * 1e5 + (0, 0, camera.mount_m))
    if depth > 0 and light.softness < 0.8:
        away = np.hypot(x - place[0], y - place[1]) / corner
        veil = rng.uniform(0.0, 0.4) * np.exp(-away * 2.2) + rng.uniform(0, 0.05)
    else:
        veil = np.full_like(x, rng.uniform(0.0, 0.06) if rng.random() < 0.3 else 0.0)
    gain, veil = (cv2.resize(m.astype(np.float32), (width, height))[..., None] for m in (gain, veil))
    return np.asarray(np.clip(canvas * (gain * (1 - veil)) + 235 * veil, 0, 255), dtype=np.uint8)


def _tone(canvas: Image, rng: np.random.Generator) -> Image:
    """Exposure, white balance, contrast and saturation."""
    exposure = float(np.exp(np.clip(rng.normal(0.0, 0.24), -0.42, 0.6)))
    warmth = rng.normal(0, 0.07)
    tint = rng.normal(0, 0.03)
    cast = np.exp(np.array([-warmth, tint, warmth]))
    contrast = float(np.clip(rng.normal(1.08, 0.17), 0.65, 1.5))
    codes = decode(np.arange(256, dtype=np.uint8))[:, None] * exposure * cast
    encoded = np.clip(codes, 0, 1) ** (1 / 2.2)
    pivot = 0.45
    dark, pale = np.minimum(encoded / pivot, 1), np.clip((1 - encoded) / (1 - pivot), 0, 1)
    curved = np.where(encoded < pivot, pivot * dark**contrast, 1 - (1 - pivot) * pale**contrast)
    canvas = np.asarray(cv2.LUT(canvas, (np.clip(curved, 0, 1) * 255).round().astype(np.uint8)[None]), dtype=np.uint8)
    amount = float(np.clip(rng.normal(1.03, 0.22), 0.5, 1.55))
    grey = np.array([[0.114, 0.587, 0.299]] * 3)
    return np.asarray(cv2.transform(canvas, (amount * np.eye(3) + (1 - amount) * grey).astype(np.float32)))
