"""Runs one network input through ONNX Runtime or the host engine and returns the raw maps, by name."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from unina.evaluate.arithmetic import OWN, Arithmetic
from unina_runtime import HostEngine

FloatMaps = dict[str, npt.NDArray[np.float32]]
HostEngineMaps = dict[str, npt.NDArray[np.int8] | npt.NDArray[np.float16]]
"""int8, or float16 where a promoted layer writes an output"""


Limits = Mapping[str, tuple[float, float]]
"""The smallest and largest value that an output's integers can stand for, by name; none for an output in float."""


class OnnxMaps:
    """A float ONNX model (with or without Q/DQ) on ONNX Runtime's CPU provider."""

    def __init__(self, model: onnx.ModelProto | Path | bytes, *, threads: int = 0) -> None:
        """Raises ValueError for what ONNX Runtime can't load."""
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = threads
        source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else model
        if isinstance(source, Path) and not source.is_file():
            raise ValueError(f"{source}: no such file")
        try:
            self._session = onnxruntime.InferenceSession(
                source if isinstance(source, bytes) else str(source), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own, with no base but Exception
            name = source if isinstance(source, Path) else "the model in memory"
            raise ValueError(f"{name}: ONNX Runtime can't load it: {' '.join(str(error).split())}") from error
        self.input = self._session.get_inputs()[0].name
        self.outputs = tuple(output.name for output in self._session.get_outputs())
        self.limits: Limits = _int8_limits(source)

    def __call__(self, x: npt.NDArray[np.float32]) -> FloatMaps:
        """x: float32 1×3×H×W, pixel − offset. Returns every output, float32 1×C×h×w."""
        return dict(zip(self.outputs, self._session.run(None, {self.input: x}), strict=True))


class HostMaps:
    """A `host.loadable` on the host engine, in any of its modes."""

    def __init__(self, loadable: Path | bytes, arithmetic: Arithmetic = OWN, *, threads: int = 2) -> None:
        self._engine = HostEngine(
            loadable if isinstance(loadable, bytes) else str(loadable),
            threads=threads,
            rounding=arithmetic.rounding,
            pointwise=arithmetic.pointwise,
        )
        self.input = self._engine.inputs[0][0]
        self.scales: Mapping[str, float] = {name: scale for name, _, scale in self._engine.outputs if scale is not None}
        """of the int8 outputs; a float16 one has none"""

    def __call__(self, q: npt.NDArray[np.int8]) -> HostEngineMaps:
        """q: int8 1×3×H×W, pixel − 128. Returns every output, 1×C×h×w: int8 (real = scale · q) or float16."""
        return self._engine.run({self.input: q})


def dequantised(maps: HostEngineMaps, scales: Mapping[str, float]) -> FloatMaps:
    """The real values of the host engine's maps; float16 ones have no scale."""
    return {name: values.astype(np.float32) * np.float32(scales.get(name, 1.0)) for name, values in maps.items()}


def int8_limits(scales: Mapping[str, float]) -> Limits:
    """What int8 of these scales can stand for."""
    return {name: (-128 * scale, 127 * scale) for name, scale in scales.items()}


def _int8_limits(source: Path | bytes) -> Limits:
    """Of the outputs that come out of a DequantizeLinear of int8."""
    proto = onnx.load_model_from_string(source) if isinstance(source, bytes) else onnx.load(source)
    last = {node.output[0]: node for node in proto.graph.node if node.op_type == "DequantizeLinear"}
    values = {tensor.name: tensor for tensor in proto.graph.initializer}
    outputs = [output.name for output in proto.graph.output if output.name in last]
    return int8_limits({name: float(onnx.numpy_helper.to_array(values[last[name].input[1]])) for name in outputs})


def onnx_maps(model: onnx.ModelProto | Path | bytes, x: npt.NDArray[np.float32]) -> FloatMaps:
    """One call of `OnnxMaps`, 1×3×H×W to 1×C×h×w by name; make the object yourself to run many."""
    return OnnxMaps(model)(x)


def host_maps(loadable: Path | bytes, q: npt.NDArray[np.int8]) -> HostEngineMaps:
    """One call of `HostMaps`, int8 1×3×H×W to 1×C×h×w by name; make the object yourself to run many."""
    return HostMaps(loadable)(q)
