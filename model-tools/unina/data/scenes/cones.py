"""The four cones of Formula Student Germany as solids: a square plate under a truncated cone, with stripes.

Outer sizes: FSG Competition Handbook (small 228 × 228 × 325 mm, large 285 × 285 × 505 mm); radii, plate and stripes
are measured on photographs.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
NAMES = ("blue_cone", "yellow_cone", "orange_cone", "large_orange_cone")
BLUE, YELLOW, ORANGE, LARGE_ORANGE = range(4)
CIRCLE = np.stack([f(np.arange(32) * (2 * np.pi / 32)) for f in (np.cos, np.sin)], axis=1)


@dataclass(frozen=True)
class Shape:
    """A cone standing upright on the origin, metres."""

    base: float
    """side of the square plate"""
    height: float
    plate: float
    """thickness of the plate"""
    foot: float
    """radius of the body where it leaves the plate"""
    tip: float
    """radius at the top"""
    stripes: tuple[tuple[float, float], ...]
    """from, to, as shares of the height"""

    @cached_property
    def plate_points(self) -> Array:
        """16×3: the plate's corners, cut by a sixth as on the real ones."""
        half, cut = self.base / 2, self.base / 2 * 0.8
        ring = [(half, cut), (cut, half), (-cut, half), (-half, cut)]
        ring += [(-x, -y) for x, y in ring]
        return np.array([(x, y, z) for z in (0.0, self.plate) for x, y in ring])

    @cached_property
    def body_points(self) -> Array:
        """64×3: rims of the body."""
        rings = [(self.foot, self.plate), (self.tip, self.height)]
        return np.concatenate([np.column_stack([CIRCLE * r, np.full(len(CIRCLE), z)]) for r, z in rings])


SMALL = Shape(0.228, 0.325, 0.027, 0.076, 0.024, ((0.40, 0.67),))
LARGE = Shape(0.285, 0.505, 0.036, 0.098, 0.028, ((0.28, 0.44), (0.60, 0.76)))
SHAPES = (SMALL, SMALL, SMALL, LARGE)
"""by class"""


@dataclass(frozen=True)
class Cone:
    """One cone on the ground."""

    kind: int
    """index into NAMES"""
    x: float
    y: float
    """of the plate's centre, metres"""
    yaw: float
    """of the plate, radians"""
    fallen: bool = False
    """lies on its side, the tip towards `yaw`"""

    @property
    def shape(self) -> Shape:
        """The solid of its kind, lengths in metres."""
        return SHAPES[self.kind]

    @cached_property
    def pose(self) -> tuple[Array, Array]:
        """Rotation 3×3 and position 3 that bring the upright cone of the origin into the world."""
        shape = self.shape
        sin_y, cos_y = np.sin(self.yaw), np.cos(self.yaw)
        yaw = np.array([[cos_y, -sin_y, 0], [sin_y, cos_y, 0], [0, 0, 1.0]])
        if not self.fallen:
            return yaw, np.array([self.x, self.y, 0.0])
        # It rests on an edge of the plate and on the rim of the tip.
        angle = np.pi / 2 + np.arctan2(shape.base / 2 - shape.tip, shape.height)
        sin_t, cos_t = np.sin(angle), np.cos(angle)
        rotation = yaw @ np.array([[cos_t, 0, sin_t], [0, 1.0, 0], [-sin_t, 0, cos_t]])
        lowest = min(float((part @ rotation.T)[:, 2].min()) for part in (shape.plate_points, shape.body_points))
        return rotation, np.array([self.x, self.y, -lowest])

    def outline(self) -> tuple[Array, Array]:
        """World points (16×3 of the plate, 64×3 of the body) whose two hulls make the silhouette."""
        rotation, position = self.pose
        return self.shape.plate_points @ rotation.T + position, self.shape.body_points @ rotation.T + position
