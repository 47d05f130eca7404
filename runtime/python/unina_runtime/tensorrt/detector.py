"""The bundle on the GPU, from a picture to detections: what the DLA's speed and answers are held against."""

from __future__ import annotations

import os
import time
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from unina_runtime._unina import UninaError
from unina_runtime.bundle import Bundle
from unina_runtime.decode import decode
from unina_runtime.detections import Detections
from unina_runtime.letterbox import letterbox
from unina_runtime.picture import Picture, PixelFormat
from unina_runtime.tensorrt.engine import Engine
from unina_runtime.tensorrt.tensors import Tensor


class Detector:
    """Like `unina_runtime.Detector`, on a TensorRT engine through Python: the same letterbox and decoder around it.

    A context manager; for the thread that made it.

    Args:
        path: of the bundle, a `.unina` directory; every file in it is verified.
        engine: built from this bundle (`build_engine`).
        score_threshold: least score of a detection, 0 to 1, instead of the bundle's threshold of each class.

    Raises:
        UninaError: as `Bundle` and `Engine`.
    """

    def __init__(
        self, path: str | os.PathLike[str], engine: str | os.PathLike[str], score_threshold: float | None = None
    ) -> None:
        bundle = Bundle(path)
        self._manifest = manifest = bundle.manifest
        if "decode" in manifest:
            raise UninaError(f"{path}: its network detects nothing, its decode is {manifest['decode']}; take an Engine")
        self._thresholds = (
            [float(one) for one in manifest["thresholds"]]
            if score_threshold is None
            else [score_threshold] * len(manifest["classes"])
        )
        self.engine = Engine(engine, bundle)
        tensors = {one.name: one for one in self.engine.tensors}
        self._stored = _stored(manifest["input"], tensors[manifest["input"]["name"]])
        scales = {name: 1.0 if one.scale is None else one.scale for name, one in tensors.items()}
        self._scales = [(scales[level["class"]], scales[level["box"]]) for level in manifest["levels"]]
        self._times = {"preprocess": 0.0, "infer": 0.0, "decode": 0.0}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits for the GPU and releases everything."""
        self.engine.close()

    def detect(self, image: Picture, pixel_format: PixelFormat = "bgr") -> Detections:
        """Detects on one picture.

        Args:
            image: as `unina_runtime.Detector.detect` takes it.
            pixel_format: of `image`.

        Returns:
            Detections in pixels of `image`, sorted by falling score.

        Raises:
            UninaError: another dtype or shape, or an empty picture; or TensorRT or CUDA failed.
        """
        began = time.perf_counter()
        wanted, buffers = self._manifest["input"], self.engine.buffers
        pixels, placement = letterbox(
            image,
            wanted["height"],
            wanted["width"],
            value=wanted["letterbox_value"],
            color=wanted["color"],
            pixel_format=pixel_format,
        )
        np.take(self._stored, pixels.transpose(2, 0, 1), out=buffers[wanted["name"]][0], mode="clip")
        written = time.perf_counter()
        self.engine.infer()
        inferred = time.perf_counter()
        levels = self._manifest["levels"]
        found = decode(
            [buffers[level["class"]][0] for level in levels],
            [buffers[level["box"]][0] for level in levels],
            strides=[level["stride"] for level in levels],
            reg_max=self._manifest["reg_max"],
            thresholds=self._thresholds,
            max_detections=self._manifest["max_detections"],
            scales=self._scales,
            placement=placement,
        )
        stamps = (began, written, inferred, time.perf_counter())
        self._times = {
            stage: 1e3 * (after - before) for stage, before, after in zip(self._times, stamps, stamps[1:], strict=False)
        }
        return found

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
        return "tensorrt"

    @property
    def accelerator_reason(self) -> str:
        """Why that one."""
        return f"{self.engine.path} on the GPU, through Python"

    @property
    def times(self) -> dict[str, float]:
        """Milliseconds that the last picture took: preprocess, infer (with both copies), decode."""
        return dict(self._times)


def _stored(network_input: dict[str, Any], tensor: Tensor) -> npt.NDArray[Any]:
    """What the input tensor holds for each of the 256 values of a pixel (docs/preprocessing.md)."""
    values = (np.arange(256, dtype=np.float32) - np.float32(network_input["offset"])) * np.float32(
        network_input["scale"]
    )
    if tensor.scale is None:
        return values.astype(tensor.dtype)
    steps = values / np.float32(tensor.scale)
    rounded = np.trunc(steps + np.copysign(np.float32(0.5), steps))  # half away from zero
    return np.asarray(np.clip(rounded, -128, 127), np.int8)
