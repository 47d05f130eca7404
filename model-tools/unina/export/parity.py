"""Does the network survive the export? torch against ONNX, and the integer engine against Q/DQ and float."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from rich.table import Table
from torch import nn

from unina.dla.scales import ScaleMap
from unina.evaluate import HostMaps, OnnxMaps
from unina.evaluate.map_difference import finite
from unina.evaluate.raw_maps import FloatMaps, dequantised, int8_limits

ONNX_TOLERANCE = 1e-3
"""Largest |torch − ONNX| as a share of the largest |torch|: float32 in another order of summation stays far below."""

LOW_SNR_DB = 15.0
"""Below this INT8 hardly resembles the float output; a trained detector on fitting pictures lies above 20."""

Original = Callable[[npt.NDArray[np.float32]], FloatMaps]
"""Every output by name, 1×C×h×w, of an input."""


class ParityError(ValueError):
    """The exported graph does not compute what the torch module computes."""


@dataclass(frozen=True)
class OutputParity:
    """One output over all parity pictures."""

    output: str
    onnx_error: float
    """max |torch − ONNX|, both float32; with --from-onnx in torch's place the file that was given"""
    onnx_relative: float
    """the same as a share of max |torch|"""
    qdq_equal: float
    """share of values whose integers are the same in the host engine and in the Q/DQ graph (float inside); an output in
    FP16 is counted in the steps that it would have in INT8"""
    qdq_within_one: float
    """share that differs by one step at most"""
    host_error: float
    """max |host − ONNX float|, the float values cut to the range that the integers have"""
    host_snr_db: float
    """10·log10(mean float² / mean (host − float)²), likewise; infinite where they are equal"""


def torch_maps(deployed: nn.Module, output_names: Sequence[str]) -> Original:
    """A torch module as what the exported forms are held against."""

    def maps(x: npt.NDArray[np.float32]) -> FloatMaps:
        with torch.inference_mode():
            found = deployed(torch.from_numpy(x))
        return {name: values.numpy() for name, values in zip(output_names, found, strict=True)}

    return maps


def measure_parity(
    original: Original,
    output_names: Sequence[str],
    model: onnx.ModelProto,
    qdq: onnx.ModelProto,
    loadable: bytes,
    scales: ScaleMap,
    inputs: Iterable[npt.NDArray[np.float32]],
    advance: Callable[[], None] = lambda: None,
) -> tuple[OutputParity, ...]:
    """Compares the forms of one network on the same inputs (float32 1×3×H×W, whole numbers in [−128, 127]).

    Args:
        original: what the ONNX graph was made of.
        advance: called after every input.
    """
    onnx_maps, qdq_maps, host_maps = OnnxMaps(model), OnnxMaps(qdq), HostMaps(loadable)
    limits = int8_limits({name: float(scales[name]) for name in output_names})
    tallies = {name: _Tally(float(scales[name]), *limits[name]) for name in output_names}
    for x in inputs:
        exact = original(x)
        floats, quantised = onnx_maps(x), qdq_maps(x)
        host = dequantised(host_maps(x.astype(np.int8)), host_maps.scales)
        for name, tally in tallies.items():
            tally.add(exact[name], floats[name], quantised[name], host[name])
        advance()
    return tuple(tally.result(name) for name, tally in tallies.items())


def require_onnx_parity(rows: Iterable[OutputParity]) -> None:
    """Raises ParityError when an output of the ONNX graph is further than `ONNX_TOLERANCE` from torch."""
    for row in rows:
        if not row.onnx_relative <= ONNX_TOLERANCE:  # NaN fails too
            raise ParityError(
                f"output {row.output}: torch and ONNX differ by {row.onnx_error:.3g}, {row.onnx_relative:.2%} of the "
                f"largest value, more than {ONNX_TOLERANCE:.1%}: the exported graph is not the trained network"
            )


def parity_table(rows: Sequence[OutputParity], original: str = "torch") -> Table:
    """One row an output; `original`: what the graph was made of."""
    table = Table(title="parity on calibration pictures", title_justify="left")
    table.add_column("output")
    for column in (f"{original}−ONNX", "relative", "host=Q/DQ", "±1 step", "host−float", "dB"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row.output,
            f"{row.onnx_error:.1e}",
            f"{row.onnx_relative:.1e}",
            f"{row.qdq_equal:.2%}",
            f"{row.qdq_within_one:.3%}",
            f"{row.host_error:.3f}",
            f"{row.host_snr_db:.1f}",
        )
    return table


def parity_json(rows: Iterable[OutputParity]) -> list[dict[str, Any]]:
    """As plain Python values; null for what is infinite."""
    return [asdict(row) | {"host_snr_db": finite(row.host_snr_db)} for row in rows]


class _Tally:
    """Running figures of one output."""

    def __init__(self, scale: float, lowest: float, highest: float) -> None:
        self._scale = scale
        self._range = (lowest, highest)
        self._onnx_error = self._host_error = self._largest = 0.0
        self._values = self._equal = self._within_one = 0
        self._signal = self._noise = 0.0

    def add(
        self,
        module: npt.NDArray[np.float32],
        floats: npt.NDArray[np.float32],
        quantised: npt.NDArray[np.float32],
        host: npt.NDArray[np.float32],
    ) -> None:
        steps = np.abs(
            np.rint(quantised.clip(*self._range) / self._scale) - np.rint(host.clip(*self._range) / self._scale)
        )
        floats_in_range = floats.clip(*self._range)
        noise = floats_in_range - host.clip(*self._range)
        self._onnx_error = float(np.maximum(self._onnx_error, np.abs(module - floats).max()))  # keeps a NaN
        self._largest = max(self._largest, float(np.abs(module).max()))
        self._host_error = max(self._host_error, float(np.abs(noise).max()))
        self._values += host.size
        self._equal += int((steps == 0).sum())
        self._within_one += int((steps <= 1).sum())
        self._signal += float(np.square(floats_in_range, dtype=np.float64).sum())
        self._noise += float(np.square(noise, dtype=np.float64).sum())

    def result(self, name: str) -> OutputParity:
        tiny = np.finfo(np.float64).tiny
        return OutputParity(
            output=name,
            onnx_error=self._onnx_error,
            onnx_relative=self._onnx_error / max(self._largest, tiny),
            qdq_equal=self._equal / max(self._values, 1),
            qdq_within_one=self._within_one / max(self._values, 1),
            host_error=self._host_error,
            host_snr_db=10 * math.log10(max(self._signal, tiny) / self._noise) if self._noise else math.inf,
        )
