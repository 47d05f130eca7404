"""Shadows on the ground: the cast one of the sun, and the dark line where a thing touches the ground."""

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes.camera import NEAR_M, Camera
from unina.data.scenes.cones import Cone
from unina.data.scenes.ground import on_picture
from unina.data.scenes.light import Light

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]


def cone_shadow(canvas: Image, camera: Camera, cone: Cone, light: Light) -> None:
    """Darkens the ground where a cone keeps the light off; `canvas` is uint8 H×W×3 BGR."""
    for part in cone.outline():
        cast_shadow(canvas, camera, part, light)
    foot = cone.outline()[0]
    centre = foot[:, :2].mean(axis=0)
    near = centre + (foot[:, :2] - centre) * 1.12
    hull = cv2.convexHull(near.astype(np.float32))[:, 0].astype(np.float64)
    _darken(canvas, on_picture(camera, hull), 0.72, 0.06)


def cast_shadow(canvas: Image, camera: Camera, solid: Array, light: Light) -> None:
    """Darkens the ground in the sun's shadow of the hull of world points N×3."""
    strength = (1 - light.softness) ** 1.5
    rise = max(float(light.direction[2]), 0.12)
    if strength < 0.05:
        return
    ground = solid[:, :2] - light.direction[:2] * (solid[:, 2:] / rise)
    hull = cv2.convexHull(ground.astype(np.float32))[:, 0].astype(np.float64)
    left = float((light.sky / np.maximum(light.on_ground, 1e-6)).mean())
    _darken(canvas, on_picture(camera, hull), 1 - strength * (1 - left ** (1 / 2.3)), 0.015 + 0.05 * light.softness)


def cone_reflection(canvas: Image, camera: Camera, cone: Cone, colour: Array, strength: float) -> None:
    """A cone's image upside down in the wet ground, `colour` (3, sRGB codes BGR), blurred as by rough asphalt."""
    plate, body = cone.outline()
    pixels, depth = camera.project(np.concatenate([plate, body]) * (1.0, 1.0, -1.0))
    if depth.min() < NEAR_M:
        return
    hull = cv2.convexHull(pixels.astype(np.float32))[:, 0]
    sigma = float(np.clip(0.05 * np.ptp(hull[:, 1]), 0.5, 8))
    margin = int(3 * sigma) + 1
    left, top = (max(int(value) - margin, 0) for value in hull.min(axis=0))
    right, bottom = (
        min(int(value) + margin, limit)
        for value, limit in zip(hull.max(axis=0), (camera.width, camera.height), strict=True)
    )
    if right <= left or bottom <= top:
        return
    mask = np.zeros((bottom - top, right - left), dtype=np.float32)
    polygon = ((hull - (left, top)) * 16).round().astype(np.int32)
    cv2.fillPoly(mask, [polygon], strength, lineType=cv2.LINE_8, shift=4)
    weight = cv2.GaussianBlur(mask, (0, 0), sigma)[..., None]
    under = canvas[top:bottom, left:right]
    under[:] = (under + (colour - under.astype(np.float32)) * weight + 0.5).astype(np.uint8)


def _darken(canvas: Image, polygon: npt.NDArray[np.int32] | None, factor: float, softness: float) -> None:
    """Multiplies a polygon (pixels ×16) by a factor; the edge is blurred by a share of its size."""
    if polygon is None:
        return
    height, width = canvas.shape[:2]
    low, high = polygon.min(axis=0) / 16, polygon.max(axis=0) / 16
    sigma = float(np.clip(softness * max(high - low), 0.4, 12))
    margin = int(3 * sigma) + 2
    left, top = (max(int(value) - margin, 0) for value in low)
    right, bottom = (min(int(value) + margin, limit) for value, limit in zip(high, (width, height), strict=True))
    if right <= left or bottom <= top:
        return
    mask = np.zeros((bottom - top, right - left), dtype=np.float32)
    cv2.fillPoly(mask, [polygon - (left * 16, top * 16)], 1 - factor, lineType=cv2.LINE_8, shift=4)
    mask = cv2.GaussianBlur(mask, (0, 0), sigma)
    under = canvas[top:bottom, left:right]
    under[:] = (under * (1 - mask[..., None]) + 0.5).astype(np.uint8)
