"""The own car at the lower edge of an onboard picture: nose, front wheels, suspension. It hides cones behind it."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes.colour import encode, linear
from unina.data.scenes.light import Light

Image = npt.NDArray[np.uint8]
Polygon = npt.NDArray[np.int32]
PAINTS = ((24, 25, 28), (24, 25, 28), (230, 230, 232), (30, 70, 170), (200, 40, 35), (90, 190, 50), (240, 190, 40))


HELMETS = ((240, 100, 30), (250, 200, 40), (40, 90, 200), (230, 230, 232), (30, 30, 32), (210, 35, 40))


@dataclass(frozen=True, eq=False)
class OwnCar:
    """Outlines in pixels. Empty where the camera looks over the car."""

    nose: Polygon | None
    wheels: tuple[Polygon, ...]
    arms: tuple[Polygon, ...]
    helmet: Polygon | None = None
    """of the driver, where the camera sits on the roll hoop"""

    @property
    def polygons(self) -> tuple[Polygon, ...]:
        """All parts, in pixels."""
        return (*self.wheels, *self.arms, *(part for part in (self.nose, self.helmet) if part is not None))


NOTHING = OwnCar(None, (), ())


def sample_own_car(rng: np.random.Generator, width: int, height: int) -> OwnCar:
    """A nose that fills up to a third of the height; half of them with wheels."""
    middle = width * rng.normal(0.5, 0.04)
    top = height * (rng.uniform(0.72, 0.97) if rng.random() < 0.75 else rng.uniform(0.55, 0.75))
    tip, foot = width * rng.uniform(0.03, 0.09), width * rng.uniform(0.1, 0.3)
    shoulder = rng.uniform(0.25, 0.6)
    outline = [(tip, 0.0), (tip * 1.15, 0.08), (tip + (foot - tip) * shoulder, 0.5), (foot, 1.0)]
    right = [(middle + x, top + (height - top + 2) * y) for x, y in outline]
    left = [(2 * middle - x, y) for x, y in reversed(right)]
    nose = np.array(left + right).round().astype(np.int32)
    wheels, arms = [], []
    if rng.random() < 0.5:
        gauge, size = width * rng.uniform(0.22, 0.4), width * rng.uniform(0.035, 0.07)
        wheel_top = top + (height - top) * rng.uniform(-0.1, 0.35)
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        for side in (-1, 1):
            centre = (middle + side * gauge, wheel_top + size * 1.5)
            cos_t, sin_t = (np.sign(f) * np.abs(f) ** 0.65 for f in (np.cos(turn), np.sin(turn)))
            ring = np.column_stack([centre[0] + size * cos_t, centre[1] + size * 1.5 * sin_t])
            wheels.append(ring.round().astype(np.int32))
            for lift in (0.0, 0.5):
                a = (middle + side * tip * 1.2, top + (height - top) * (0.35 + lift))
                b = (centre[0], centre[1] + size * lift)
                bar = np.array([a, b, (b[0], b[1] + size * 0.22), (a[0], a[1] + size * 0.22)])
                arms.append(bar.round().astype(np.int32))
    helmet: Polygon | None = None
    if rng.random() < 0.12:
        turn = np.linspace(np.pi, 2 * np.pi, 24)
        middle += width * rng.normal(0, 0.15)
        size = width * rng.uniform(0.06, 0.14)
        dome = np.column_stack([middle + size * np.cos(turn), height + 2 + size * 0.8 * np.sin(turn)])
        helmet = dome.round().astype(np.int32)
    return OwnCar(nose, tuple(wheels), tuple(arms), helmet)


def _stickers(under: Image, mask: Image, middle: float, up: npt.NDArray[np.float64], rng: np.random.Generator) -> None:
    """Sponsors' labels on the nose, many in the colours of cones."""
    rows = under.shape[0]
    if rows < 30:
        return
    for _ in range(rng.integers(0, 9)):
        w, h = int(rng.uniform(0.06, 0.3) * rows) + 4, int(rng.uniform(0.04, 0.16) * rows) + 3
        x, y = int(middle + rng.normal(0, 0.25) * rows - w / 2), int(rng.uniform(0.2, 0.95) * rows)
        x, y = max(x, 0), min(y, rows - 1)
        colour = encode(linear(*(HELMETS + PAINTS)[int(rng.integers(0, len(HELMETS) + len(PAINTS)))]) * up * 0.85)
        part = under[y : y + h, x : x + w]
        part[mask[y : y + h, x : x + w] > 200] = colour


def paint_own_car(canvas: Image, car: OwnCar, light: Light, rng: np.random.Generator) -> None:
    """Paints the car over everything else (uint8 H×W×3 BGR, in place)."""
    up = light.on_ground
    rubber, metal = encode(linear(38, 38, 40) * up), encode(linear(55, 55, 58) * up)
    for wheel in car.wheels:
        cv2.fillPoly(canvas, [wheel], [float(c) for c in rubber], cv2.LINE_AA)
        inner = ((wheel - wheel.mean(axis=0)) * (0.55, 0.75) + wheel.mean(axis=0)).round().astype(np.int32)
        cv2.fillPoly(canvas, [inner], [float(c) * 1.35 for c in rubber], cv2.LINE_AA)
    for arm in car.arms:
        cv2.fillPoly(canvas, [arm], [float(c) for c in metal], cv2.LINE_AA)
    if car.nose is None:
        return
    height = canvas.shape[0]
    top = int(car.nose[:, 1].min())
    if top >= height:
        return
    mask = np.zeros((height - top, canvas.shape[1]), dtype=np.uint8)
    cv2.fillPoly(mask, [car.nose - (0, top)], 255, cv2.LINE_AA)
    paint = linear(*PAINTS[int(rng.integers(0, len(PAINTS)))])
    second = linear(*PAINTS[int(rng.integers(0, len(PAINTS)))])
    middle = float(car.nose[:, 0].mean())
    across = np.abs(np.arange(canvas.shape[1]) - middle) / max(float(np.ptp(car.nose[:, 0])) / 2, 1)
    shade = 1.05 - 0.65 * np.clip(across, 0, 1) ** 2
    stripe = across < rng.uniform(0.05, 0.3) if rng.random() < 0.6 else np.zeros_like(across, dtype=bool)
    row = np.where(stripe[:, None], second, paint) * shade[:, None] * up
    glint = np.exp(-(((across - rng.uniform(0.1, 0.5)) / 0.05) ** 2))[:, None] * light.sky * 0.35
    colours = encode(row + glint)[None].astype(np.float32)
    cover = mask[..., None].astype(np.float32) / 255
    under = canvas[top:]
    under[:] = (under + (colours - under) * cover + 0.5).astype(np.uint8)
    _stickers(under, mask, middle, up, rng)
    if car.helmet is not None:
        shell = linear(*HELMETS[int(rng.integers(0, len(HELMETS)))]) * up * 0.8
        cv2.fillPoly(canvas, [car.helmet], [float(c) for c in encode(shell)], cv2.LINE_AA)
        inner = ((car.helmet - car.helmet.mean(axis=0)) * 0.7 + car.helmet.mean(axis=0)).round().astype(np.int32)
        cv2.fillPoly(canvas, [inner], [float(c) for c in encode(shell * 1.25)], cv2.LINE_AA)
    if rng.random() < 0.5 and height - top > 60:  # a start number
        at = (int(middle) - 24, top + (height - top) * 2 // 3)
        size = (height - top) / 90
        cv2.putText(canvas, str(rng.integers(1, 999)), at, 1, size, [235.0] * 3, max(1, int(size * 2)), cv2.LINE_AA)
