"""What a network takes as its picture: size, order of colours, and what lies around a picture of another shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unina_runtime import letterbox

Color = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class PictureInput:
    """As `input` of a bundle's manifest has it."""

    height: int
    """pixels"""
    width: int
    color: Color = "rgb"
    letterbox_value: int = 128

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any]) -> "PictureInput":
        """From a bundle's manifest (docs/bundle.md), whatever its decode."""
        told = manifest["input"]
        return cls(told["height"], told["width"], told["color"], told["letterbox_value"])

    def pixels(self, image: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Any]:
        """Letterboxes a BGR picture: uint8 H×W×3 in the network's order of colours, and the placement."""
        return letterbox(image, self.height, self.width, value=self.letterbox_value, color=self.color)
