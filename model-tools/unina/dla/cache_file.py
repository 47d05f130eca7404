"""Reads TensorRT's text calibration cache: a header, then `tensor: hex` with hex = the scale as big-endian float32.

Spelling after NVIDIA's own qdq_translator (Deep-Learning-Accelerator-SW, MIT), which is read by TensorRT up to 10.7;
there the digits are not padded. `unina.export.cache` writes it.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unina.dla.scales import ScaleMap, scale_from_bits

_HEADER = re.compile(r"TRT-(\d+)-EntropyCalibration2")


class CacheError(ValueError):
    """A calibration cache cannot be read; the text is `file:line: value: what is wrong`."""


@dataclass(frozen=True)
class Cache:
    """A parsed cache: TensorRT's version number (10.3.0 = 100300) and the scales in file order."""

    version: int
    scales: ScaleMap


def read_cache(path: Path) -> Cache:
    """Reads a cache file.

    Raises:
        CacheError: unreadable, or a line that is not `tensor: 8 hex digits` of a positive finite scale.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CacheError(f"{path}: cannot be read: {error}") from error
    header = _HEADER.fullmatch(lines[0]) if lines else None
    if header is None:
        raise CacheError(
            f"{path}:1: {lines[0][:60] if lines else ''}: not a header like TRT-100300-EntropyCalibration2"
        )
    scales: dict[str, np.float32] = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        name, colon, digits = line.rpartition(": ")
        where = f"{path}:{number}: {line[:60]}"
        if not colon or not name:
            raise CacheError(f"{where}: not `tensor: 8 hex digits`")
        if not re.fullmatch(r"[0-9a-fA-F]{1,8}", digits):
            raise CacheError(f"{where}: {digits!r} is not up to 8 hex digits")
        scale = scale_from_bits(digits.rjust(8, "0"))  # NVIDIA's writer drops leading zeros
        if not math.isfinite(scale) or scale < np.finfo(np.float32).tiny:
            raise CacheError(f"{where}: {scale} is not a positive, normal scale")
        if name in scales:
            raise CacheError(f"{where}: tensor {name} is there twice")
        scales[name] = scale
    return Cache(int(header[1]), ScaleMap(scales))
