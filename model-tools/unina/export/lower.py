"""Lowers a deploy graph to the integers of the host engine, and to FP16 where a layer is promoted: `host.loadable`.

The format is that of docs/bundle.md. Numbers follow docs/integer-semantics.md to the order of the float32 operations.
"""

import json
import math
import struct
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from unina.dla.graph import (
    Activation,
    Add,
    AveragePool,
    Bilinear,
    Concat,
    Conv,
    Deconv,
    Graph,
    LeakyRelu,
    Max,
    MaxPool,
    Min,
    Mul,
    Op,
    Relu,
    Resize,
    Shape,
    Unary,
)
from unina.dla.precision import float16_tensors, float16_weight
from unina.dla.scales import ScaleMap, scale_bits
from unina.dla.weights import IntegerConv, by_phase, quantise_conv
from unina.export.tables import UNARY, Real, Rounding, leaky_relu, sigmoid, silu, table

MAGIC = b"UNINAHL1"
ALIGNMENT = 64
SINCE_VERSION_3 = frozenset({"table", "mul", "max", "min", "avgpool", "bilinear", "depthtospace"})


class LoweringError(ValueError):
    """The graph cannot be computed in int32, float32 or FP16; the text names the operator and the numbers."""


def lower(graph: Graph, scales: ScaleMap, rounding: Rounding = "half-away", promoted: Collection[str] = ()) -> bytes:
    """The bytes of the loadable, of the lowest version that has what it needs.

    Args:
        promoted: names of the convolutions that run in FP16.

    Raises:
        ScaleError: an int8 tensor of the graph has no scale.
        LoweringError: an accumulator could overflow, a multiplier is not finite, scales that must be equal differ, or
            a weight is too large for FP16.
        ValueError: a promoted layer that is no convolution of the graph.
    """
    return _Lowering(graph, scales, rounding, frozenset(promoted)).bytes()


@dataclass
class _Data:
    """The data block: arrays one behind the other, each at a multiple of 64 bytes."""

    bytes: bytearray = field(default_factory=bytearray)

    def add(self, array: npt.NDArray[Any]) -> int:
        """Appends an array, little-endian, and returns its offset."""
        offset = len(self.bytes)
        self.bytes += _padded(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        return offset


class _Lowering:
    """Goes through the operators once and writes down what the engine is to do."""

    def __init__(self, graph: Graph, scales: ScaleMap, rounding: Rounding, promoted: frozenset[str]) -> None:
        self.graph = graph
        self.scales = scales
        self.rounding: Rounding = rounding
        self.promoted = promoted
        self.float16 = float16_tensors(graph, promoted)
        self.data = _Data()
        self.ops: list[dict[str, Any]] = []
        self.shapes: dict[str, Shape] = {name: graph.shapes[name] for name in graph.inputs}
        self.tensor_scales = dict(scales)
        inside = {gate.output for gate in graph.gates.values()}
        for op in graph.ops:
            if op.output in inside:
                continue
            relu = graph.fused_relu(op)
            if relu is not None:
                inside.add(relu.output)
            _require_cap(relu if relu is not None else op, op.name in promoted, scales)
            self._lower(op, op.output if relu is None else relu.output, relu is not None)

    def bytes(self) -> bytes:
        """The file."""
        new = any(op["type"] in SINCE_VERSION_3 for op in self.ops)
        header = {
            "version": 3 if new else 2 if self.promoted else 1,
            "rounding": self.rounding,
            "data_bytes": len(self.data.bytes),
            "tensors": [
                {"name": name, "shape": list(shape)}
                | (
                    {"type": "float16"}
                    if name in self.float16
                    else {"scale_bits": scale_bits(self.tensor_scales[name])}
                )
                for name, shape in self.shapes.items()
            ],
            "inputs": list(self.graph.inputs),
            "outputs": list(self.graph.outputs),
            "ops": self.ops,
        }
        text = json.dumps(header, ensure_ascii=False).encode()
        return _padded(MAGIC + struct.pack("<I", len(text)) + text) + bytes(self.data.bytes)

    def _lower(self, op: Op, output: str, relu: bool) -> None:
        """`output`: what the operator writes with the ReLU in it, if it has one."""
        scale = None if output in self.float16 else self.scales[output]
        match op:
            case Conv() if op.name in self.promoted:
                self._write("conv", op, output, **_window(op, relu), **_float_conv(op, scale, self.data))
            case Conv():
                integers = quantise_conv(op, self.scales[op.inputs[0]])
                self._write("conv", op, output, **_window(op, relu), **self._integers(op, output, integers))
            case Deconv():
                self._deconv(op, output, relu)
            case Add():
                first, second = (self.scales[name] for name in op.inputs)
                _require_equal(op, first, second)
                self._write("add", op, output, multiplier_bits=self._multiplier(op, first, output), relu=relu)
            case Mul() if output in self.graph.gates:
                self._table(op, self.graph.gates[output].inputs[0], silu)
            case Mul():
                first, second = (self.scales[name] for name in op.inputs)
                with np.errstate(over="ignore"):
                    product = first * second
                self._write("mul", op, output, multiplier_bits=self._multiplier(op, product, output))
            case Activation():
                self._table(op, op.inputs[0], sigmoid if op.function == "Sigmoid" else np.tanh)
            case Unary():
                self._table(op, op.inputs[0], UNARY[op.function])
            case LeakyRelu():
                self._table(op, op.inputs[0], leaky_relu(op.slope))
            case MaxPool() | AveragePool():
                self._require_all_equal(op, output)
                kind = "maxpool" if isinstance(op, MaxPool) else "avgpool"
                self._write(kind, op, output, kernel=list(op.kernel), stride=list(op.stride), pads=list(op.pads))
            case Resize():
                self._require_all_equal(op, output)
                self._write("resize", op, output, factor=list(op.factor))
            case Bilinear():
                bits = self._multiplier(op, self.scales[op.inputs[0]], output, 4 * math.prod(op.factor))
                self._write("bilinear", op, output, factor=list(op.factor), corner=op.corner, multiplier_bits=bits)
            case Relu() | Concat() | Max() | Min():
                self._require_all_equal(op, output)
                self._write(type(op).__name__.lower(), op, output)

    def _write(self, kind: str, op: Op, output: str, inputs: Sequence[str] = (), **fields: Any) -> None:
        self.shapes[output] = self.shapes.get(output) or self.graph.shapes[output]
        head = {"type": kind, "name": op.name, "inputs": list(inputs or op.inputs), "output": output}
        self.ops.append(head | fields)

    def _table(self, op: Op, source: str, function: Callable[[Real], Real]) -> None:
        values = table(function, self.scales[source], self.scales[op.output], self.rounding)
        self._write("table", op, op.output, [source], table=self.data.add(values))

    def _deconv(self, op: Deconv, output: str, relu: bool) -> None:
        """A convolution that writes a channel for each phase of the stride, and those side by side."""
        phases = f"{output}.phases"
        while phases in self.graph.shapes:
            phases += "_"
        integers = quantise_conv(op, self.scales[op.inputs[0]])
        convolution = by_phase(integers, op.stride)
        height, width = self.graph.shapes[op.inputs[0]][2:]
        taps = convolution.weight.shape[2:]
        self.shapes[phases] = (1, len(convolution.weight), height + taps[0] - 1, width + taps[1] - 1)
        self.tensor_scales[phases] = self.scales[output]
        around = [taps[0] - 1, taps[1] - 1] * 2
        window: dict[str, Any] = {
            "kernel": list(taps),
            "stride": [1, 1],
            "pads": around,
            "dilation": [1, 1],
            "groups": 1,
            "relu": relu,
        }
        body = self._integers(op, output, convolution)
        self._write("conv", op, phases, **window, **body)
        self._write("depthtospace", op, output, [phases], block=list(op.stride))

    def _integers(self, op: Conv | Deconv, output: str, integers: IntegerConv) -> dict[str, Any]:
        """The arrays of an INT8 convolution."""
        input_scale, output_scale = self.scales[op.inputs[0]], self.scales[output]
        products = int(np.prod(integers.weight.shape[1:]))
        largest_bias = int(np.abs(integers.bias.astype(np.int64)).max())
        if products * 128 * 127 + largest_bias >= 1 << 31:
            raise LoweringError(
                f"{op.name}: {products} products and a bias of {largest_bias} can overflow the int32 accumulator; "
                "use fewer input channels or a smaller kernel"
            )
        with np.errstate(over="ignore"):
            multiplier = (input_scale * integers.scale) / output_scale  # float32 at every step
        assert multiplier.dtype == np.float32
        _require_finite(op, multiplier)
        arrays: dict[str, npt.NDArray[Any]] = {
            "weights": integers.weight,
            "bias": integers.bias,
            "multiplier": multiplier,
        }
        return {name: self.data.add(values) for name, values in arrays.items()}

    def _multiplier(self, op: Op, scale: np.float32, output: str, divisor: int = 1) -> str:
        """Of a sum in steps of `scale`, `divisor` times too large; float32 at every step."""
        with np.errstate(over="ignore"):
            multiplier = np.float32(scale / self.scales[output]) / np.float32(divisor)
        _require_finite(op, np.array([multiplier]))
        return scale_bits(multiplier)

    def _require_all_equal(self, op: Op, output: str) -> None:
        for name in op.inputs:
            _require_equal(op, self.scales[name], self.scales[output])


def _float_conv(op: Conv, output_scale: np.float32 | None, data: _Data) -> dict[str, Any]:
    """What a promoted convolution has besides its window; output_scale: None where what it writes stays FP16."""
    try:
        weight = float16_weight(op)
    except ValueError as error:
        raise LoweringError(str(error)) from error
    body: dict[str, Any] = {
        "precision": "float16",
        "weights": data.add(weight),
        "bias": data.add(op.bias.astype(np.float32)),
    }
    if output_scale is not None:
        body["inverse_scale_bits"] = scale_bits(np.float32(1) / output_scale)  # finite: a scale is no subnormal
    return body


def _window(op: Conv, relu: bool) -> dict[str, Any]:
    return {
        "kernel": list(op.kernel),
        "stride": list(op.stride),
        "pads": list(op.pads),
        "dilation": list(op.dilation),
        "groups": op.groups,
        "relu": relu,
    }


def _require_equal(op: Op, one: np.float32, other: np.float32) -> None:
    if one != other:
        raise LoweringError(f"{op.name}: {type(op).__name__} needs equal scales, the map has {one} and {other}")


def _require_cap(op: Op, promoted: bool, scales: ScaleMap) -> None:
    """int8 saturates at 127 steps: a cap there or above it needs no clipping of its own."""
    if not isinstance(op, Relu) or math.isinf(op.cap):
        return
    if promoted:
        raise LoweringError(
            f"{op.name}: clips to {op.cap:g}, which the host engine does not do in FP16; keep it in INT8"
        )
    largest = 127 * float(scales[op.output])
    if largest > op.cap * (1 + 1e-6):
        raise LoweringError(
            f"{op.name}: clips to {op.cap:g}, but shares its scale with tensors that reach {largest:g}, and the host "
            "engine clips nowhere else than at the end of int8: use ReLU there"
        )


def _require_finite(op: Op, multiplier: npt.NDArray[np.float32]) -> None:
    if not np.isfinite(multiplier).all():
        raise LoweringError(f"{op.name}: a multiplier is not finite: the scales of its tensors lie too far apart")


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % ALIGNMENT)
