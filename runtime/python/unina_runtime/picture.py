"""How pictures are handed over: NumPy arrays in the pixel formats that cameras give."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
Picture = Image | tuple[Image, Image]
"""uint8, read in place where each row's bytes lie side by side (rows may have gaps: a crop, a padded camera buffer),
else copied:

- "bgr": H×W×3, as `cv2.imread` returns it;
- "rgba": H×W×4; alpha plays no part;
- "uyvy": H×W×2, W even;
- "nv12": 1.5H×W, H and W even, or a tuple of its planes: Y, H×W, and U V pairs, H/2×W/2×2.
"""
PixelFormat = Literal["bgr", "rgba", "nv12", "uyvy"]
"""YUV is BT.601 in the limited range (docs/preprocessing.md)."""
