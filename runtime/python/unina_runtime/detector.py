"""A model bundle as a function from pictures to detections."""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from unina_runtime import _unina
from unina_runtime.detections import Detections


class Detector:
    """Preprocess, infer and decode, as on the device.

    >>> detector = Detector("cones.unina")                    # doctest: +SKIP
    >>> found = detector.detect(cv2.imread("track.jpg"))      # doctest: +SKIP
    >>> found.boxes, found.scores, found.classes              # doctest: +SKIP

    Args:
        path: of the bundle, a `.unina` directory; every file in it is verified.
        accelerator: "auto" (the best that this build and machine have) or "host" (the integer engine).
        score_threshold: least score of a detection, 0 to 1, instead of the bundle's threshold of each class.
        threads: of the host accelerator.

    Raises:
        UninaError: the bundle is damaged or of another version, the accelerator is not in this build, or a
            number is out of range; the message names the file and says what to do.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        accelerator: str = "auto",
        score_threshold: float | None = None,
        *,
        threads: int = 1,
    ) -> None:
        self._detector = _unina.Detector(os.fspath(path), accelerator, score_threshold, threads)
        self._manifest: dict[str, Any] = json.loads(self._detector.manifest_json)

    def detect(self, image: npt.NDArray[np.uint8]) -> Detections:
        """Detects on one picture.

        Args:
            image: uint8 H×W×3, BGR, as `cv2.imread` returns it. Read in place unless its pixels are not contiguous.

        Returns:
            Detections in pixels of `image`, sorted by falling score.

        Raises:
            UninaError: another dtype or channel count, or an empty picture.
        """
        return Detections(*self._detector.detect(image))

    @property
    def manifest(self) -> dict[str, Any]:
        """The bundle's manifest.json."""
        return self._manifest

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of `Detections.classes`."""
        return tuple(self._manifest["classes"])

    @property
    def accelerator(self) -> str:
        """Name of what runs the network."""
        return self._detector.accelerator

    @property
    def times(self) -> dict[str, float]:
        """Milliseconds of the last `detect`: preprocess, infer, decode."""
        return self._detector.times
