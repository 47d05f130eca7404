"""From the raw maps of the one-to-one head to boxes (docs/bundle.md); the work is done in C++."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unina_runtime import _unina
from unina_runtime.detections import Detections

Map = npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8]


def decode(
    class_maps: Sequence[Map],
    box_maps: Sequence[Map],
    *,
    strides: Sequence[int],
    reg_max: int,
    thresholds: Sequence[float],
    max_detections: int = 300,
    scales: Sequence[tuple[float, float]] | None = None,
    placement: _unina.Placement | None = None,
) -> Detections:
    """Decodes the cells whose best class reaches its threshold; one class a cell, no NMS.

    Args:
        class_maps: one a level, C×h×w logits, float32, float16 or int8.
        box_maps: one a level, (4·reg_max)×h×w, of any of these types; sides left, top, right, bottom.
        strides: input pixels a cell, one a level.
        reg_max: bins a side, whose softmax expectation is the distance in strides; 1: the distances themselves.
        thresholds: one score a class; a detection's score is at least its class's.
        max_detections: the best so many are kept.
        scales: one (class, box) pair a level, needed for int8 maps; that of a float map is not looked at.
        placement: where the letterbox put the picture; without it boxes stay in input pixels, clipped to the input.

    Returns:
        Detections sorted by falling score, in source pixels; ties in order of level, row, column.

    Raises:
        UninaError: shapes, types and numbers that do not fit each other.
    """
    return Detections(
        *_unina.decode(
            class_maps,
            box_maps,
            strides=strides,
            reg_max=reg_max,
            thresholds=thresholds,
            max_detections=max_detections,
            scales=scales,
            placement=placement,
        )
    )
