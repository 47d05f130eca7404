"""Lowers a deploy graph to the integers of the host engine, and to FP16 where a layer is promoted: `host.loadable`.

The format is that of docs/bundle.md. Numbers follow docs/integer-semantics.md to the order of the float32 operations.
"""

import json
import math
import struct
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unina.dla.graph import Add, Concat, Conv, Graph, MaxPool, Op, Relu, Resize
from unina.dla.precision import float16_tensors, float16_weight
from unina.dla.scales import ScaleMap, scale_bits
from unina.dla.weights import quantise_conv

MAGIC = b"UNINAHL1"
ALIGNMENT = 64
Rounding = Literal["half-away", "half-even"]


class LoweringError(ValueError):
    """The graph cannot be computed in int32, float32 or FP16; the text names the operator and the numbers."""


def lower(graph: Graph, scales: ScaleMap, rounding: Rounding = "half-away", promoted: Collection[str] = ()) -> bytes:
    """The bytes of the loadable.

    Args:
        promoted: names of the convolutions that run in FP16; without any, the loadable is of version 1.

    Raises:
        ScaleError: an int8 tensor of the graph has no scale.
        LoweringError: an accumulator could overflow, a multiplier is not finite, scales that must be equal differ, or
            a weight is too large for FP16.
        ValueError: a promoted layer that is no convolution of the graph.
    """
    float16 = float16_tensors(graph, promoted)
    data = _Data()
    ops: list[dict[str, Any]] = []
    fused: set[str] = set()
    for op in graph.ops:
        if op.output in fused:
            continue
        relu = graph.fused_relu(op)
        if relu is not None:
            fused.add(relu.output)
        _require_cap(relu if relu is not None else op, op.name in promoted, scales)
        output = op.output if relu is None else relu.output
        head = {"type": type(op).__name__.lower(), "name": op.name, "inputs": list(op.inputs), "output": output}
        if op.name in promoted and isinstance(op, Conv):
            scale = None if output in float16 else scales[output]
            ops.append(head | _float_conv(op, scale, relu is not None, data))
        else:
            ops.append(head | _body(op, output, relu is not None, scales, data))
    written = {*graph.inputs, *(op["output"] for op in ops)}
    header = {
        "version": 2 if promoted else 1,
        "rounding": rounding,
        "data_bytes": len(data.bytes),
        "tensors": [
            {"name": name, "shape": list(shape)}
            | ({"type": "float16"} if name in float16 else {"scale_bits": scales.bits(name)})
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
    return _window(op, relu) | {
        "weights": data.add(integers.weight),
        "bias": data.add(integers.bias),
        "multiplier": data.add(multiplier),
    }


def _float_conv(op: Conv, output_scale: np.float32 | None, relu: bool, data: _Data) -> dict[str, Any]:
    """A promoted convolution; output_scale: None where what it writes stays FP16."""
    try:
        weight = float16_weight(op)
    except ValueError as error:
        raise LoweringError(str(error)) from error
    body = _window(op, relu) | {
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
