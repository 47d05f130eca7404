"""An ONNX model on tinygrad's CPU backend: an implementation that shares no code with torch or ONNX Runtime.

tinygrad (MIT) writes each layer as C and has clang compile it: the first picture takes minutes, and the compiled
kernels stay in its cache (~/.cache/tinygrad). Both are optional, so nothing is imported before it is asked for.
"""

import importlib
import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from unina.evaluate.raw_maps import FloatMaps

DEVICE = "CPU"


class TinygradMissingError(ValueError):
    """tinygrad or its compiler is not here; the message says what to install."""


def missing() -> str | None:
    """What to do before tinygrad can run here; None: it can."""
    if importlib.util.find_spec("tinygrad") is None:
        return "tinygrad is not installed: pip install 'unina-model-tools[tinygrad]'"
    compiler = os.environ.get("CC", "clang")  # as tinygrad chooses it
    if "clang" not in Path(compiler).name:
        return f"tinygrad compiles with clang, but CC={compiler}: unset CC, or name a clang in it"
    if shutil.which(compiler) is None:
        return f"tinygrad compiles with {compiler}, which is not here: apt-get install clang"
    return None


class TinygradMaps:
    """A float ONNX model on tinygrad."""

    def __init__(self, model: onnx.ModelProto | Path | bytes) -> None:
        """Raises TinygradMissingError, or ValueError for a model that tinygrad can't read."""
        reason = missing()
        if reason is not None:
            raise TinygradMissingError(f"stage tinygrad: {reason}")
        self._name = model if isinstance(model, Path) else "the model in memory"
        if isinstance(model, Path):
            model = model.read_bytes()
        content = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
        tinygrad: Any = importlib.import_module("tinygrad")
        runner: Any = importlib.import_module("tinygrad.nn.onnx").OnnxRunner
        self._tensor = tinygrad.Tensor
        try:
            network = runner(self._tensor(content, device=DEVICE))
            network.to(DEVICE)
            (self.input,) = network.graph_inputs
        except Exception as error:  # whatever its parser stumbled over
            raise self._refused(error) from error
        self.outputs: tuple[str, ...] = network.graph_outputs

        def run(x: Any) -> list[Any]:
            found = network({self.input: x})
            return [found[name].contiguous() for name in self.outputs]

        self._run = tinygrad.TinyJit(run)  # the third call on replays compiled kernels without Python in between

    def __call__(self, x: npt.NDArray[np.float32]) -> FloatMaps:
        """x: float32 1×3×H×W, pixel − offset. Returns every output, float32 1×C×h×w.

        Raises ValueError for an operator that tinygrad lacks, or C that clang does not take.
        """
        try:
            found = self._run(self._tensor(x, device=DEVICE).realize())
            return {name: tensor.numpy() for name, tensor in zip(self.outputs, found, strict=True)}
        except Exception as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> ValueError:
        text = " ".join(str(error).split())[:200]
        return ValueError(f"stage tinygrad: {self._name}: tinygrad can't run it: {type(error).__name__}: {text}")
