"""What the detector says about one picture: the one value object that decoding, scoring and drawing share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unina_runtime._unina import UninaError


@dataclass(frozen=True, eq=False)
class Detections:
    """Boxes of one picture.

    Attributes:
        boxes: float32 N×4, x0, y0, x1, y1 in source pixels.
        scores: float32 N, in [0, 1]; falling, when a detector made them.
        classes: int32 N, indices into the class names.

    Raises:
        UninaError: an array has another dtype or shape, or the three differ in length.
    """

    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int32]

    def __post_init__(self) -> None:
        count = len(self.scores)
        expected = {
            "boxes": (np.float32, (count, 4)),
            "scores": (np.float32, (count,)),
            "classes": (np.int32, (count,)),
        }
        for name, (dtype, shape) in expected.items():
            array: npt.NDArray[np.generic] = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise UninaError(
                    f"Detections.{name}: expected {np.dtype(dtype).name} {shape}, got {array.dtype.name} {array.shape}"
                )

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        """No detections at all."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32))
