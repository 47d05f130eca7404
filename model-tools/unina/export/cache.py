"""Writes TensorRT's text calibration cache; `unina.dla.cache_file` reads it, and says what it looks like."""

from unina.dla.cache_file import Cache, CacheError, read_cache
from unina.dla.scales import ScaleMap

__all__ = ["TENSORRT_VERSION", "Cache", "CacheError", "format_cache", "read_cache"]

TENSORRT_VERSION = 100300
"""10.3.0, the one of JetPack 6.1 and 6.2; `unina-compile` rewrites the header for the one that it finds."""


def format_cache(scales: ScaleMap, version: int = TENSORRT_VERSION) -> str:
    """The text of a cache: every tensor of the scale map, one a line, always eight digits."""
    lines = [f"TRT-{version}-EntropyCalibration2", *(f"{name}: {scales.bits(name)}" for name in scales)]
    return "\n".join(lines) + "\n"
