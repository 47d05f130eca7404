"""Daylight: one sun, a sky dome and light thrown back by the ground; all in linear light, 1.0 is display white."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Light:
    """What shines on the scene. Colours are BGR."""

    direction: Array
    """3, unit, towards the sun"""
    sun: Array
    """3, irradiance of a surface that faces the sun"""
    sky: Array
    """3, irradiance of a surface that faces up, from the sky alone"""
    bounce: Array
    """3, irradiance of a surface that faces down"""
    softness: float
    """0: hard shadows; 1: no shadow to be seen"""

    @property
    def on_ground(self) -> Array:
        """3, irradiance of the open ground."""
        return self.sky + self.sun * max(float(self.direction[2]), 0.0)

    def shade(self, normals: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Irradiance …×3 of surfaces with unit normals …×3."""
        facing = np.maximum(normals @ self.direction.astype(np.float32), 0)[..., None]
        up = (normals[..., 2:] + 1) / 2
        ambient = self.bounce + (self.sky - self.bounce) * up
        return (ambient + self.sun * facing).astype(np.float32)


def sample_light(rng: np.random.Generator, ground_albedo: float) -> Light:
    """Sunny (half of them with the sun ahead), hazy or overcast; exposed as a camera's automatic would."""
    weather = rng.choice(3, p=[0.46, 0.2, 0.34])
    sun_share = (rng.uniform(0.65, 0.91), rng.uniform(0.35, 0.65), rng.uniform(0.0, 0.15))[weather]
    elevation = np.radians(rng.uniform(10, 62))
    azimuth = rng.uniform(-1.1, 1.1) if rng.random() < 0.4 else rng.uniform(-np.pi, np.pi)  # 0: ahead, backlit
    direction = np.array([np.sin(azimuth) * np.cos(elevation), np.cos(azimuth) * np.cos(elevation), np.sin(elevation)])
    warmth = np.array([0.9, 0.98, 1.06]) ** (1.6 * (1 - elevation))
    cold = np.array([1.12, 1.0, 0.92]) if weather == 0 else np.array([1.03, 1.0, 0.98])
    # The ground, lit, lands where a camera's exposure puts it: a mid grey, brighter where the ground is pale.
    target = float(np.exp(np.clip(rng.normal(np.log(0.265), 0.38), -2.1, -0.5))) * (ground_albedo / 0.16) ** 0.5
    total = min(target / ground_albedo, 1.9)  # a camera does not burn out everything that stands on dark ground
    sun = total * sun_share / max(float(direction[2]), 0.2)
    sky = total * (1 - sun_share) * cold
    bounce = np.full(3, total * ground_albedo) * 1.1 + sky * 0.15
    return Light(direction, sun * warmth, sky, bounce, float(weather) / 2)
