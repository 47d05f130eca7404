"""A model bundle as a function from pictures to detections."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

from unina_runtime import _unina
from unina_runtime.detections import Detections
from unina_runtime.picture import Picture, PixelFormat

StrPath = str | os.PathLike[str]


class Detector:
    """Preprocess, infer and decode, as on the device.

    >>> detector = Detector("cones.unina")                    # doctest: +SKIP
    >>> found = detector.detect(cv2.imread("track.jpg"))      # doctest: +SKIP
    >>> found.boxes, found.scores, found.classes              # doctest: +SKIP

    Any thread may call it. While C++ works the GIL is free, so other Python threads run on; a call waits for an
    accelerator that nobody else uses.

    Args:
        path: of the bundle, a `.unina` directory; every file in it is verified.
        accelerator: "auto" (the first that fits machine and bundle), "cudla-hybrid", "host" (the integer engine), or,
            where the build has it, "tensorrt" or "cudla-standalone"; docs/accelerators.md says which one when.
        score_threshold: least score of a detection, 0 to 1, instead of the bundle's threshold of each class.
        threads: of the host accelerator, 1 to 256.
        dla: the DLA core, 0, 1, or "both": then two pictures are detected in at a time, for two threads that call
            `detect`, or by `detect_many`.
        dla_loadables: the network as `trtexec --buildDLAStandalone` compiled it; with "both" one for each core, or
            one for both.
        dla_timeout_ms: how long one picture may take on the DLA; after that the process should be restarted.
        engine: a TensorRT engine, for the accelerator "tensorrt".
        engine_on: where the engine was built to run.
        preprocess: what makes the network's input of a picture: "cpu", or "gpu" for "cudla-hybrid" and "tensorrt" in a
            build with CUDA.
        deterministic_semaphores: for "cudla-standalone" on old releases.

    Raises:
        UninaError: the bundle is damaged or of another version, the accelerator is not in this build or does not
            start, or a number is out of range; the message names the file and says what to do.
    """

    def __init__(
        self,
        path: StrPath,
        accelerator: str = "auto",
        score_threshold: float | None = None,
        *,
        threads: int = 1,
        dla: Literal[0, 1, "both"] = 0,
        dla_loadables: StrPath | Sequence[StrPath] = (),
        dla_timeout_ms: int = 1000,
        engine: StrPath | None = None,
        engine_on: Literal["gpu", "dla0", "dla1"] = "gpu",
        preprocess: Literal["cpu", "gpu"] = "cpu",
        deterministic_semaphores: bool = False,
    ) -> None:
        loadables = (dla_loadables,) if isinstance(dla_loadables, str | os.PathLike) else dla_loadables
        self._detector = _unina.Detector(
            os.fspath(path),
            accelerator,
            score_threshold,
            threads=threads,
            dla=str(dla),
            dla_loadables=[os.fspath(one) for one in loadables],
            dla_timeout_ms=dla_timeout_ms,
            engine="" if engine is None else os.fspath(engine),
            engine_on=engine_on,
            preprocess=preprocess,
            deterministic_semaphores=deterministic_semaphores,
        )
        self._manifest: dict[str, Any] = json.loads(self._detector.manifest_json)

    def detect(self, image: Picture, pixel_format: PixelFormat = "bgr") -> Detections:
        """Detects on one picture.

        Args:
            image: uint8, by default H×W×3 BGR, as `cv2.imread` returns it; `unina_runtime.Picture` lists the others.
                Read in place unless the bytes of a row are not side by side.
            pixel_format: of `image`.

        Returns:
            Detections in pixels of `image`, sorted by falling score. The arrays are views into one block of memory
            that C++ filled (rows 24 bytes apart), so nothing was copied; `np.ascontiguousarray` where that matters.

        Raises:
            UninaError: another dtype or shape, or an empty picture; or the accelerator failed.
        """
        return Detections(*self._detector.detect(image, pixel_format))

    def detect_many(self, images: Iterable[Picture], pixel_format: PixelFormat = "bgr") -> Iterator[Detections]:
        """Detects on one picture after the other, on as many at a time as there are cores (`at_a_time`).

        Args:
            images: as `detect` takes them. The next ones are asked for before the first is answered, so a picture
                must stay as it is until its answer came: no buffer that the camera overwrites.
            pixel_format: of all of them.

        Yields:
            Their detections, in the order of the pictures.

        Raises:
            UninaError: as `detect`, in the place of that picture's detections.
        """
        with ThreadPoolExecutor(self.at_a_time, "unina-detector") as threads:
            under_way: deque[Future[Detections]] = deque()
            for image in images:
                if len(under_way) == self.at_a_time:
                    yield under_way.popleft().result()
                under_way.append(threads.submit(self.detect, image, pixel_format))
            while under_way:
                yield under_way.popleft().result()

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
    def accelerator_reason(self) -> str:
        """Why that one, and what the better ones lack."""
        return self._detector.accelerator_reason

    @property
    def at_a_time(self) -> int:
        """How many pictures are detected in at the same time: 2 on both DLA cores, else 1."""
        return self._detector.at_a_time

    @property
    def times(self) -> dict[str, float]:
        """Milliseconds that the last picture took: preprocess, infer, decode."""
        return self._detector.times
