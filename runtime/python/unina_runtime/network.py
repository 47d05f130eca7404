"""A model bundle as a function from pictures to what its network says, decoded by whoever asks."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unina_runtime import _unina
from unina_runtime._unina import UninaError
from unina_runtime.picture import Picture, PixelFormat

StrPath = str | os.PathLike[str]


class Network:
    """Preprocess and infer, as on the device; any bundle, and the way to run one whose decode is raw or classify.

    >>> network = Network("resnet.unina")                       # doctest: +SKIP
    >>> network.classify(cv2.imread("cone.jpg"), top=3)         # doctest: +SKIP
    [('blue_cone', 0.97), ('yellow_cone', 0.02), ('orange_cone', 0.01)]

    Any thread may call it; one picture runs at a time.

    Args:
        path: of the bundle, a `.unina` directory; every file in it is verified.
        accelerator: as for `unina_runtime.Detector`.
        threads: of the host accelerator, 1 to 256.
        dla: the DLA core, 0 or 1.
        dla_loadable: the network as `trtexec --buildDLAStandalone` compiled it.
        dla_timeout_ms: how long one picture may take on the DLA; after that the process should be restarted.
        engine: a TensorRT engine, for the accelerator "tensorrt".
        engine_on: where the engine was built to run.

    Raises:
        UninaError: the bundle is damaged or of another version, the accelerator is not in this build or does not
            start, or a number is out of range; the message names the file and says what to do.
    """

    def __init__(
        self,
        path: StrPath,
        accelerator: str = "auto",
        *,
        threads: int = 1,
        dla: Literal[0, 1] = 0,
        dla_loadable: StrPath | None = None,
        dla_timeout_ms: int = 1000,
        engine: StrPath | None = None,
        engine_on: Literal["gpu", "dla0", "dla1"] = "gpu",
    ) -> None:
        self._network = _unina.Network(
            os.fspath(path),
            accelerator,
            threads=threads,
            dla=dla,
            dla_loadable="" if dla_loadable is None else os.fspath(dla_loadable),
            dla_timeout_ms=dla_timeout_ms,
            engine="" if engine is None else os.fspath(engine),
            engine_on=engine_on,
        )
        self._manifest: dict[str, Any] = json.loads(self._network.manifest_json)

    def run(self, image: Picture, pixel_format: PixelFormat = "bgr") -> dict[str, npt.NDArray[np.float32]]:
        """The network's outputs for one picture.

        Args:
            image: uint8, by default H×W×3 BGR, as `cv2.imread` returns it; `unina_runtime.Picture` lists the others.
            pixel_format: of `image`.

        Returns:
            Real values of every output by name, float32 1×C×h×w, in the manifest's order. `unina_runtime.Placement.fit`
            says where in the network's input the picture lay.

        Raises:
            UninaError: another dtype or shape, or an empty picture; or the accelerator failed.
        """
        return self._network.run(image, pixel_format)

    def classify(self, image: Picture, top: int = 5, pixel_format: PixelFormat = "bgr") -> list[tuple[str, float]]:
        """The classes that a classifier finds most likely.

        Args:
            image: as for `run`.
            top: how many, at least 1.
            pixel_format: of `image`.

        Returns:
            Name and score of each, the likeliest first; the scores of all classes are a softmax, and sum up to 1.

        Raises:
            UninaError: the bundle is no classifier, `top` is less than 1, or as `run`.
        """
        if self.decode != "classify":
            raise UninaError(f"its decode is {self.decode}, which names no classes; call run()")
        if top < 1:
            raise UninaError(f"top is {top}; expected at least 1")
        (logits,) = self.run(image, pixel_format).values()
        exponents = np.exp(logits.reshape(-1).astype(np.float64) - float(logits.max()))
        scores = exponents / exponents.sum()
        best = np.argsort(-scores, kind="stable")[:top]
        return [(self.classes[index], float(scores[index])) for index in best]

    @property
    def manifest(self) -> dict[str, Any]:
        """The bundle's manifest.json."""
        return self._manifest

    @property
    def decode(self) -> str:
        """What the outputs are for: "detect" (`unina_runtime.Detector` decodes them), "classify" or "raw"."""
        return str(self._manifest["decode"]) if self._manifest["schema"] > 1 else "detect"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; none where the decode is raw and nobody gave any."""
        return tuple(self._manifest["classes"])

    @property
    def accelerator(self) -> str:
        """Name of what runs the network."""
        return self._network.accelerator

    @property
    def accelerator_reason(self) -> str:
        """Why that one, and what the better ones lack."""
        return self._network.accelerator_reason

    @property
    def times(self) -> dict[str, float]:
        """Milliseconds that the last picture took: preprocess, infer."""
        return self._network.times
