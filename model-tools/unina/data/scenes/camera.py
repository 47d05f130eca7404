"""A pinhole camera over a ground plane. World: x right, y ahead, z up, metres; the origin lies under the camera."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
NEAR_M = 0.3
"""Nothing nearer than this is drawn."""


@dataclass(frozen=True)
class Camera:
    """Pinhole without distortion; its principal point is the middle of the picture."""

    width: int
    height: int
    focal_px: float
    mount_m: float
    """height of the lens above the ground"""
    pitch: float
    """radians, positive looks down"""
    roll: float
    """radians, positive turns the picture's content anticlockwise"""

    @cached_property
    def rotation(self) -> Array:
        """3×3, world to camera (x right, y down, z ahead)."""
        sin_p, cos_p = np.sin(self.pitch), np.cos(self.pitch)
        sin_r, cos_r = np.sin(self.roll), np.cos(self.roll)
        tilt = np.array([[1.0, 0, 0], [0, -sin_p, -cos_p], [0, cos_p, -sin_p]])
        turn = np.array([[cos_r, sin_r, 0], [-sin_r, cos_r, 0], [0, 0, 1.0]])
        return np.asarray(turn @ tilt)

    @property
    def horizon(self) -> float:
        """Row of the horizon in the middle column, pixels; may lie outside the picture."""
        return float(self.height / 2 - self.focal_px * np.tan(self.pitch) / np.cos(self.roll))

    def project(self, points: Array) -> tuple[Array, Array]:
        """World points …×3 to pixels …×2 (pixel centres at .5) and depths …; points behind the camera give nonsense."""
        seen = (points - (0.0, 0.0, self.mount_m)) @ self.rotation.T
        depth = np.maximum(seen[..., 2], 1e-6)
        pixels = seen[..., :2] * (self.focal_px / depth)[..., None] + (self.width / 2, self.height / 2)
        return pixels, seen[..., 2]

    def rays(self, pixels: Array) -> Array:
        """World directions …×3 (not unit: camera depth 1) through pixels …×2."""
        centred = (pixels - (self.width / 2, self.height / 2)) / self.focal_px
        return np.concatenate([centred, np.ones_like(centred[..., :1])], axis=-1) @ self.rotation

    def on_ground(self, pixels: Array) -> Array:
        """Ground points …×2 seen at pixels …×2, which must lie below the horizon."""
        rays = self.rays(pixels)
        return rays[..., :2] * (self.mount_m / np.maximum(-rays[..., 2], 1e-9))[..., None]

    def ground_homography(self) -> Array:
        """3×3: homogeneous ground metres (x, y, 1) to homogeneous pixels."""
        intrinsic = np.array([[self.focal_px, 0, self.width / 2], [0, self.focal_px, self.height / 2], [0, 0, 1.0]])
        columns = np.stack(
            [self.rotation[:, 0], self.rotation[:, 1], -self.mount_m * self.rotation[:, 2]],
            axis=1,
        )
        return intrinsic @ columns
