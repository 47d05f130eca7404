"""A sample as the network sees it: picture and boxes through the runtime's own letterbox (docs/bundle.md)."""

import numpy as np
import numpy.typing as npt

from unina_runtime import Placement, letterbox


def letterbox_sample(
    image: npt.NDArray[np.uint8], boxes: npt.NDArray[np.float32], height: int, width: int, *, value: int = 128
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], Placement]:
    """Resizes, centres and pads a picture and moves its boxes along.

    Args:
        image: uint8 H×W×3 BGR.
        boxes: N×4 (x0, y0, x1, y1), pixels of `image`.
        height, width: of the network's input.
        value: grey of the padding.

    Returns:
        uint8 height×width×3 RGB, N×4 boxes in its pixels, and the placement that leads back.
    """
    pixels, placement = letterbox(image, height, width, value=value, color="rgb")
    return pixels, placement.to_input(boxes.reshape(-1, 4).astype(np.float32)), placement
