"""Writes TensorRT's text calibration cache; `unina.dla.cache_file` reads it, and says what it looks like."""

from collections.abc import Collection

import onnx

from unina.dla.cache_file import Cache, CacheError, read_cache
from unina.dla.lint_cache import lint_cache
from unina.dla.network import read_network
from unina.dla.scales import ScaleMap
from unina.dla.tensorrt import TensorRt

__all__ = ["TENSORRT_VERSION", "Cache", "CacheError", "checked_cache", "format_cache", "read_cache"]

TENSORRT_VERSION = 100300
"""10.3.0, the one of JetPack 6.1 and 6.2; `unina-compile` rewrites the header for the one that it finds."""


def format_cache(scales: ScaleMap, version: int = TENSORRT_VERSION) -> str:
    """The text of a cache: every tensor of the scale map, one a line, always eight digits."""
    lines = [f"TRT-{version}-EntropyCalibration2", *(f"{name}: {scales.bits(name)}" for name in scales)]
    return "\n".join(lines) + "\n"


def checked_cache(scales: ScaleMap, model: onnx.ModelProto, fp16_layers: Collection[str] = ()) -> str:
    """The text of a cache that holds a usable scale for every tensor of the network, ties kept.

    Args:
        fp16_layers: names of nodes that run in FP16.

    Raises:
        CacheError: it does not; the first thing that `unina-dla lint-cache` would find.
    """
    text = format_cache(scales)
    lint = lint_cache(text, read_network(model), TensorRt.of_cache(TENSORRT_VERSION), fp16_layers)
    found = next(iter(lint), None)
    if found is not None:
        raise CacheError(found.text("calibration.cache"))
    return text
