"""One picture from its number: layout, paint, camera. The same seed, index and version give the same bytes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes import props
from unina.data.scenes.backdrop import paint_backdrop, paint_prop
from unina.data.scenes.camera import Camera
from unina.data.scenes.camera_faults import photograph, recorded
from unina.data.scenes.colour import encode
from unina.data.scenes.cones import Cone
from unina.data.scenes.ground import Surface, chalk_round, paint_ground, sample_surface
from unina.data.scenes.layout import Layout, sample_layout
from unina.data.scenes.light import Light, sample_light
from unina.data.scenes.overlay import paint_overlay
from unina.data.scenes.own_car import paint_own_car
from unina.data.scenes.paint_cones import BATCH, paint_cone, sample_look
from unina.data.scenes.shadows import cast_shadow, cone_reflection, cone_shadow

Image = npt.NDArray[np.uint8]
PHOTOGRAPHED = 0.4
"""Share of pictures with a photograph for a backdrop, where there are photographs."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A rendered scene."""

    pixels: Image
    """H×W×3 BGR"""
    layout: Layout
    jpeg_quality: int


def scene_layout(seed: int, stream: int, index: int, width: int, height: int) -> Layout:
    """The geometry of picture `index` of a stream (train, val, test are streams), without a pixel."""
    return sample_layout(np.random.default_rng([seed, stream, index, 0]), width, height)


def render_scene(
    seed: int, stream: int, index: int, width: int, height: int, backdrops: tuple[Path, ...] = ()
) -> Picture:
    """Picture `index` of a stream, `width` × `height` pixels; some before one of the photographs `backdrops`."""
    layout = scene_layout(seed, stream, index, width, height)
    rng = np.random.default_rng([seed, stream, index, 1])
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    camera = layout.camera
    surface = sample_surface(rng)
    light = sample_light(rng, surface.albedo)
    paint_ground(canvas, camera, surface, light, rng)
    paint_backdrop(canvas, layout, light, rng, _photograph(backdrops, np.random.default_rng([seed, stream, index, 2])))
    if rng.random() < 0.25:
        hue = rng.random()
        for cone in layout.cones:
            if not cone.fallen:
                chalk_round(canvas, camera, cone.x, cone.y, cone.yaw, light, hue)
    _paint_things(canvas, layout, surface, light, rng)
    paint_own_car(canvas, layout.own_car, light, rng)
    quality = int(np.clip(rng.normal(82, 12), 40, 97))
    canvas = photograph(canvas, camera, light, rng)
    if rng.random() < 0.12:
        paint_overlay(canvas, layout.boxes, rng)
    return Picture(recorded(canvas, rng), layout, quality)


def _photograph(backdrops: tuple[Path, ...], rng: np.random.Generator) -> Image | None:
    """One of the photographs for PHOTOGRAPHED of the pictures; None for the others and for one that can't be read."""
    if not backdrops or rng.random() > PHOTOGRAPHED:
        return None
    pixels = cv2.imread(str(backdrops[int(rng.integers(0, len(backdrops)))]), cv2.IMREAD_COLOR)
    return None if pixels is None else np.asarray(pixels, dtype=np.uint8)


def _paint_things(canvas: Image, layout: Layout, surface: Surface, light: Light, rng: np.random.Generator) -> None:
    """Shadows first, then cones and props, the farthest first."""
    camera = layout.camera
    batch = rng.normal(0, 1, BATCH).astype(np.float32)
    things: list[Cone | props.Prop] = [*layout.cones, *layout.blockers, *_props(layout, rng)]
    things.sort(key=lambda thing: -float(np.hypot(thing.x, thing.y)))
    for thing in things:
        if isinstance(thing, Cone):
            cone_shadow(canvas, camera, thing, light)
        elif thing.y < 60:
            half = thing.tile.height_m * thing.tile.pixels.shape[1] / thing.tile.pixels.shape[0] / 2 * 0.8
            deep = min(half, 0.4)
            corners = [(x, y, z) for x in (-half, half) for y in (-deep, deep) for z in (0.0, thing.tile.height_m)]
            cast_shadow(canvas, camera, np.array(corners) + np.array([thing.x, thing.y, 0.0]), light)
    mirror = surface.wet * float(rng.uniform(0.15, 0.6))
    for thing in things:
        if isinstance(thing, props.Prop):
            paint_prop(canvas, camera, thing, light)
            continue
        look = sample_look(rng, thing.kind, thing.shape, batch)
        if mirror > 0.05:
            seen = look.body * light.shade(np.array([[0.0, -1.0, 0.0]], dtype=np.float32))[0]
            cone_reflection(canvas, camera, thing, encode(seen).astype(np.float64), mirror)
        paint_cone(canvas, camera, thing, look, light)


def _props(layout: Layout, rng: np.random.Generator) -> list[props.Prop]:
    """Things that stand about, none of them before a cone."""
    camera = layout.camera
    found: list[props.Prop] = []
    tiles = props.bank()
    groups = int(rng.integers(0, 6))
    for _ in range(groups):
        tile = tiles[int(rng.integers(0, len(tiles)))]
        share = float(np.clip(rng.lognormal(np.log(0.11), 0.6), 0.03, 0.5))  # of the picture's height
        depth = float(np.clip(camera.focal_px * tile.height_m / (share * camera.height), 4, 130))
        aside = rng.uniform(-0.55, 0.55) * camera.width / camera.focal_px * depth
        for _ in range(int(rng.integers(1, 6)) if tile.height_m < 2.5 else 1):
            x, y = aside + rng.normal(0, 0.06 * depth), depth * rng.uniform(0.93, 1.07)
            if rng.random() < 0.5:
                tile = tiles[int(rng.integers(0, len(tiles)))]
            if _in_view(camera, x, y) and not layout.would_hide(
                props.prop_box(camera, tile, x, y), float(np.hypot(x, y))
            ):
                found.append(props.Prop(tile, float(x), float(y), bool(rng.random() < 0.5)))
    return found


def _in_view(camera: Camera, x: float, y: float) -> bool:
    pixel, depth = camera.project(np.array([x, y, 0.0]))
    return bool(depth > 1 and -200 < pixel[0] < camera.width + 200 and pixel[1] < 1.6 * camera.height)
