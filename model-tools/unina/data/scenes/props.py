"""What else stands on an event site, drawn once a process on small tiles: people, tyres, tents, cars, poles, boards.

Many wear the cones' colours on purpose (vests, barrels, banners, banded poles): a detector must not fall for them.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes.camera import Camera

Image = npt.NDArray[np.uint8]
TILE_PX = 192
"""height of a tile"""
LOUD = ((235, 90, 30), (250, 210, 30), (30, 90, 200), (215, 35, 40), (200, 230, 40), (250, 120, 30))
QUIET = ((40, 42, 46), (90, 92, 95), (225, 225, 225), (60, 70, 90), (120, 110, 95), (30, 60, 50), (160, 30, 35))
SKIN = ((225, 180, 150), (190, 140, 105), (120, 80, 60))


@dataclass(frozen=True, eq=False)
class Tile:
    """A flat picture of a thing that stands on the ground."""

    pixels: Image
    """TILE_PX×w×3 BGR, reflectance as sRGB codes"""
    cover: Image
    """TILE_PX×w, 0…255"""
    height_m: float


@cache
def bank() -> tuple[Tile, ...]:
    """All tiles; each kind several times, in different clothes."""
    rng = np.random.default_rng(201)
    kinds = (
        *(_person,) * 24, *(_tyres,) * 8, *(_pole,) * 8, *(_barrel,) * 6, *(_tent,) * 5, *(_van,) * 5,
        *(_race_car,) * 14, *(_race_car_ahead,) * 12, *(_board,) * 8, *(_bush,) * 4, *(_barrier,) * 6,
        *(_extinguisher,) * 4, *(_flag,) * 5, *(_tape,) * 5, *(_box,) * 6,
    )  # fmt: skip
    return tuple(kind(rng) for kind in kinds)


@dataclass(frozen=True, eq=False)
class Prop:
    """A tile on the ground, metres."""

    tile: Tile
    x: float
    y: float
    mirrored: bool


def prop_box(camera: Camera, tile: Tile, x: float, y: float) -> npt.NDArray[np.float64]:
    """(x0, y0, x1, y1) of a tile that stands at (x, y), pixels."""
    pixels, _ = camera.project(np.array([(x, y, 0.0), (x, y, tile.height_m)]))
    (foot_x, foot_y), (_, head_y) = pixels
    half = (foot_y - head_y) * tile.pixels.shape[1] / tile.pixels.shape[0] / 2
    return np.array([foot_x - half, head_y, foot_x + half, foot_y])


def stood(camera: Camera, prop: Prop) -> tuple[tuple[slice, slice], Image, Image] | None:
    """Where a prop lies in the picture (rows, columns), its h×w×3 reflectances and its h×w cover there; None unseen."""
    box = prop_box(camera, prop.tile, prop.x, prop.y)
    width, height = round(box[2] - box[0]), round(box[3] - box[1])
    left, top = round(box[0]), round(box[1])
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + width, camera.width), min(top + height, camera.height)
    if width < 1 or height < 2 or width > 4 * camera.width or x1 <= x0 or y1 <= y0:
        return None
    inside = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    parts = []
    for part in (prop.tile.pixels, prop.tile.cover):
        whole = np.ascontiguousarray(part[:, ::-1]) if prop.mirrored else part
        parts.append(np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint8))
    return (slice(y0, y1), slice(x0, x1)), parts[0][inside], parts[1][inside]


@cache
def stands() -> tuple[Image, ...]:
    """96×480×3 BGR tiles of spectators in rows, some behind a rail."""
    rng = np.random.default_rng(203)
    tiles = []
    for _ in range(8):
        tile = np.full((96, 480, 3), rng.integers(50, 120), dtype=np.uint8)
        for row in range(10, 96, int(rng.integers(10, 18))):
            for column in range(0, 480, int(rng.integers(5, 9))):
                if rng.random() < 0.25:
                    continue
                x, y = column + int(rng.integers(-2, 3)), row + int(rng.integers(-2, 3))
                colour = _pick(rng, LOUD if rng.random() < 0.2 else QUIET)[::-1]
                cv2.rectangle(tile, (x - 2, y), (x + 3, y + 8), colour, -1)
                cv2.circle(tile, (x, y - 2), 2, _pick(rng, SKIN)[::-1], -1)
        if rng.random() < 0.6:
            cv2.rectangle(tile, (0, 84), (480, 96), _pick(rng, LOUD + QUIET)[::-1], -1)
        tiles.append(np.asarray(cv2.GaussianBlur(tile, (0, 0), 1.2), dtype=np.uint8))
    return tuple(tiles)


@cache
def banners() -> tuple[Image, ...]:
    """48×w×3 BGR tiles of sponsors' banners and barriers, with letters that mean nothing."""
    rng = np.random.default_rng(202)
    tiles = []
    for _ in range(28):
        width = int(rng.integers(160, 420))
        tile = np.full((48, width, 3), _pick(rng, LOUD if rng.random() < 0.5 else QUIET)[::-1], dtype=np.uint8)
        ink = (255, 255, 255) if tile.mean() < 140 else tuple(int(c) for c in rng.integers(0, 120, 3))
        word = "".join(rng.choice(list("AEIKLMNORSTUVX"), int(rng.integers(3, 9))))
        cv2.putText(tile, word, (12, 36), int(rng.integers(0, 5)), float(rng.uniform(0.9, 1.4)), ink, 3, cv2.LINE_AA)
        if rng.random() < 0.4:
            cv2.rectangle(tile, (0, 40), (width, 48), _pick(rng, LOUD)[::-1], -1)
        tiles.append(tile)
    for _ in range(16):  # tyre walls, many under a green cover
        covers = ((25, 25, 28), (20, 70, 42), (34, 120, 60), (24, 90, 50), (200, 200, 200), (30, 70, 160))
        colour = _pick(rng, covers)[::-1]
        tile = np.full((48, 384, 3), colour, dtype=np.uint8)
        for row in range(0, 48, 12):
            cv2.line(tile, (0, row), (384, row), tuple(int(c * 0.35) for c in colour), 2)
        for column in range(0, 384, 24):
            cv2.ellipse(tile, (column, 24), (3, 24), 0, 0, 360, tuple(int(c * 0.5) for c in colour), -1)
        tiles.append(tile)
    for _ in range(6):  # red and white, or green, barriers and fences
        tile = np.full((48, 384, 3), 225, dtype=np.uint8)
        colour = _pick(rng, ((205, 40, 35), (30, 90, 60), (35, 80, 170), (240, 110, 30)))[::-1]
        for column in range(0, 384, 96):
            cv2.rectangle(tile, (column, 0), (column + 48, 48), colour, -1)
        tiles.append(tile)
    return tuple(tiles)


def _pick(rng: np.random.Generator, colours: tuple[tuple[int, int, int], ...]) -> tuple[int, int, int]:
    return colours[int(rng.integers(0, len(colours)))]


class _Sheet:
    """Draws shapes on colour and cover at once; coordinates are shares of the tile's height, y from the top."""

    def __init__(self, aspect: float) -> None:
        self.pixels = np.zeros((TILE_PX, max(6, round(TILE_PX * aspect)), 3), dtype=np.uint8)
        self.cover = np.zeros(self.pixels.shape[:2], dtype=np.uint8)

    def polygon(self, points: list[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        corners = (np.array(points) * TILE_PX * 16).round().astype(np.int32)
        cv2.fillPoly(self.pixels, [corners], colour[::-1], cv2.LINE_8, 4)
        cv2.fillPoly(self.cover, [corners], 255, cv2.LINE_AA, 4)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: tuple[int, int, int]) -> None:
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def oval(self, x: float, y: float, rx: float, ry: float, colour: tuple[int, int, int]) -> None:
        turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        self.polygon(list(zip(x + rx * np.cos(turn), y + ry * np.sin(turn), strict=True)), colour)

    def tile(self, height_m: float, rng: np.random.Generator) -> Tile:
        """Lit from one side, creased a little."""
        width = self.pixels.shape[1]
        slope = np.linspace(1.0, rng.uniform(0.55, 0.9), width)
        light = (slope if rng.random() < 0.5 else slope[::-1])[None, :, None]
        folds = cv2.GaussianBlur(rng.normal(0, 1, self.pixels.shape[:2]), (0, 0), 4)[..., None]
        pixels = np.clip(self.pixels * light * (1 + folds * 0.5), 0, 255).astype(np.uint8)
        return Tile(pixels, self.cover, height_m)


def _person(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(0.36)
    trousers, shirt = _pick(rng, QUIET), _pick(rng, LOUD if rng.random() < 0.55 else QUIET)
    gap = rng.uniform(0.01, 0.05)
    sheet.polygon([(0.12, 0.5), (0.18, 0.5), (0.175 - gap, 1.0), (0.10 - gap, 1.0)], trousers)
    sheet.polygon([(0.17, 0.5), (0.25, 0.5), (0.265 + gap, 1.0), (0.19 + gap, 1.0)], trousers)
    skin = _pick(rng, SKIN)
    arm = rng.uniform(-0.02, 0.05)
    sheet.polygon([(0.10, 0.17), (0.13, 0.17), (0.10 - arm, 0.5), (0.06 - arm, 0.5)], skin)
    sheet.polygon([(0.23, 0.17), (0.27, 0.17), (0.31 + arm, 0.5), (0.27 + arm, 0.5)], skin)
    sheet.polygon([(0.10, 0.16), (0.27, 0.16), (0.26, 0.53), (0.11, 0.53)], shirt)
    if rng.random() < 0.4:  # a vest with a reflecting band
        vests = ((250, 110, 30), (220, 235, 40), (255, 190, 30), (40, 100, 220), (255, 80, 40))
        sheet.box(0.11, 0.17, 0.26, 0.46, _pick(rng, vests))
        sheet.box(0.11, 0.33, 0.26, 0.36, (215, 215, 205))
    sheet.oval(0.185, 0.085, 0.045, 0.062, skin)
    sheet.oval(0.185, 0.055, 0.047, 0.04, _pick(rng, ((40, 30, 25), (120, 85, 50), (20, 20, 22), (230, 80, 30))))
    return sheet.tile(rng.uniform(1.6, 1.9), rng)


def _tyres(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(rng.uniform(0.7, 2.6))
    width = sheet.pixels.shape[1] / TILE_PX
    count = int(rng.integers(3, 6))
    paint = _pick(rng, ((28, 28, 30), (28, 28, 30), (40, 100, 50), (215, 215, 215), (200, 40, 35), (30, 80, 190)))
    for row in range(count):
        y = row / count
        tone = rng.uniform(0.75, 1.15)
        colour = (min(int(paint[0] * tone), 255), min(int(paint[1] * tone), 255), min(int(paint[2] * tone), 255))
        sheet.box(0.01, y + 0.015, width - 0.01, y + 1 / count, colour)
        sheet.box(0.0, y + 0.3 / count, width, y + 0.75 / count, colour)
        sheet.box(0.02, y, width - 0.02, y + 0.02, (12, 12, 13))
    return sheet.tile(count * 0.2, rng)


def _pole(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(rng.uniform(0.035, 0.1))
    width = sheet.pixels.shape[1] / TILE_PX
    first, second = ((215, 40, 35), (235, 235, 235)) if rng.random() < 0.6 else (_pick(rng, LOUD), _pick(rng, QUIET))
    bands = int(rng.integers(1, 9))
    for band in range(bands):
        sheet.box(0.0, band / bands, width, (band + 1) / bands, first if band % 2 == 0 else second)
    return sheet.tile(rng.uniform(0.8, 3.0), rng)


def _barrel(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(rng.uniform(0.5, 0.9))
    width = sheet.pixels.shape[1] / TILE_PX
    colour = _pick(rng, LOUD if rng.random() < 0.7 else QUIET)
    sheet.box(0.0, 0.04, width, 0.98, colour)
    sheet.oval(width / 2, 0.05, width / 2, 0.05, (60, 60, 60))
    if rng.random() < 0.4:
        sheet.box(0.0, 0.35, width, 0.55, (230, 230, 230))
    return sheet.tile(rng.uniform(0.4, 1.1), rng)


def _tent(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(1.3)
    colour = _pick(rng, ((235, 235, 235), (40, 40, 44), (200, 40, 40), (30, 80, 180), (235, 235, 235)))
    for x in (0.04, 1.22):
        sheet.box(x, 0.35, x + 0.03, 1.0, (150, 150, 150))
    if rng.random() < 0.5:
        sheet.box(0.06, 0.4, 1.22, 1.0, (70, 72, 76))
    sheet.polygon([(0.0, 0.36), (0.5, 0.03), (0.8, 0.03), (1.3, 0.36), (1.28, 0.46), (0.02, 0.46)], colour)
    return sheet.tile(rng.uniform(2.6, 3.6), rng)


def _van(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(2.2)
    colour = _pick(rng, ((230, 230, 230), (60, 62, 66), (150, 155, 160), (170, 30, 30), (30, 50, 110), (235, 190, 40)))
    sheet.polygon([(0.02, 0.35), (0.35, 0.03), (2.1, 0.02), (2.18, 0.15), (2.18, 0.85), (0.02, 0.85)], colour)
    sheet.polygon([(0.28, 0.4), (0.5, 0.12), (0.95, 0.12), (0.95, 0.42)], (35, 42, 50))
    for x in (0.45, 1.75):
        sheet.oval(x, 0.85, 0.17, 0.15, (22, 22, 24))
        sheet.oval(x, 0.85, 0.09, 0.08, (120, 120, 124))
    return sheet.tile(rng.uniform(1.5, 2.4), rng)


def _race_car(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(2.4)
    colour, second = _pick(rng, (*LOUD, (25, 25, 28), (30, 30, 32), (230, 230, 230))), _pick(rng, LOUD + QUIET)
    black = (20, 20, 22)
    sheet.polygon([(0.05, 0.78), (0.7, 0.5), (1.0, 0.42), (1.8, 0.4), (2.1, 0.62), (2.1, 0.85), (0.1, 0.88)], colour)
    sheet.polygon([(0.6, 0.68), (1.5, 0.6), (1.6, 0.72), (0.6, 0.76)], second)
    sheet.polygon([(1.3, 0.42), (1.42, 0.02), (1.5, 0.02), (1.62, 0.42)], black)
    sheet.oval(1.18, 0.34, 0.1, 0.12, _pick(rng, ((235, 235, 235), (20, 20, 20), (200, 40, 40))))
    sheet.box(1.85, 0.05, 2.35, 0.2, black)
    sheet.box(2.0, 0.2, 2.08, 0.5, black)
    sheet.box(0.0, 0.8, 0.35, 0.9, black)
    for x in (0.5, 1.95):
        sheet.oval(x, 0.79, 0.2, 0.2, black)
        sheet.oval(x, 0.79, 0.1, 0.1, (70, 70, 74))
    return sheet.tile(rng.uniform(1.05, 1.25), rng)


def _board(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(rng.uniform(0.5, 1.4))
    width = sheet.pixels.shape[1] / TILE_PX
    sheet.box(0.1, 0.4, 0.14, 1.0, (110, 110, 110))
    sheet.box(width - 0.14, 0.4, width - 0.1, 1.0, (110, 110, 110))
    sheet.box(0.0, 0.0, width, rng.uniform(0.55, 0.95), _pick(rng, LOUD if rng.random() < 0.6 else QUIET))
    ink = (245, 245, 245)
    for row in range(int(rng.integers(1, 4))):
        sheet.box(width * 0.15, 0.1 + row * 0.16, width * rng.uniform(0.5, 0.85), 0.17 + row * 0.16, ink)
    return sheet.tile(rng.uniform(0.7, 2.2), rng)


def _barrier(rng: np.random.Generator) -> Tile:
    """Water-filled blocks, red and white in turn, or a low wall."""
    sheet = _Sheet(rng.uniform(1.6, 3.2))
    width = sheet.pixels.shape[1] / TILE_PX
    first = _pick(rng, ((215, 45, 35), (240, 110, 35), (190, 190, 188), (250, 205, 40)))
    count = int(rng.integers(1, 5))
    for block in range(count):
        x0, x1 = block * width / count, (block + 1) * width / count - 0.01
        colour = first if block % 2 == 0 else (230, 230, 228)
        sheet.polygon([(x0 + 0.06, 0.0), (x1 - 0.06, 0.0), (x1, 1.0), (x0, 1.0)], colour)
    return sheet.tile(rng.uniform(0.5, 0.95), rng)


def _bush(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(rng.uniform(0.8, 1.6))
    width = sheet.pixels.shape[1] / TILE_PX
    tone = rng.uniform(0.7, 1.3)
    for _ in range(900):
        r = rng.uniform(0.012, 0.05)
        turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0, 1) ** 0.5 * (0.47 - r)
        x, y = width / 2 + width * out * np.cos(turn), 0.5 + out * np.sin(turn) * rng.uniform(0.8, 1.0)
        light = tone * rng.uniform(0.5, 1.0) * (1.25 - 0.7 * y)  # darker below
        sheet.oval(x, y + 0.04, r, r * rng.uniform(0.5, 1.0), (int(70 * light), int(92 * light), int(44 * light)))
    sheet.box(width / 2 - 0.03, 0.8, width / 2 + 0.03, 1.0, (50, 42, 34))
    return sheet.tile(rng.uniform(1.2, 5.0), rng)


def _race_car_ahead(rng: np.random.Generator) -> Tile:
    """Seen from before or behind: two wheels, a nose or a roll hoop, wings."""
    sheet = _Sheet(1.35)
    colour, second = _pick(rng, (*LOUD, (25, 25, 28), (30, 30, 32), (230, 230, 230))), _pick(rng, LOUD + QUIET)
    black = (22, 22, 24)
    sheet.polygon([(0.42, 0.85), (0.5, 0.35), (0.85, 0.35), (0.93, 0.85)], colour)
    sheet.polygon([(0.58, 0.6), (0.62, 0.38), (0.73, 0.38), (0.77, 0.6)], second)
    sheet.oval(0.675, 0.3, 0.07, 0.1, _pick(rng, ((235, 235, 235), (20, 20, 20), (240, 110, 30), (250, 210, 40))))
    if rng.random() < 0.7:
        top = rng.uniform(0.02, 0.15)
        sheet.box(0.2, top, 1.15, top + rng.uniform(0.08, 0.28), _pick(rng, (black, black, colour)))
    sheet.box(0.25, 0.62, 1.1, 0.66, black)
    sheet.box(0.1, 0.88, 1.25, 0.95, _pick(rng, (black, second)))
    for x in (0.05, 1.08):
        sheet.box(x, 0.52, x + 0.22, 0.99, black)
        sheet.box(x + 0.03, 0.58, x + 0.19, 0.93, (48, 48, 50))
    return sheet.tile(rng.uniform(0.95, 1.25), rng)


def _extinguisher(rng: np.random.Generator) -> Tile:
    sheet = _Sheet(0.36)
    colour = _pick(rng, ((215, 40, 30), (235, 80, 30), (200, 30, 40), (40, 80, 190)))
    sheet.box(0.06, 0.3, 0.3, 0.98, colour)
    sheet.oval(0.18, 0.3, 0.12, 0.1, colour)
    sheet.box(0.15, 0.06, 0.21, 0.24, (30, 30, 30))
    sheet.box(0.1, 0.04, 0.3, 0.1, (30, 30, 30))
    if rng.random() < 0.6:
        sheet.box(0.09, 0.45, 0.27, 0.65, (225, 225, 220))
    return sheet.tile(rng.uniform(0.4, 0.75), rng)


def _flag(rng: np.random.Generator) -> Tile:
    """A tall feather flag or a triangular one on a stick."""
    sheet = _Sheet(0.4)
    colour = _pick(rng, LOUD)
    sheet.box(0.02, 0.0, 0.045, 1.0, (70, 70, 72))
    if rng.random() < 0.5:
        sheet.polygon([(0.045, 0.0), (0.25, 0.06), (0.3, 0.3), (0.24, 0.75), (0.045, 0.8)], colour)
    else:
        sheet.polygon([(0.045, 0.02), (0.39, 0.14), (0.045, 0.28)], colour)
    return sheet.tile(rng.uniform(1.2, 3.6), rng)


def _tape(rng: np.random.Generator) -> Tile:
    """Barrier tape between two sticks; what is below it is seen."""
    sheet = _Sheet(rng.uniform(2.0, 4.0))
    width = sheet.pixels.shape[1] / TILE_PX
    first = _pick(rng, ((215, 45, 35), (250, 205, 40), (240, 110, 35), (30, 90, 200)))
    sag = rng.uniform(0.0, 0.15)
    for x in (0.0, width - 0.04):
        sheet.box(x, 0.0, x + 0.04, 1.0, (110, 105, 100))
    count = int(width / 0.15)
    for piece in range(count):
        x0, x1 = piece * width / count, (piece + 1) * width / count
        y0, y1 = (0.05 + sag * 4 * t * (1 - t) for t in (piece / count, (piece + 1) / count))
        colour = first if piece % 2 == 0 else (235, 235, 232)
        sheet.polygon([(x0, y0), (x1, y1), (x1, y1 + 0.09), (x0, y0 + 0.09)], colour)
    return sheet.tile(rng.uniform(0.8, 1.2), rng)


def _box(rng: np.random.Generator) -> Tile:
    """Tool boxes, bags, canisters, speakers: small things on the ground in any colour."""
    sheet = _Sheet(rng.uniform(0.6, 1.8))
    width = sheet.pixels.shape[1] / TILE_PX
    colour = _pick(rng, LOUD if rng.random() < 0.6 else QUIET)
    sheet.box(0.02, 0.1, width - 0.02, 1.0, colour)
    sheet.box(0.02, rng.uniform(0.2, 0.6), width - 0.02, rng.uniform(0.62, 0.8), _pick(rng, LOUD + QUIET))
    sheet.box(width * 0.4, 0.0, width * 0.6, 0.1, (40, 40, 42))
    return sheet.tile(rng.uniform(0.2, 0.6), rng)
