"""The ground: a surface with its neighbours, what is painted, worn and driven onto it, and its grain in perspective."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes import textures
from unina.data.scenes.camera import Camera
from unina.data.scenes.colour import encode, linear
from unina.data.scenes.light import Light

Array = npt.NDArray[np.float64]
Image = npt.NDArray[np.uint8]
NEAREST_M = 0.4
FARTHEST_M = 400.0


@dataclass(frozen=True, eq=False)
class Surface:
    """What most of the ground is."""

    reflectance: npt.NDArray[np.float32]
    """3, linear BGR"""
    roughness: float
    """of the grain's contrast; 1 is worn asphalt"""
    wet: float
    """0 dry … 1 under water: darker, and the sky shows in it"""

    @property
    def albedo(self) -> float:
        """Mean reflectance, 0 to 1."""
        return float(self.reflectance.mean())


def sample_surface(rng: np.random.Generator) -> Surface:
    """Asphalt of any age, concrete, gravel, a hall's floor."""
    kind = rng.choice(4, p=[0.72, 0.14, 0.07, 0.07])
    wet = float(rng.uniform(0.3, 1.0)) if kind < 2 and rng.random() < 0.28 else 0.0
    if kind == 0:
        level = float(np.exp(rng.normal(np.log(0.14), 0.35)))
        tint = np.array([1.0, 1.0, 1.0]) + rng.normal(0, 0.018, 3) + rng.normal(0.0, 0.045) * np.array([-1, 0, 1])
    elif kind == 1:
        level, tint = rng.uniform(0.22, 0.42), np.array([0.92, 1.0, 1.04]) + rng.normal(0, 0.02, 3)
    elif kind == 2:
        level, tint = rng.uniform(0.14, 0.3), np.array([0.72, 0.95, 1.12])
    else:
        level, tint = rng.uniform(0.15, 0.45), rng.uniform(0.8, 1.15, 3)
    level = float(np.clip(level, 0.05, 0.5)) * (1 - 0.5 * wet)
    roughness = (1.0, 0.6, 1.9, 0.3)[kind] * rng.uniform(0.3, 1.15) * (1 - 0.5 * wet)
    return Surface((level * np.clip(tint, 0.4, 1.4)).astype(np.float32), float(roughness), wet)


def on_picture(camera: Camera, points: Array) -> npt.NDArray[np.int32] | None:
    """A ground polygon N×2 (metres) as pixels ×16 for cv2's `shift=4`, cut off at the lens; None when out of sight."""
    solid, depth = _lifted(camera, points)
    if depth.min() < 0:
        kept = []
        for i in range(len(solid)):
            j = (i + 1) % len(solid)
            if depth[i] > 0:
                kept.append(solid[i])
            if (depth[i] > 0) != (depth[j] > 0):
                kept.append(solid[i] + (solid[j] - solid[i]) * (depth[i] / (depth[i] - depth[j])))
        if len(kept) < 3:
            return None
        solid = np.array(kept)
    pixels = camera.project(solid)[0] - 0.5
    if pixels[:, 1].min() > camera.height or pixels[:, 0].min() > camera.width or pixels[:, 0].max() < 0:
        return None
    return _sixteenths(pixels)


def _lifted(camera: Camera, points: Array) -> tuple[Array, Array]:
    """Ground points …×2 as world points …×3, and their depth behind the nearest that is drawn."""
    solid = np.concatenate([points, np.zeros_like(points[..., :1])], axis=-1)
    return solid, (solid - (0, 0, camera.mount_m)) @ camera.rotation[2] - NEAREST_M


def _sixteenths(pixels: Array) -> npt.NDArray[np.int32]:
    return np.clip(pixels * 16, -(2**22), 2**22).round().astype(np.int32)


def fill(canvas: Image, camera: Camera, points: Array, colour: Image) -> None:
    """Fills a ground polygon, N×2 in metres, with an sRGB colour; `canvas` is uint8 H×W×3 BGR."""
    polygon = on_picture(camera, points)
    if polygon is not None:
        cv2.fillPoly(canvas, [polygon], [float(c) for c in colour], lineType=cv2.LINE_AA, shift=4)


def ribbon(canvas: Image, camera: Camera, line: Array, width: float, colour: Image) -> None:
    """Fills a band `width` metres wide along a ground line N×2, piece by piece."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    side = np.column_stack([along[:, 1], -along[:, 0]]) * width / 2
    left, right = line - side, line + side
    pieces = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    solid, depth = _lifted(camera, pieces)
    pixels = camera.project(solid)[0] - 0.5
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    seen = (high > 0).all(axis=1) & (low < (camera.width, camera.height)).all(axis=1) & (depth > 0).all(axis=1)
    if seen.any():
        shade = [float(c) for c in colour]
        cv2.fillPoly(canvas, list(_sixteenths(pixels[seen])), shade, lineType=cv2.LINE_AA, shift=4)
    for piece in pieces[(depth > 0).any(axis=1) & (depth < 0).any(axis=1)]:
        fill(canvas, camera, piece, colour)


def paint_ground(canvas: Image, camera: Camera, surface: Surface, light: Light, rng: np.random.Generator) -> None:
    """Paints the whole picture (uint8 H×W×3 BGR) with ground; what is above the horizon is to be painted over."""
    shine = light.on_ground
    canvas[:] = encode(surface.reflectance * shine)
    blend = canvas.copy()
    for _ in range(rng.integers(0, 5)):  # patches of other asphalt
        fill(blend, camera, _quad(rng, 14.0), encode(surface.reflectance * shine * rng.uniform(0.72, 1.25)))
    canvas[:] = cv2.addWeighted(canvas, 0.35, blend, 0.65, 0)
    if rng.random() < 0.15:  # a run-off area's paint, or a carpet
        paint = ((52, 110, 70), (40, 80, 160), (150, 50, 45), (225, 170, 40), (90, 150, 110))[rng.integers(0, 5)]
        fill(blend, camera, _quad(rng, 30.0), encode(linear(*paint) * shine * rng.uniform(0.5, 0.9)))
        canvas[:] = cv2.addWeighted(canvas, 0.3, blend, 0.7, 0)
    grass = _verges(canvas, camera, surface, light, rng)
    _marks(canvas, camera, surface, light, rng)
    if grass is not None and rng.random() < 0.3:
        _dandelions(canvas, camera, grass, light, rng)
    _grain(canvas, camera, surface, grass, rng)
    _sheen(canvas, camera, surface, light, rng)


def _quad(rng: np.random.Generator, size: float) -> Array:
    centre = np.array([rng.normal(0, 10), rng.uniform(1, 45)])
    turn = rng.uniform(0, np.pi)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    extent = rng.uniform(0.08, 1.0, 2) * size
    return np.asarray(centre + (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * extent / 2) @ axes)


def _verges(canvas: Image, camera: Camera, surface: Surface, light: Light, rng: np.random.Generator) -> Image | None:
    """Grass, gravel or concrete where the asphalt ends; returns where it is grass (255), or None."""
    mask = np.zeros(canvas.shape[:2], dtype=np.uint8)
    shine = light.on_ground
    if rng.random() < 0.3:
        return None
    for _ in range(rng.integers(1, 4)):
        turn = rng.uniform(-1.3, 1.3)
        normal = np.array([np.sin(turn), np.cos(turn)])
        along = np.array([normal[1], -normal[0]])
        distance = float(np.exp(rng.normal(np.log(24), 0.55)))
        at = np.linspace(-FARTHEST_M, FARTHEST_M, 60)
        edge = normal * distance + along * at[:, None] + normal * (textures.smooth(rng, 60, 12) * 1.5)[:, None]
        outer = np.array([edge[-1] + normal * FARTHEST_M, edge[0] + normal * FARTHEST_M])
        if rng.random() < 0.3:  # a concrete apron or gravel bed before the grass
            pale = np.array([0.9, 1.0, 1.05]) * rng.uniform(0.18, 0.36)
            fill(canvas, camera, np.concatenate([edge, outer]), encode(pale * shine))
            edge = edge + normal * rng.uniform(1, 8)
        if rng.random() < 0.25:
            _kerb(canvas, camera, edge, light, rng)
        green = linear(rng.uniform(70, 125), rng.uniform(95, 130), rng.uniform(38, 70))
        polygon = np.concatenate([edge, outer])
        fill(canvas, camera, polygon, encode(green * shine * rng.uniform(0.55, 0.9)))
        on_grass = on_picture(camera, polygon)
        if on_grass is not None:
            cv2.fillPoly(mask, [on_grass], 255, shift=4)
    return mask


def _dandelions(canvas: Image, camera: Camera, grass: Image, light: Light, rng: np.random.Generator) -> None:
    """Yellow, in some meadows white or blue, heads in patches on the grass."""
    colour = linear(*((250, 205, 30), (250, 205, 30), (235, 235, 225), (90, 110, 210))[rng.integers(0, 4)])
    shade = [float(c) for c in encode(colour * light.on_ground * 0.8)]
    for _ in range(rng.integers(2, 9)):
        middle = np.array([rng.normal(0, 14), rng.uniform(5, 45)])
        heads = middle + rng.normal(0, rng.uniform(0.4, 3.0), (int(rng.integers(15, 90)), 2))
        pixels, depth = camera.project(np.column_stack([heads, np.full(len(heads), 0.1)]))
        for (x, y), away in zip(pixels, depth, strict=True):
            if away < 2 or not (0 <= x < camera.width and 0 <= y < camera.height) or not grass[int(y), int(x)]:
                continue
            radius = camera.focal_px * 0.02 / away
            cv2.circle(canvas, (int(x * 16), int(y * 16)), int(max(radius, 0.4) * 16), shade, -1, cv2.LINE_AA, 4)


def _kerb(canvas: Image, camera: Camera, edge: Array, light: Light, rng: np.random.Generator) -> None:
    """Blocks of red or blue and white along an edge."""
    colours = [linear(225, 225, 225), linear(*((190, 35, 30), (30, 60, 150), (40, 40, 40))[rng.integers(0, 3)])]
    middle = len(edge) // 2
    piece = edge[middle - 4 : middle + 4]
    fine = np.column_stack([np.interp(np.arange(0, 8, 0.14), np.arange(8), piece[:, i]) for i in (0, 1)])
    for i in range(len(fine) - 1):
        ribbon(canvas, camera, fine[i : i + 2], 0.7, encode(colours[i % 2] * light.on_ground * 0.8))


def _line(rng: np.random.Generator, bend: float) -> Array:
    """A long, more or less straight ground line N×2 through the view."""
    heading = rng.normal(0, 0.5) if rng.random() < 0.7 else rng.uniform(-np.pi, np.pi)
    start = np.array([rng.normal(0, 7), rng.uniform(0, 30)])
    turns = heading + np.cumsum(np.full(70, rng.normal(0, bend)))
    steps = np.column_stack([np.sin(turns), np.cos(turns)]) * 0.9
    return np.asarray(start - steps[:20].sum(axis=0) + np.cumsum(steps, axis=0))


def _marks(canvas: Image, camera: Camera, surface: Surface, light: Light, rng: np.random.Generator) -> None:
    """Tyre marks, tar seams, painted lines, chalk."""
    shine = light.on_ground
    dark = encode(surface.reflectance * shine * 0.35)
    blend = canvas.copy()
    for _ in range(rng.integers(0, 6)):
        line = _line(rng, 0.025)
        gauge = rng.uniform(1.1, 1.3)
        for shift in (-gauge / 2, gauge / 2)[: int(rng.integers(1, 3))]:
            track = line[int(rng.integers(0, 30)) :] + np.array([shift, 0.0])
            ribbon(blend, camera, track, rng.uniform(0.12, 0.24), dark)
    canvas[:] = cv2.addWeighted(blend, (weight := rng.uniform(0.1, 0.5)), canvas, 1 - weight, 0)
    for _ in range(rng.integers(0, 4)):
        line = _line(rng, 0.004)
        line += rng.normal(0, 0.03, line.shape)
        ribbon(canvas, camera, line, rng.uniform(0.015, 0.06), dark if rng.random() < 0.8 else encode(shine * 0.2))
    blend = canvas.copy()
    for _ in range(rng.integers(0, 5)):
        hue = rng.random()
        paint = linear(222, 222, 218) if hue < 0.66 else linear(232, 190, 60) if hue < 0.85 else linear(205, 225, 90)
        width = rng.uniform(0.03, 0.05) if hue > 0.85 else rng.uniform(0.08, 0.22)
        ribbon(blend, camera, _line(rng, 0.02 if rng.random() < 0.3 else 0.0), width, encode(paint * shine * 0.75))
    canvas[:] = cv2.addWeighted(blend, (weight := rng.uniform(0.3, 0.95)), canvas, 1 - weight, 0)


def chalk_round(canvas: Image, camera: Camera, x: float, y: float, yaw: float, light: Light, hue: float) -> None:
    """The outline that marshals spray round a cone at (x, y), metres, to find its place; `canvas` is uint8 H×W×3."""
    ring = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]) * 0.17
    turn = np.array([[np.cos(yaw), np.sin(yaw)], [-np.sin(yaw), np.cos(yaw)]])
    colour = linear(190, 225, 80) if hue < 0.5 else linear(225, 225, 225) if hue < 0.8 else linear(235, 90, 110)
    corners = ring @ turn + (x, y)
    for i in range(4):
        ribbon(canvas, camera, corners[i : i + 2], 0.025, encode(colour * light.on_ground * 0.7))


def _rows(camera: Camera) -> Array:
    """H: distance of the ground in each row of the middle column, metres; far above the horizon."""
    below = np.arange(camera.height) + 0.5 - camera.horizon
    return np.where(below > 0.5, camera.focal_px * camera.mount_m / np.maximum(below, 0.5), FARTHEST_M)


def _grain(canvas: Image, camera: Camera, surface: Surface, grass: Image | None, rng: np.random.Generator) -> None:
    """Multiplies the canvas by textures in perspective; a texture fades where a pixel covers more than its texels."""
    slope = abs(np.tan(camera.roll)) * camera.width / 2
    top = int(np.clip(camera.horizon - slope - 1, 0, camera.height))
    if camera.height - top < 8:
        return
    distance = _rows(camera)[top:]
    footprint = np.maximum(distance**2 / (camera.focal_px * camera.mount_m), distance / camera.focal_px)
    total = np.full((camera.height - top, camera.width), 128, dtype=np.float32)
    rough = surface.roughness
    # bank, texel in metres, strength, pixels a sample, on grass
    layers = [
        (textures.grain(), 0.006, 0.45 * rough, 1, False),
        (textures.blotches(), 0.03, 0.2 * rough, 2, False),
        (textures.blotches(), 0.5, 0.4, 4, False),
    ]
    if grass is not None and grass.any():
        layers += [(textures.leaves(), 0.03, 0.7, 1, True), (textures.leaves(), 0.5, 0.45, 2, True)]
    for bank, texel, strength, step, on_grass in layers:
        fade = strength / (1 + (footprint / ((8 if on_grass else 2.5) * texel)) ** 2)
        if fade.max() < 0.02:
            continue
        turn = rng.uniform(0, np.pi)
        cos_t, sin_t = np.cos(turn) * texel, np.sin(turn) * texel
        shift = rng.uniform(-30, 30, 2)
        to_ground = np.array([[cos_t, -sin_t, shift[0]], [sin_t, cos_t, shift[1]], [0, 0, 1.0]])
        to_part = np.array([[1 / step, 0, 0], [0, 1 / step, -top / step], [0, 0, 1.0]])
        size = (-(-camera.width // step), -(-len(distance) // step))
        matrix = to_part @ camera.ground_homography() @ to_ground
        warped = cv2.warpPerspective(bank, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        if step > 1:
            warped = cv2.resize(warped, (camera.width, len(distance)), interpolation=cv2.INTER_LINEAR)
        change = (warped.astype(np.float32) - 128) * fade.astype(np.float32)[:, None]
        total += change * (grass[top:].astype(np.float32) / 255) if on_grass and grass is not None else change
    factor = np.clip(total, 30, 255).astype(np.uint8)
    canvas[top:] = cv2.multiply(canvas[top:], cv2.merge([factor, factor, factor]), scale=1 / 128)


def _sheen(canvas: Image, camera: Camera, surface: Surface, light: Light, rng: np.random.Generator) -> None:
    """Seen at a flat angle the ground mirrors the sky: strongly when wet, or towards a low sun; haze adds to it."""
    ahead = max(float(light.direction[1]), 0.0) * (1 - light.softness) * (1 - float(light.direction[2]))
    distance = _rows(camera)
    flat = distance / np.hypot(distance, camera.mount_m)
    mirror = flat**6 * (0.1 + 0.55 * surface.wet + 0.3 * ahead * rng.random())
    mirror += 0.12 * rng.random() * np.clip(distance / 150, 0, 1)
    level = float(rng.uniform(0.35, 0.8))
    sky = np.clip(255 * level * (light.sky + light.on_ground * 0.3) / max(float(light.on_ground.max()), 1e-6), 0, 255)
    weight = np.clip(mirror, 0, 0.85).astype(np.float32)[:, None, None]
    if float(weight.max()) > 0.01:
        canvas[:] = (canvas * (1 - weight) + sky.astype(np.float32) * weight).astype(np.uint8)
