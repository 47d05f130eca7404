"""One picture from its number: layout, paint, camera. The same seed, index and version give the same bytes."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unina.data.scenes.colour import encode
from unina.data.scenes.layout import Layout, sample_layout
from unina.data.scenes.light import sample_light
from unina.data.scenes.paint_cones import paint_cone, sample_look


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered scene."""

    pixels: npt.NDArray[np.uint8]
    """H×W×3 BGR"""
    layout: Layout
    jpeg_quality: int


def scene_layout(seed: int, stream: int, index: int, width: int, height: int) -> Layout:
    """The geometry of picture `index` of a stream (train, val, test are streams), without a pixel."""
    return sample_layout(np.random.default_rng([seed, stream, index, 0]), width, height)


def render_scene(seed: int, stream: int, index: int, width: int, height: int) -> Picture:
    """Picture `index` of a stream, `width` × `height` pixels."""
    layout = scene_layout(seed, stream, index, width, height)
    rng = np.random.default_rng([seed, stream, index, 1])
    albedo = rng.uniform(0.1, 0.24)
    light = sample_light(rng, albedo)
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    canvas[:] = encode(albedo * light.on_ground)
    horizon = int(np.clip(layout.camera.horizon, 0, height))
    canvas[:horizon] = encode(np.array([0.9, 0.8, 0.75]) * rng.uniform(0.4, 1.0))
    batch = rng.normal(0, 1, 3).astype(np.float32)
    for cone in reversed(layout.cones):
        paint_cone(canvas, layout.camera, cone, sample_look(rng, cone.kind, cone.shape, batch), light)
    noise = rng.normal(0, 4, canvas.shape).astype(np.float32)
    return Picture(np.clip(canvas + noise, 0, 255).astype(np.uint8), layout, int(rng.integers(60, 96)))
