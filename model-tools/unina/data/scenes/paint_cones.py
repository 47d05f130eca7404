"""Cones, ray by ray: each sample of a patch is intersected with the plate and the truncated cone and shaded there."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes.camera import NEAR_M, Camera
from unina.data.scenes.colour import encode, linear
from unina.data.scenes.cones import BLUE, LARGE_ORANGE, YELLOW, Cone, Shape
from unina.data.scenes.light import Light

Array = npt.NDArray[np.float32]
Image = npt.NDArray[np.uint8]
BODY, PLATE, CAP, UNDERSIDE = range(1, 5)


BATCH = 5
"""Normal numbers that the cones of one picture share."""
BLUES = ((38, 62, 212), (30, 106, 226), (66, 146, 240))
YELLOWS = ((236, 214, 42), (254, 208, 40), (255, 186, 58))
ORANGES = ((206, 34, 62), (250, 66, 58), (255, 110, 46))
"""sRGB of body plastic, seen on photographs: from one end of the makes over the common one to the other."""


@dataclass(frozen=True, eq=False)
class Hits:
    """Where the rays of a patch meet a cone; rays that miss have part 0."""

    part: npt.NDArray[np.uint8]
    """h×w"""
    height: Array
    """h×w, along the cone's axis as a share of its height"""
    angle: Array
    """h×w, around the axis, radians; of the body only"""
    normal: Array
    """h×w×3, world"""


@dataclass(frozen=True, eq=False)
class Look:
    """Colours (linear BGR reflectance) and wear of one cone."""

    body: Array
    stripe: Array
    stripes: tuple[tuple[float, float], ...]
    dirt: float
    gloss: float
    lettered: float
    """angle of the letters on the stripe, radians; NaN for none"""


def sample_look(rng: np.random.Generator, kind: int, shape: Shape, batch: Array) -> Look:
    """Colours are fitted to photographs: hue, and brightness relative to the asphalt beside the cone.

    `batch` (BATCH normal numbers) is shared by a picture's cones: one make, one age. Fluorescent plastic gives back
    more light in its own colour than falls on it: factors above 1.
    """
    hue, fade, grime, make, foil = batch
    own = rng.normal(0, 1, 3)
    if kind == BLUE:
        body = _between(BLUES, make) + linear(0, 0, 60) * 0.2 * own[0]
        body = np.clip(body, 0.004, 1) * (1.08 + 0.08 * hue)
    elif kind == YELLOW:
        body = _between(YELLOWS, make + 0.2 * own[0]) * (1.12 + 0.05 * hue)
    else:
        body = _between(ORANGES, make + 0.25 * own[0]) * (1.38 + 0.1 * hue)
    pale = float(np.clip(0.05 + 0.05 * fade + 0.02 * own[1], 0, 0.22))  # plastic bleaches
    body = body * (1 - pale) + pale * 0.6
    # Reflecting foil throws light back to its source: lit by anything but the camera's own lamp it may look grey.
    # On photographs the stripe of orange cones is, in the median, no brighter than the asphalt; blue ones' is by 1.3.
    middle, spread = (0.84, 0.1) if kind == BLUE else (0.62, 0.2)
    white = float(np.clip(middle + spread * foil + 0.05 * own[2], 0.24, 0.94))
    stripe = np.full(3, 0.022 + 0.01 * abs(own[2]) if kind == YELLOW else white)
    shift = rng.normal(0, 0.012)
    stripes = tuple((low + shift, high + shift) for low, high in shape.stripes)
    if kind == LARGE_ORANGE and rng.random() < 0.04:
        stripes = stripes[1:]  # one has peeled off
    elif rng.random() < 0.02:
        stripes = ()
    lettered = rng.uniform(-np.pi, np.pi) if rng.random() < 0.6 else float("nan")
    dirt = float(np.clip(0.12 + 0.1 * grime + 0.05 * own[0], 0.0, 0.5))
    return Look(body.astype(np.float32), stripe.astype(np.float32), stripes, dirt, rng.uniform(0, 0.25), lettered)


def _between(colours: tuple[tuple[int, int, int], ...], make: float) -> Array:
    """Linear BGR; −1.5 … 1.5 runs from the first to the last colour."""
    at = float(np.clip(make / 1.5, -1, 1)) + 1
    first = min(int(at), 1)
    return np.asarray(
        linear(*colours[first]) * (first + 1 - at) + linear(*colours[first + 1]) * (at - first), dtype=np.float32
    )


def cast(camera: Camera, cone: Cone, pixels: npt.NDArray[np.float64]) -> Hits:
    """Rays through pixels h×w×2 against one cone."""
    rotation, position = cone.pose
    shape = cone.shape
    origin = (np.array([0, 0, camera.mount_m]) - position) @ rotation
    rays = (camera.rays(pixels) @ rotation).astype(np.float32)
    dx, dy, dz = rays[..., 0], rays[..., 1], rays[..., 2]
    ox, oy, oz = (float(value) for value in origin)
    far = np.float32(1e9)
    small = np.float32(1e-9)
    dz = np.where(np.abs(dz) < small, small, dz)

    # The body: x² + y² = (k − taper·t·dz)², between plate and tip.
    taper = (shape.foot - shape.tip) / (shape.height - shape.plate)
    k = shape.foot - taper * (oz - shape.plate)
    a = dx * dx + dy * dy - (taper * dz) ** 2
    a = np.where(np.abs(a) < small, small, a)
    half_b = ox * dx + oy * dy + k * taper * dz
    discriminant = half_b * half_b - a * (ox * ox + oy * oy - k * k)
    root = np.sqrt(np.maximum(discriminant, 0))
    body = np.full(a.shape, far, dtype=np.float32)
    for t in ((-half_b - root) / a, (-half_b + root) / a):
        z = oz + t * dz
        good = (discriminant >= 0) & (t > 0) & (z >= shape.plate) & (z <= shape.height)
        body = np.where(good & (t < body), t, body)

    cap = (shape.height - oz) / dz
    cap = np.where((cap > 0) & ((ox + cap * dx) ** 2 + (oy + cap * dy) ** 2 <= shape.tip**2), cap, far)

    # The plate: where the ray is inside of all pairs of parallel planes.
    enter = np.zeros(a.shape, dtype=np.float32)
    leave = np.full(a.shape, far, dtype=np.float32)
    axis = np.zeros(a.shape, dtype=np.uint8)
    half = shape.base / 2
    cut = half * 1.8
    slabs = (
        (ox, dx, -half, half),
        (oy, dy, -half, half),
        (oz, dz, 0.0, shape.plate),
        (ox + oy, dx + dy, -cut, cut),
        (ox - oy, dx - dy, -cut, cut),
    )
    for index, (start, direction, low, high) in enumerate(slabs):
        speed = np.where(np.abs(direction) < small, small, direction)
        t0, t1 = (low - start) / speed, (high - start) / speed
        first = np.minimum(t0, t1)
        axis = np.where(first > enter, np.uint8(index), axis)
        enter = np.maximum(enter, first)
        leave = np.minimum(leave, np.maximum(t0, t1))
    plate = np.where((enter <= leave) & (leave > 0), enter, far)

    nearest = np.minimum(np.minimum(body, cap), plate)
    part = np.where(nearest == body, BODY, np.where(nearest == cap, CAP, PLATE)).astype(np.uint8)
    part[nearest >= far] = 0
    x, y, z = ox + nearest * dx, oy + nearest * dy, oz + nearest * dz
    normal = np.zeros((*a.shape, 3), dtype=np.float32)
    radius = np.sqrt(np.maximum(x * x + y * y, small))
    slope = np.float32(1 / np.sqrt(1 + taper * taper))
    on_body = part == BODY
    normal[..., 0] = np.where(on_body, x / radius * slope, 0)
    normal[..., 1] = np.where(on_body, y / radius * slope, 0)
    normal[..., 2] = np.where(on_body, taper * slope, np.where(part == CAP, 1, 0))
    diagonal = np.sqrt(0.5)
    slab_normals = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (diagonal, diagonal, 0), (diagonal, -diagonal, 0)])
    on_plate = part == PLATE
    facing = slab_normals[axis[on_plate]]
    facing *= -np.sign((facing * rays[on_plate]).sum(axis=-1, keepdims=True))
    normal[on_plate] = facing
    part[on_plate & (normal[..., 2] < -0.5) & (radius < shape.foot)] = UNDERSIDE  # the body is hollow
    height = np.where(part > 0, z / shape.height, 0).astype(np.float32)
    return Hits(part, height, np.arctan2(y, x).astype(np.float32), (normal @ rotation.T).astype(np.float32))


def paint_cone(canvas: Image, camera: Camera, cone: Cone, look: Look, light: Light) -> None:
    """Paints one cone onto the picture (uint8 H×W×3 BGR, in place), antialiased by supersampling."""
    pixels, depth = camera.project(np.concatenate(cone.outline()))
    if depth.min() < NEAR_M:
        return
    left, top = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 1, 0)
    right, bottom = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 1, (camera.width, camera.height))
    if right <= left or bottom <= top:
        return
    size = float(np.ptp(pixels[:, 1]))
    samples = 5 if size < 20 else 4 if size < 45 else 3 if size < 110 else 2
    u = left + (np.arange((right - left) * samples) + 0.5) / samples
    v = top + (np.arange((bottom - top) * samples) + 0.5) / samples
    hits = cast(camera, cone, np.stack(np.meshgrid(u, v), axis=-1))
    colour = np.clip(_shaded(hits, look, light, camera, cone), 0, 1)
    alpha = (hits.part > 0).astype(np.float32)
    colour *= alpha[..., None]
    shape = (right - left, bottom - top)
    small = np.asarray(cv2.resize(colour, shape, interpolation=cv2.INTER_AREA))
    cover = np.asarray(cv2.resize(alpha, shape, interpolation=cv2.INTER_AREA))[..., None]
    opaque = encode(small / np.maximum(cover, 1e-6)).astype(np.float32)
    under = canvas[top:bottom, left:right]
    under[:] = (under + (opaque - under) * cover + 0.5).astype(np.uint8)


def _shaded(hits: Hits, look: Look, light: Light, camera: Camera, cone: Cone) -> Array:
    """Linear BGR h×w×3 of what the rays hit."""
    albedo = np.broadcast_to(look.body, (*hits.part.shape, 3)).copy()
    on_body = hits.part == BODY
    for low, high in look.stripes:
        band = on_body & (hits.height > low) & (hits.height < high)
        albedo[band] = look.stripe
        if not np.isnan(look.lettered):  # four upright bars: what "FSG" is at a distance
            turn = (hits.angle - look.lettered + np.pi) % (2 * np.pi) - np.pi
            middle = np.abs(hits.height - (low + high) / 2) < (high - low) * 0.24
            inked = band & middle & (np.abs(turn) < 0.8) & (np.sin(turn * 14.0) > 0.1)
            albedo[inked] = 0.5 if look.stripe[0] < 0.3 else 0.06
    albedo[hits.part == CAP] *= 0.25
    albedo[hits.part == UNDERSIDE] *= 0.1
    # Dirt gathers at the foot; plate and foot see less sky.
    grime = look.dirt * np.clip(1.1 - hits.height * 1.6, 0.15, 1.0)[..., None]
    albedo = albedo * (1 - grime) + grime * 0.08
    shade = light.shade(hits.normal)
    ambient = np.where(on_body, np.clip(0.72 + hits.height * 0.9, 0, 1), 1.0)[..., None]
    colour = albedo * shade * ambient
    if look.gloss > 0.02:
        to_eye = np.array([-cone.x, -cone.y, camera.mount_m - 0.15])
        half = to_eye / np.linalg.norm(to_eye) + light.direction
        shine = np.maximum(hits.normal @ (half / np.linalg.norm(half)).astype(np.float32), 0) ** 24 * on_body
        colour += (look.gloss * 0.35 * shine)[..., None] * light.sun.astype(np.float32)
    return np.asarray(colour, dtype=np.float32)
