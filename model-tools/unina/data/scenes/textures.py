"""Banks of noise, made once a process from a fixed seed; pictures take crops of them, which makes them cheap."""

from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
SIZE = 1024


@cache
def grain() -> Image:
    """SIZE×SIZE, mean 128, seamless: stones and tar of asphalt, a few pixels each."""
    rng = np.random.default_rng(101)
    fine = _octaves(rng, (0.7, 1.6), (1.0, 0.7))
    # Some stones are much brighter than the rest.
    return _codes(fine + 1.2 * np.maximum(_octaves(rng, (1.0,), (1.0,)) - 1.6, 0), 26)


@cache
def blotches() -> Image:
    """SIZE×SIZE, mean 128, seamless: wear, dust and damp; structure at all scales."""
    return _codes(_octaves(np.random.default_rng(102), (3, 9, 27, 80), (0.35, 0.6, 0.9, 1.0)), 22)


@cache
def leaves() -> Image:
    """SIZE×SIZE, mean 128, seamless: grass and foliage, high contrast."""
    return _codes(_octaves(np.random.default_rng(103), (1.2, 3.5, 12, 40), (0.8, 0.9, 0.7, 0.6)), 34)


@cache
def clouds() -> Image:
    """SIZE×SIZE, 0…255, seamless: cover of cumulus."""
    noise = _octaves(np.random.default_rng(104), (4, 10, 28, 70), (0.15, 0.35, 0.8, 1.0))
    return np.clip(128 + noise * 95, 0, 255).astype(np.uint8)


@cache
def sensor_noise() -> Image:
    """2200×2200×3, mean 128, sigma 32: read and shot noise, a little correlated as demosaicing leaves it."""
    rng = np.random.default_rng(105)
    grey = rng.standard_normal((2200, 2200, 1), dtype=np.float32)
    colour = rng.standard_normal((2200, 2200, 3), dtype=np.float32)
    noise = cv2.GaussianBlur(0.75 * grey + 0.65 * colour, (0, 0), 0.55)
    return np.asarray(np.clip(128 + noise / noise.std() * 32, 0, 255), dtype=np.uint8)


def crop(bank: Image, rng: np.random.Generator, height: int, width: int) -> Image:
    """A random window height×width of a bank, tiled where the bank is smaller."""
    if height > bank.shape[0] or width > bank.shape[1]:
        tiles = (-(-height // bank.shape[0]) + 1, -(-width // bank.shape[1]) + 1) + (1,) * (bank.ndim - 2)
        bank = np.tile(bank, tiles)
    top = int(rng.integers(0, bank.shape[0] - height + 1))
    left = int(rng.integers(0, bank.shape[1] - width + 1))
    return bank[top : top + height, left : left + width]


def smooth(rng: np.random.Generator, count: int, knots: int) -> npt.NDArray[np.float64]:
    """`count` values of a smooth random line, about −1…1."""
    return np.asarray(np.interp(np.linspace(0, knots - 1, count), np.arange(knots), rng.normal(0, 0.5, knots)))


def _octaves(
    rng: np.random.Generator, sigmas: tuple[float, ...], weights: tuple[float, ...]
) -> npt.NDArray[np.float32]:
    """Sum of blurred white noises, seamless, unit variance."""
    total = np.zeros((SIZE, SIZE), dtype=np.float32)
    for sigma, weight in zip(sigmas, weights, strict=True):
        step = max(1, int(sigma / 3))  # wide blurs at low resolution
        side = SIZE // step
        noise = rng.standard_normal((side, side), dtype=np.float32)
        margin = int(4 * sigma / step) + 2
        noise = np.pad(noise, margin, mode="wrap")
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), sigma / step), dtype=np.float32)
        size = (round(noise.shape[1] * SIZE / side), round(noise.shape[0] * SIZE / side))
        noise = np.asarray(cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)
        cut = round(margin * SIZE / side)
        noise = noise[cut : cut + SIZE, cut : cut + SIZE]
        total += weight * (noise - noise.mean()) / noise.std()
    return np.asarray(total / total.std(), dtype=np.float32)


def _codes(noise: npt.NDArray[np.float32], spread: float) -> Image:
    return np.asarray(np.clip(128 + noise * spread, 0, 255), dtype=np.uint8)
