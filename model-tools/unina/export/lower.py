"""Lowers a deploy graph to the integers of the host engine: the `host.loadable` of docs/bundle.md.

Numbers follow docs/integer-semantics.md to the order of the float32 operations.
"""

import json
import struct
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unina.dla.graph import Add, Concat, Conv, Graph, MaxPool, Op, Relu, Resize
from unina.dla.scales import ScaleMap, scale_bits
from unina.dla.weights import quantise_conv

MAGIC = b"UNINAHL1"
ALIGNMENT = 64
Rounding = Literal["half-away", "half-even"]


class LoweringError(ValueError):
    """The graph cannot be computed in int32 or float32; the text names the operator and the numbers."""


def lower(graph: Graph, scales: ScaleMap, rounding: Rounding = "half-away") -> bytes:
    """The bytes of the loadable.

    Raises:
        ScaleError: a tensor of the graph has no scale.
        LoweringError: an accumulator could overflow, a multiplier is not finite, or scales that must be equal differ.
    """
    data = _Data()
    ops: list[dict[str, Any]] = []
    fused: set[str] = set()
    for op in graph.ops:
        if op.output in fused:
            continue
        relu = graph.fused_relu(op)
        if relu is not None:
            fused.add(relu.output)
        output = op.output if relu is None else relu.output
        head = {"type": type(op).__name__.lower(), "name": op.name, "inputs": list(op.inputs), "output": output}
        ops.append(head | _body(op, output, relu is not None, scales, data))
    written = {*graph.inputs, *(op["output"] for op in ops)}
    header = {
        "version": 1,
        "rounding": rounding,
        "data_bytes": len(data.bytes),
        "tensors": [
            {"name": name, "shape": list(shape), "scale_bits": scales.bits(name)}
            for name, shape in graph.shapes.items()
            if name in written
        ],
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "ops": ops,
    }
    text = json.dumps(header, ensure_ascii=False).encode()
    return _padded(MAGIC + struct.pack("<I", len(text)) + text) + bytes(data.bytes)


@dataclass
class _Data:
    """The data block: arrays one behind the other, each at a multiple of 64 bytes."""

    bytes: bytearray = field(default_factory=bytearray)

    def add(self, array: npt.NDArray[Any]) -> int:
        """Appends an array, little-endian, and returns its offset."""
        offset = len(self.bytes)
        self.bytes += _padded(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
        return offset


def _body(op: Op, output: str, relu: bool, scales: ScaleMap, data: _Data) -> dict[str, Any]:
    match op:
        case Conv():
            return _conv(op, output, relu, scales, data)
        case Add():
            first, second = (scales[name] for name in op.inputs)
            _require_equal(op, first, second)
            multiplier = np.float32(first / scales[output])
            _require_finite(op, np.array([multiplier]))
            return {"multiplier_bits": scale_bits(multiplier), "relu": relu}
        case MaxPool():
            _require_equal(op, scales[op.inputs[0]], scales[output])
            return {"kernel": list(op.kernel), "stride": list(op.stride), "pads": list(op.pads)}
        case Resize():
            _require_equal(op, scales[op.inputs[0]], scales[output])
            return {"factor": list(op.factor)}
        case Relu() | Concat():
            for name in op.inputs:
                _require_equal(op, scales[name], scales[output])
            return {}


def _conv(op: Conv, output: str, relu: bool, scales: ScaleMap, data: _Data) -> dict[str, Any]:
    input_scale, output_scale = scales[op.inputs[0]], scales[output]
    integers = quantise_conv(op, input_scale)
    products = int(np.prod(op.weight.shape[1:]))
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
    return {
        "kernel": list(op.kernel),
        "stride": list(op.stride),
        "pads": list(op.pads),
        "dilation": list(op.dilation),
        "groups": op.groups,
        "relu": relu,
        "weights": data.add(integers.weight),
        "bias": data.add(integers.bias),
        "multiplier": data.add(multiplier),
    }


def _require_equal(op: Op, one: np.float32, other: np.float32) -> None:
    if one != other:
        raise LoweringError(f"{op.name}: {type(op).__name__} needs equal scales, the map has {one} and {other}")


def _require_finite(op: Op, multiplier: npt.NDArray[np.float32]) -> None:
    if not np.isfinite(multiplier).all():
        raise LoweringError(f"{op.name}: a multiplier is not finite: the scales of its tensors lie too far apart")


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % ALIGNMENT)
