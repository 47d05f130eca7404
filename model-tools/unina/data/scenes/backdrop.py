"""What closes the view: sky, clouds, hills, trees, and walls and banners that stand along the edge of the site."""

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes import props, textures
from unina.data.scenes.camera import NEAR_M, Camera
from unina.data.scenes.colour import decode, encode, linear
from unina.data.scenes.layout import Layout
from unina.data.scenes.light import Light

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]


def paint_backdrop(
    canvas: Image, layout: Layout, light: Light, rng: np.random.Generator, photograph: Image | None = None
) -> None:
    """Paints everything above the horizon of a canvas (uint8 H×W×3 BGR) that is all ground, and walls below it.

    With a photograph (uint8 h×w×3 BGR) a part of that stands there instead of drawn sky, hills, trees and houses.
    """
    camera = layout.camera
    columns = np.arange(camera.width)
    line = camera.horizon + np.tan(camera.roll) * (camera.width / 2 - columns)  # rows of the horizon
    bottom = int(np.clip(np.ceil(line.max()) + 1, 0, camera.height))
    if bottom > 2 and photograph is not None:
        sky = _part(photograph, bottom, camera.width, rng)
        below = np.arange(bottom)[:, None] > line[None, :]
        np.copyto(sky, canvas[:bottom], where=below[..., None])
        canvas[:bottom] = sky
    elif bottom > 2:
        sky = _sky(camera, bottom, light, rng)
        scale = camera.focal_px / 1000
        haze = _haze(light)
        if rng.random() < 0.55:  # hills
            ridge = (textures.smooth(rng, camera.width, 5) + 0.6) * rng.uniform(20, 110) * scale
            _silhouette(sky, line - np.maximum(ridge, 0), linear(60, 80, 62) * light.on_ground * 0.6, haze, 0.55, rng)
        if rng.random() < 0.8:  # trees
            height = rng.uniform(10, 85) * scale
            ridge = (1 + 0.5 * textures.smooth(rng, camera.width, 9)) * height
            ragged = np.repeat(rng.normal(0, 0.09, camera.width // 5 + 1), 5)[: camera.width] * height
            gaps = np.where(textures.smooth(rng, camera.width, 7) > rng.uniform(0.1, 1.2), 0.15, 1.0)
            green = linear(rng.uniform(40, 85), rng.uniform(58, 95), rng.uniform(32, 52))
            _silhouette(sky, line - (ridge + ragged) * gaps, green * light.on_ground * 0.55, haze, 0.12, rng)
        if rng.random() < 0.6:
            _buildings(sky, line, scale, light, rng)
        below = np.arange(bottom)[:, None] > line[None, :]
        np.copyto(sky, canvas[:bottom], where=below[..., None])
        canvas[:bottom] = sky
    _walls(canvas, layout, light, rng)


def _part(photograph: Image, rows: int, width: int, rng: np.random.Generator) -> Image:
    """rows×width×3: a random part of a photograph that ends above its foreground, brighter or darker than it was."""
    height, breadth = photograph.shape[:2]
    deep = min(0.75 * height, breadth * rows / width) * rng.uniform(0.55, 1.0)
    wide = min(deep * width / rows, breadth)
    foot = rng.uniform(max(deep, 0.45 * height), max(deep, 0.8 * height))
    left = rng.uniform(0, breadth - wide)
    part = photograph[int(foot - deep) : max(int(foot), int(foot - deep) + 1), int(left) : int(left + wide) + 1]
    part = np.asarray(cv2.resize(part, (width, rows), interpolation=cv2.INTER_AREA), dtype=np.uint8)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.asarray(cv2.convertScaleAbs(part, alpha=float(rng.uniform(0.75, 1.25))), dtype=np.uint8)


def _haze(light: Light) -> npt.NDArray[np.float32]:
    """What the air far away looks like, sRGB BGR."""
    return encode(light.sky * 0.6 + light.on_ground * 0.5).astype(np.float32)


def _sky(camera: Camera, rows: int, light: Light, rng: np.random.Generator) -> Image:
    """rows×W×3: clear, clouded or closed; whiter towards the horizon and towards the sun."""
    burnt = rng.random() < 0.16  # exposed for the ground: the sky is white
    bright = float(rng.uniform(1.2, 1.9)) if burnt else float(np.clip(rng.normal(0.95, 0.2), 0.45, 1.25))
    height = (np.arange(rows) + 0.5 - camera.horizon) / camera.focal_px  # negative above
    rise = np.clip(-height / 0.7, 0, 1)[:, None]
    closed = light.softness > 0.8
    zenith = np.array([205, 205, 202.0]) if closed else np.array([205, 140, 78.0]) + rng.normal(0, 14, 3)
    low = np.array([232, 230, 228.0]) if closed else np.array([240, 222, 202.0])
    gradient = (low * (1 - rise**0.6) + zenith * rise**0.6) * bright
    sky = np.repeat(np.clip(gradient, 0, 255)[:, None], camera.width, axis=1).astype(np.float32)
    if rng.random() < (1.0 if closed else 0.75):
        side = int(rng.integers(250, 900))
        window = textures.crop(textures.clouds(), rng, min(side // 2, 1024), side)
        cover = cv2.resize(window, (camera.width, rows), interpolation=cv2.INTER_CUBIC).astype(np.float32)
        share = np.clip((cover - rng.uniform(80, 190)) / 70, 0, 1)[..., None] * rng.uniform(0.4, 1.0)
        dark = textures.crop(textures.clouds(), rng, 200, 300)
        tone = cv2.resize(dark, (camera.width, rows), interpolation=cv2.INTER_CUBIC).astype(np.float32)[..., None]
        cloud = np.clip((170 if closed else 215) * bright + (tone - 128) * 0.35, 90, 255)
        sky += ((cloud - sky) * share).astype(np.float32)
    place, depth = camera.project(light.direction * 1e5 + (0, 0, camera.mount_m))
    if depth > 0 and light.softness < 0.8:  # the sky is brighter round the sun
        x, y = np.arange(camera.width) - place[0], np.arange(rows)[:, None] - place[1]
        glow = np.exp(-np.sqrt(x * x + y * y) / (0.15 * camera.width)).astype(np.float32)[..., None]
        sky += (255 - sky) * np.clip(glow * 1.5, 0, 1)
    return np.clip(sky, 0, 255).astype(np.uint8)


def _silhouette(
    sky: Image,
    top: Array,
    colour: npt.NDArray[np.floating],
    haze: npt.NDArray[np.float32],
    far: float,
    rng: np.random.Generator,
) -> None:
    """Fills below the line `top` (rows, one a column) with a leafy colour; `far` is the share of haze."""
    rows, width = sky.shape[:2]
    points = np.column_stack([np.arange(width), top])[::2]
    polygon = np.concatenate([points, [(width, rows + 50), (0, rows + 50)]])
    mask = np.zeros((rows, width), dtype=np.uint8)
    cv2.fillPoly(mask, [(polygon * 16).round().astype(np.int32)], 255, cv2.LINE_AA, 4)
    first = int(np.clip(np.floor(top.min()) - 1, 0, rows))
    if first >= rows:
        return
    leaf = textures.crop(textures.leaves(), rng, rows - first, width).astype(np.float32)
    tone = 1 + (leaf - 128) / 128 * (0.8 * (1 - far) ** 3)
    flat = (encode(colour).astype(np.float32) * (1 - far) + haze * far) * tone[..., None]
    under = sky[first:]
    cover = mask[first:, :, None].astype(np.float32) / 255
    under[:] = np.clip(under + (flat - under) * cover, 0, 255).astype(np.uint8)


def _buildings(sky: Image, line: Array, scale: float, light: Light, rng: np.random.Generator) -> None:
    """Boxes on the horizon: halls, stands, containers."""
    width = sky.shape[1]
    level = light.shade(np.array([[0.0, -1.0, 0.0]], dtype=np.float32))[0]
    for _ in range(rng.integers(1, 9)):
        x0 = int(rng.integers(-60, width))
        x1 = x0 + int(rng.uniform(12, 240) * scale)
        foot = float(line[int(np.clip(x0, 0, width - 1))]) + 2
        roof = foot - rng.uniform(5, 60) * scale
        wall = linear(*(rng.uniform(60, 235) * rng.uniform(0.85, 1.1, 3)))
        colour = [float(c) for c in encode(np.clip(wall * level, 0, 1))]
        corners = np.array([(x0, roof), (x1, roof + rng.uniform(-2, 2)), (x1, foot), (x0, foot)])
        cv2.fillPoly(sky, [(corners * 16).round().astype(np.int32)], colour, cv2.LINE_AA, 4)
        if x1 - x0 > 24 and foot - roof > 10:  # windows
            pane = [c * 0.5 for c in colour]
            top, low = int(roof + (foot - roof) * 0.3), int(roof + (foot - roof) * 0.55)
            for x in range(x0 + 4, x1 - 6, max(8, int(14 * scale))):
                cv2.rectangle(sky, (x, top), (x + max(2, int(5 * scale)), low), pane, -1)


def _walls(canvas: Image, layout: Layout, light: Light, rng: np.random.Generator) -> None:
    """Banners, tyre walls and fences in a row."""
    tiles = props.banners()
    for _ in range(rng.integers(0, 4)):
        turn = rng.normal(np.pi / 2, 0.45)
        along = np.array([np.sin(turn), np.cos(turn)])
        depth = float(np.exp(rng.uniform(np.log(14), np.log(75))))
        start = np.array([rng.uniform(-1.0, 0.6) * depth, depth])
        tall = rng.uniform(0.6, 2.2)
        same = tiles[int(rng.integers(0, len(tiles)))]
        mixed = rng.random() < 0.5
        if rng.random() < 0.08:  # a stand full of people
            stands = props.stands()
            same, mixed, tall, depth = stands[int(rng.integers(0, len(stands)))], False, rng.uniform(1.5, 4), depth + 25
            start = np.array([rng.uniform(-1.0, 0.6) * depth, depth])
        normal = np.array([[along[1], -along[0], 0.0]], dtype=np.float32)
        normal *= -np.sign(normal[0, 1]) or 1.0
        level = light.shade(normal)[0]
        for _ in range(rng.integers(2, 14)):
            tile = tiles[int(rng.integers(0, len(tiles)))] if mixed else same
            end = start + along * tall * tile.shape[1] / tile.shape[0]
            _wall(canvas, layout, start, end, tall, lit(tile, level))
            start = end + along * (rng.uniform(0, 1.5) if rng.random() < 0.2 else 0.02)


def _wall(canvas: Image, layout: Layout, start: Array, end: Array, tall: float, tile: Image) -> None:
    """One upright picture between two ground points."""
    corners = np.array([(*start, tall), (*end, tall), (*end, 0.0), (*start, 0.0)])
    camera = layout.camera
    pixels, depth = camera.project(corners)
    if depth.min() < 5 * NEAR_M:
        return
    if layout.would_hide(np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]), float(depth.min())):
        return
    left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(pixels.max(axis=0)).astype(int), (camera.width, camera.height))
    if right - left < 2 or bottom - top < 2:
        return
    shrink = float(np.clip(np.ptp(pixels[:, 1]) / tile.shape[0], 0.1, 1))
    # no aliasing in the warp
    tile = np.asarray(cv2.resize(tile, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    height, width = tile.shape[:2]
    source = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(source, (pixels - (left, top)).astype(np.float32))
    size = (int(right - left), int(bottom - top))
    warped = cv2.warpPerspective(tile, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mask = np.zeros(size[::-1], dtype=np.uint8)
    cv2.fillConvexPoly(mask, ((pixels - (left, top) - 0.5) * 16).round().astype(np.int32), 255, cv2.LINE_AA, 4)
    under = canvas[top:bottom, left:right]
    cover = mask[..., None].astype(np.float32) / 255
    under[:] = (under + (warped - under.astype(np.float32)) * cover + 0.5).astype(np.uint8)


def lit(tile: Image, level: npt.NDArray[np.floating]) -> Image:
    """A tile of reflectances (sRGB codes) under an irradiance (3, BGR)."""
    table = np.stack([encode(decode(np.arange(256, dtype=np.uint8)) * level[c]) for c in range(3)], axis=1)
    return np.asarray(cv2.LUT(tile, table[None]))


def paint_prop(canvas: Image, camera: Camera, prop: props.Prop, light: Light) -> None:
    """Stands a tile on the ground, facing the camera; `canvas` is uint8 H×W×3 BGR."""
    stood = props.stood(camera, prop)
    if stood is None:
        return
    place, pixels, alpha = stood
    to_camera = np.array([[-prop.x, -prop.y, 0.0]]) / np.hypot(prop.x, prop.y)
    level = light.shade(to_camera.astype(np.float32))[0]
    weight = alpha[..., None].astype(np.float32) / 255
    under = canvas[place]
    under[:] = (under + (lit(pixels, level) - under.astype(np.float32)) * weight + 0.5).astype(np.uint8)
