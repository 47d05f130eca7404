"""Post-training calibration: runs the exported float graph over pictures and finds the amax of every tensor.

`minmax` is the default because it clips nothing, so no network fares badly by it. `entropy` (TensorRT's algorithm, see
histogram.py), `percentile` and `mse` (clipping.py) clip. The raw maps are the same under
all: no logit above zero is cut short, those far below are (`unina.dla.scales.raw_map_amax`).
"""

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from unina.compress.clipping import percentile_threshold, squared_error_threshold
from unina.compress.histogram import BINS, Counts, count_magnitudes, entropy_threshold
from unina.dla.graph import Graph
from unina.dla.graph_reader import read_graph
from unina.dla.scales import ScaleMap, measured_tensors, raw_map_amax

Method = Literal["minmax", "entropy", "percentile", "mse"]
Input = npt.NDArray[np.float32]


THRESHOLDS: dict[Method, Callable[[Counts, float], float]] = {
    "entropy": entropy_threshold,
    "percentile": percentile_threshold,
    "mse": squared_error_threshold,
}
"""Where each method clips, from the histogram of a tensor and its largest magnitude."""


class CalibrationError(ValueError):
    """The pictures cannot calibrate the network; the text says why."""


class Inputs(Protocol):
    """Network inputs, float32 1×3×H×W, that can be walked through more than once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Input]: ...


def passes(method: Method) -> int:
    """How often a calibration walks through the pictures."""
    return 1 if method == "minmax" else 2


def calibrate(
    model: onnx.ModelProto,
    inputs: Inputs,
    method: Method = "minmax",
    advance: Callable[[], None] = lambda: None,
    *,
    cut_raw_maps: bool = True,
) -> ScaleMap:
    """The scale map of a deploy graph; memory is bounded by the activations of one picture.

    Args:
        advance: called after every picture of every pass.
        cut_raw_maps: whether the outputs are maps of a detector of ours: what lies far below zero there says nothing.

    Raises:
        CalibrationError: no pictures, a value that is not finite, a tensor that never changes.
        ScaleError: a tensor that gets no usable scale.
        GraphError: the model is not a deploy graph.
    """
    if len(inputs) == 0:
        raise CalibrationError("no calibration pictures; give at least one, better a hundred")
    graph = read_graph(model)
    observer = _Observer(model, graph, cut_raw_maps=cut_raw_maps)
    amax = observer.ranges(inputs, advance)
    if method != "minmax":
        clipped = {name: largest for name, largest in amax.items() if name not in graph.outputs}
        histograms = observer.histograms(inputs, clipped, advance)
        amax |= {name: THRESHOLDS[method](histograms[name], largest) for name, largest in clipped.items()}
    return ScaleMap.from_amax(graph, amax)


class _Observer:
    """The float graph with every tensor that calibration measures as an output."""

    def __init__(self, model: onnx.ModelProto, graph: Graph, *, cut_raw_maps: bool) -> None:
        self._names = measured_tensors(graph)
        self._input = graph.inputs[0]
        self._cut = [name for name in graph.outputs if name in self._names and cut_raw_maps]
        observed = onnx.ModelProto()
        observed.CopyFrom(model)
        present = {value.name for value in observed.graph.output}
        observed.graph.output.extend(
            onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, graph.shapes[name])
            for name in self._names
            if name not in present
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            observed.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def ranges(self, inputs: Inputs, advance: Callable[[], None]) -> dict[str, float]:
        """The largest magnitude of every tensor."""
        low = dict.fromkeys(self._names, np.inf)
        high = dict.fromkeys(self._names, -np.inf)
        for number, tensors in enumerate(self._run(inputs), start=1):
            for name, values in tensors.items():
                smallest, largest = float(values.min()), float(values.max())
                if not (np.isfinite(smallest) and np.isfinite(largest)):
                    raise CalibrationError(
                        f"tensor {name} is not finite on calibration picture {number}: the weights are broken"
                    )
                low[name], high[name] = min(low[name], smallest), max(high[name], largest)
            advance()
        for name in self._names:
            if low[name] == high[name]:
                raise CalibrationError(
                    f"tensor {name} is {low[name]:g} everywhere on all {len(inputs)} calibration pictures: "
                    "its layer is dead, or the pictures are all of one colour"
                )
        amax = {name: max(-low[name], high[name]) for name in self._names}
        return amax | {name: raw_map_amax(high[name], amax[name]) for name in self._cut}

    def histograms(self, inputs: Inputs, amax: dict[str, float], advance: Callable[[], None]) -> dict[str, Counts]:
        """The distribution of magnitudes of the tensors in `amax`, each over [0, amax]."""
        counts = {name: np.zeros(BINS, np.int64) for name in amax}
        for tensors in self._run(inputs):
            for name, largest in amax.items():
                counts[name] += count_magnitudes(tensors[name], largest)
            advance()
        return counts

    def _run(self, inputs: Inputs) -> Iterator[dict[str, Input]]:
        for x in inputs:
            yield dict(zip(self._names, self._session.run(list(self._names), {self._input: x}), strict=True))
