"""docs/bundle.md's decoding once more, in NumPy and cell by cell, to compare with the C++ decoder."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unina_runtime import Placement


def numpy_decode(
    class_maps: Sequence[npt.NDArray[Any]],
    box_maps: Sequence[npt.NDArray[Any]],
    *,
    strides: Sequence[int],
    reg_max: int,
    thresholds: Sequence[float],
    placement: Placement,
    max_detections: int = 300,
) -> list[tuple[float, int, list[float]]]:
    """Real-valued maps in; (score, class, box in source pixels) out, best first."""
    found = []
    for logits, boxes, stride in zip(class_maps, box_maps, strides, strict=True):
        _, height, width = logits.shape
        for y in range(height):
            for x in range(width):
                best = int(np.argmax(logits[:, y, x]))
                score = 1.0 / (1.0 + math.exp(-float(logits[best, y, x])))
                if np.float32(score) < np.float32(thresholds[best]):
                    continue
                sides = boxes[:, y, x].astype(np.float64).reshape(4, reg_max)
                if reg_max == 1:
                    left, top, right, bottom = np.maximum(sides[:, 0], 0) * stride
                else:
                    weights = np.exp(sides - sides.max(axis=1, keepdims=True))
                    weights /= weights.sum(axis=1, keepdims=True)
                    left, top, right, bottom = weights @ np.arange(reg_max) * stride
                cx, cy = (x + 0.5) * stride, (y + 0.5) * stride
                across = placement.source_width / placement.width
                down = placement.source_height / placement.height
                x0, x1 = (
                    min(max((v - placement.left) * across, 0), placement.source_width) for v in (cx - left, cx + right)
                )
                y0, y1 = (
                    min(max((v - placement.top) * down, 0), placement.source_height) for v in (cy - top, cy + bottom)
                )
                if x1 > x0 and y1 > y0:
                    found.append((score, best, [x0, y0, x1, y1]))
    found.sort(key=lambda one: -one[0])  # stable: ties stay in order of level, row, column
    return found[:max_detections]
