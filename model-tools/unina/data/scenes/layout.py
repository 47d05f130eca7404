"""Where camera and cones stand, so that the boxes are distributed as real ones (real_boxes.py).

Importance sampling: a picture begins with one cone, the anchor, whose height and place in the picture are drawn from a
distribution like the real one; camera and track are then moved so that a cone of the track stands there. The others
follow by perspective. The constants were fitted by a random search over geometry alone (no pixel).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes import props
from unina.data.scenes.camera import NEAR_M, Camera
from unina.data.scenes.cones import Cone
from unina.data.scenes.own_car import NOTHING, OwnCar, sample_own_car
from unina.data.scenes.track import scattered_cones, track_cones

Array = npt.NDArray[np.float64]
NEGATIVE_SHARE = 0.08
BLOCKED_SHARE = 0.14
"""of the pictures with cones: something stands before one of them"""
OWN_CAR_SHARE = 0.4
"""of the pictures taken at the height of a car"""
MIN_HEIGHT_PX = 3.0
FARTHEST = 0.0105
"""Height of the smallest cones that are put up, relative to the picture's: people label few below it (their 1st
percentile is 0.0113), and a cone without label would teach the detector to overlook cones."""
MIN_VISIBLE = 0.35
"""Share of a cone's silhouette that must be seen for a label."""


@dataclass(frozen=True)
class Fit:
    """The fitted constants. Heights and rows are relative to the picture's height."""

    anchor_median: float = 0.0587
    anchor_sigma: float = 0.4
    anchor_tail: float = 0.7
    """share of anchors drawn from the tail of near cones"""
    tail_median: float = 0.26
    tail_sigma: float = 0.97
    count_median: float = 6.8
    count_sigma: float = 0.78
    mount_median: float = 0.45
    mount_sigma: float = 0.34
    horizon_mean: float = 0.419
    horizon_sigma: float = 0.066
    high_share: float = 0.3
    """share of pictures taken from a stand, a roof or a raised arm"""
    high_low: float = -0.21
    high_high: float = 0.285
    """range of their horizon"""
    high_mount_median: float = 2.63


FIT = Fit()


@dataclass(frozen=True, eq=False)
class Layout:
    """Geometry of one picture. Row i of `boxes` and `classes` belongs to `cones[labelled[i]]`."""

    camera: Camera
    own_car: OwnCar
    """stands before everything"""
    blockers: tuple[props.Prop, ...]
    """things that stand before cones; painted with the cones, by distance"""
    cones: tuple[Cone, ...]
    """all that are painted, nearest first"""
    outlines: npt.NDArray[np.float64]
    """M×4, the whole silhouettes of `cones`, pixels, not clipped"""
    labelled: tuple[int, ...]
    boxes: npt.NDArray[np.float64]
    """N×4 (x0, y0, x1, y1), pixels, clipped to the picture"""
    classes: npt.NDArray[np.int64]

    def would_hide(self, box: Array, distance: float) -> bool:
        """Whether a thing in `box` (x0, y0, x1, y1 in pixels), `distance` metres away, would cover a cone behind it."""
        apart = (self.outlines[:, :2] > box[2:]).any(axis=1) | (self.outlines[:, 2:] < box[:2]).any(axis=1)
        behind = np.array([np.hypot(cone.x, cone.y) > distance - 0.5 for cone in self.cones], dtype=bool)
        return bool((~apart & behind).any())


def sample_layout(rng: np.random.Generator, width: int, height: int, fit: Fit = FIT) -> Layout:
    """Draws a camera and what it sees; pictures of NEGATIVE_SHARE hold no cone.

    Raises RuntimeError where `fit` puts the cones out of sight.
    """
    for _ in range(50):
        high = rng.random() < fit.high_share
        camera, anchor = _camera_and_anchor(rng, width, height, high, fit)
        car = sample_own_car(rng, width, height) if not high and rng.random() < OWN_CAR_SHARE else NOTHING
        if rng.random() < NEGATIVE_SHARE:
            return finish(camera, car, [])
        scattered = rng.random() < 0.22
        source = scattered_cones(rng) if scattered else track_cones(rng)
        cones = _placed(rng, source, anchor, _turn(rng, camera, anchor, scattered))
        wanted = round(float(np.clip(rng.lognormal(np.log(fit.count_median), fit.count_sigma), 1, 45)))
        cones = _run(camera, cones, anchor, wanted, rng)
        layout = finish(camera, car, cones)
        if len(layout.boxes) and rng.random() < BLOCKED_SHARE:
            partly = finish(camera, car, cones, _blocker(rng, layout))
            layout = partly if len(partly.boxes) else layout
        if len(layout.boxes):
            return layout
    raise RuntimeError("no layout with a visible cone in 50 draws: the constants of Fit are out of range")


def _blocker(rng: np.random.Generator, layout: Layout) -> tuple[props.Prop, ...]:
    """A person, a car, a barrel, a tyre stack before one of the labelled cones, to the side of its middle."""
    tiles = props.bank()
    tile = tiles[int(rng.integers(0, len(tiles)))]
    index = layout.labelled[int(rng.integers(0, len(layout.labelled)))]
    cone = layout.cones[index]
    share = rng.uniform(0.55, 0.95)
    x, y = cone.x * share, cone.y * share
    box = props.prop_box(layout.camera, tile, x, y)
    if y < 1.0 or box[3] - box[1] > 1.2 * layout.camera.height:
        return ()
    half = tile.height_m * tile.pixels.shape[1] / tile.pixels.shape[0] / 2
    side = rng.choice([-1.0, 1.0]) * (half + rng.uniform(-0.12, 0.1) * share)
    return (props.Prop(tile, float(x + side), float(y), bool(rng.random() < 0.5)),)


def _camera_and_anchor(rng: np.random.Generator, width: int, height: int, high: bool, fit: Fit) -> tuple[Camera, Array]:
    """A camera, and a place on the ground whose cone has the height and row that the fit asks for."""
    tail = rng.random() < fit.anchor_tail
    median, sigma = (fit.tail_median, fit.tail_sigma) if tail else (fit.anchor_median, fit.anchor_sigma)
    size = float(np.clip(rng.lognormal(np.log(median), sigma), 0.012, 0.75))
    focal = width * float(np.clip(rng.lognormal(np.log(1.3 if high else 0.8), 0.45 if high else 0.3), 0.42, 5.0))
    depth = max(focal * 0.325 / (size * height), 0.8)
    column = rng.uniform(0.06, 0.94)
    for _ in range(40):
        if high:
            mount = float(np.clip(rng.lognormal(np.log(fit.high_mount_median), 0.5), 0.9, 9.0))
            horizon = rng.uniform(fit.high_low, fit.high_high)
        else:
            mount = float(np.clip(rng.lognormal(np.log(fit.mount_median), fit.mount_sigma), 0.3, 1.8))
            horizon = rng.normal(fit.horizon_mean, fit.horizon_sigma)
        row = horizon + (mount - 0.16) * size / 0.325
        if 0.03 < row < 0.93:
            break
    pitch = float(np.arctan((0.5 - horizon) * height / focal))
    camera = Camera(width, height, focal, mount, pitch, float(rng.normal(0.0, 0.018)))
    x = (column - 0.5) * width * depth / focal
    return camera, np.array([x, depth])


def _turn(rng: np.random.Generator, camera: Camera, anchor: Array, scattered: bool) -> float:
    """Anticlockwise turn of the track that leads it on into the picture; of scattered cones any."""
    if scattered or rng.random() < 0.1:
        return float(rng.uniform(-np.pi, np.pi))
    ahead = float(rng.uniform(6, 30))
    depth = anchor[1] + ahead
    aside = rng.uniform(-0.4, 0.4) * camera.width / camera.focal_px * depth - anchor[0]
    return float(-np.arctan2(aside, ahead))


def _placed(rng: np.random.Generator, source: list[Cone], anchor: Array, turn: float) -> list[Cone]:
    """The cones turned by `turn` and moved so that one of the first of them stands on `anchor`."""
    sin_t, cos_t = np.sin(turn), np.cos(turn)
    chosen = source[int(rng.integers(0, max(1, len(source) // 4)))]
    moved = []
    for cone in source:
        dx, dy = cone.x - chosen.x, cone.y - chosen.y
        x, y = anchor[0] + cos_t * dx - sin_t * dy, anchor[1] + sin_t * dx + cos_t * dy
        moved.append(Cone(cone.kind, float(x), float(y), cone.yaw + turn, cone.fallen))
    return moved


def _run(camera: Camera, cones: list[Cone], anchor: Array, wanted: int, rng: np.random.Generator) -> list[Cone]:
    """At most `wanted` cones in view, the anchor's neighbours in depth first; those out of view go."""
    seen: list[Cone] = []
    for cone in sorted(cones, key=lambda c: c.y):
        reach = cone.shape.base / 2
        if any(np.hypot(cone.x - c.x, cone.y - c.y) < reach + c.shape.base / 2 for c in seen):
            continue  # two solids can't stand in one place
        box = silhouette_box(camera, cone)
        if box is not None and box[3] - box[1] > FARTHEST * camera.height and _inside(box, camera) > 0.3:
            seen.append(cone)
    if not seen:
        return []
    first = min(range(len(seen)), key=lambda i: np.hypot(seen[i].x - anchor[0], seen[i].y - anchor[1]))
    first = max(0, min(first - int(rng.integers(0, 1 + wanted // 3)), len(seen) - wanted))
    return seen[first : first + wanted]


def silhouette_box(camera: Camera, cone: Cone) -> Array | None:
    """(x0, y0, x1, y1) of the whole cone in pixels, not clipped; None when it is behind the lens."""
    pixels, depth = camera.project(np.concatenate(cone.outline()))
    if depth.min() < NEAR_M:
        return None
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def _inside(box: Array, camera: Camera) -> float:
    """Share of a box that lies inside the picture."""
    width = min(box[2], camera.width) - max(box[0], 0)
    height = min(box[3], camera.height) - max(box[1], 0)
    return float(max(width, 0) * max(height, 0) / ((box[2] - box[0]) * (box[3] - box[1])))


def finish(camera: Camera, own_car: OwnCar, cones: list[Cone], blockers: tuple[props.Prop, ...] = ()) -> Layout:
    """Labels what is seen: silhouettes are filled nearest first, so each pixel belongs to the cone that shows there."""
    owner = np.zeros((camera.height, camera.width), dtype=np.uint8)
    for polygon in own_car.polygons:
        cv2.fillPoly(owner, [polygon], 255)
    painted, outlines, labelled, boxes = [], [], [], []
    waiting = sorted(blockers, key=lambda b: -np.hypot(b.x, b.y))
    for cone in sorted(cones, key=lambda c: np.hypot(c.x, c.y)):
        while waiting and np.hypot(waiting[-1].x, waiting[-1].y) < np.hypot(cone.x, cone.y):
            _cover(owner, camera, waiting.pop())
        full = silhouette_box(camera, cone)
        if full is None:
            continue
        painted.append(cone)
        outlines.append(full)
        visible, box = _claim(owner, camera, cone, full, len(painted))
        if visible < MIN_VISIBLE or box[3] - box[1] < MIN_HEIGHT_PX or box[2] - box[0] < 1.5:
            continue
        labelled.append(len(painted) - 1)
        boxes.append(box)
    classes = np.array([painted[i].kind for i in labelled], dtype=np.int64)
    whole, seen = (np.array(rows, dtype=np.float64).reshape(-1, 4) for rows in (outlines, boxes))
    return Layout(camera, own_car, blockers, tuple(painted), whole, tuple(labelled), seen, classes)


def _cover(owner: npt.NDArray[np.uint8], camera: Camera, prop: props.Prop) -> None:
    """Takes the pixels of a standing thing."""
    stood = props.stood(camera, prop)
    if stood is not None:
        place, _, cover = stood
        owner[place][cover > 127] = 255


def _claim(owner: npt.NDArray[np.uint8], camera: Camera, cone: Cone, full: Array, number: int) -> tuple[float, Array]:
    """Fills the free pixels of a silhouette; returns the share of it that is seen and the box of that part."""
    x0, y0 = np.floor(full[:2]).astype(int)
    x1, y1 = np.ceil(full[2:]).astype(int)
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, camera.width), min(y1, camera.height)
    clipped = np.array([max(full[0], 0), max(full[1], 0), min(full[2], camera.width), min(full[3], camera.height)])
    if right <= left or bottom <= top:
        return 0.0, clipped
    mask = np.zeros((y1 - y0, x1 - x0), dtype=np.uint8)
    for part in cone.outline():
        hull = cv2.convexHull(((camera.project(part)[0] - (x0, y0) - 0.5) * 16).round().astype(np.int32))
        cv2.fillConvexPoly(mask, hull, 1, shift=4)
    shown = mask[top - y0 : bottom - y0, left - x0 : right - x0]
    free = shown & (owner[top:bottom, left:right] == 0)
    owner[top:bottom, left:right][shown > 0] = number % 255
    total, seen = int(mask.sum()), int(free.sum())
    if not seen:
        return 0.0, clipped
    if seen == int(shown.sum()):  # nothing before it: the projected outline is exact
        return seen / total, clipped
    rows, columns = np.flatnonzero(free.any(axis=1)), np.flatnonzero(free.any(axis=0))
    part = np.array([left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1])
    return seen / total, np.concatenate([np.maximum(part[:2], clipped[:2]), np.minimum(part[2:], clipped[2:])])
