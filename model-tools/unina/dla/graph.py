"""A deploy graph as data: six operators over static 1×C×H×W tensors, read from ONNX and checked while reading.

The operators are those that the DLA runs in INT8 and the host engine implements (docs/integer-semantics.md); their
limits are those of TensorRT's DLA layer restrictions (channel-axis concat, integer nearest resize, no constants).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

Shape = tuple[int, int, int, int]
Pair = tuple[int, int]
Array = npt.NDArray[Any]


class GraphError(ValueError):
    """The ONNX graph is not one that can be deployed; the text names the node or tensor."""


@dataclass(frozen=True, eq=False)
class Conv:
    """2-D cross-correlation: `weight` float32 O×(I/groups)×k_h×k_w, `bias` float32 O, `pads` top left bottom right."""

    name: str
    inputs: tuple[str, ...]
    output: str
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    weight_name: str
    stride: Pair
    pads: tuple[int, int, int, int]
    dilation: Pair
    groups: int

    @property
    def kernel(self) -> Pair:
        """Height and width."""
        return self.weight.shape[2], self.weight.shape[3]


@dataclass(frozen=True)
class Relu:
    """`min(max(x, 0), cap)`: ONNX's Relu, or its Clip from 0 to `cap` (ReLU6)."""

    name: str
    inputs: tuple[str, ...]
    output: str
    cap: float = math.inf


@dataclass(frozen=True)
class Add:
    """The sum of two tensors of one shape."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Concat:
    """Joins along the channel axis."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class MaxPool:
    """The largest value in a window; `pads` are top, left, bottom, right."""

    name: str
    inputs: tuple[str, ...]
    output: str
    kernel: Pair
    stride: Pair
    pads: tuple[int, int, int, int]


@dataclass(frozen=True)
class Resize:
    """Nearest neighbour, `out[y][x] = in[y / f_h][x / f_w]`."""

    name: str
    inputs: tuple[str, ...]
    output: str
    factor: Pair


Op = Conv | Relu | Add | Concat | MaxPool | Resize


@dataclass(frozen=True, eq=False)
class Graph:
    """Operators in execution order; `shapes` has every tensor, the input first, then in the order of writing."""

    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, Shape]

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Op, ...]]:
        """The operators that read each tensor."""
        found: dict[str, list[Op]] = {name: [] for name in self.shapes}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                found[name].append(op)
        return {name: tuple(ops) for name, ops in found.items()}

    def is_pre_activation(self, tensor: str) -> bool:
        """Whether ReLU is all that ever sees the tensor: its negative half is cut before anything quantises it."""
        readers = self.consumers[tensor]
        return bool(readers) and tensor not in self.outputs and all(isinstance(op, Relu) for op in readers)

    def fused_relu(self, op: Op) -> Relu | None:
        """The ReLU that the DLA and the host engine run inside `op`: sole reader of a convolution's or add's output."""
        readers = self.consumers[op.output]
        if isinstance(op, Conv | Add) and len(readers) == 1 and self.is_pre_activation(op.output):
            relu = readers[0]
            assert isinstance(relu, Relu)
            return relu
        return None


def read_graph(model: onnx.ModelProto) -> Graph:
    """Reads and checks a deploy graph.

    Raises:
        GraphError: an operator, attribute, constant or shape that the DLA or the host engine does not run.
    """
    proto = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.initializer}
    shapes = _static_shapes(model)
    inputs = tuple(value.name for value in proto.input if value.name not in constants)
    known: dict[str, Shape] = {name: _shape(shapes, name) for name in inputs}
    ops: list[Op] = []
    for node in proto.node:
        op = _op(node, constants)
        for name in op.inputs:
            if name in constants:
                raise GraphError(
                    f"{_where(node)}: input {name} is a constant; the DLA has none, fold it into a convolution"
                )
            if name not in known:
                raise GraphError(f"{_where(node)}: input {name} is read before it is written")
        if op.output in known:
            raise GraphError(f"{_where(node)}: tensor {op.output} is written twice")
        known[op.output] = _shape(shapes, op.output)
        ops.append(op)
    outputs = tuple(value.name for value in proto.output)
    for name in outputs:
        if name not in known:
            raise GraphError(f"output {name} is written by no node")
    graph = Graph(tuple(ops), inputs, outputs, known)
    for op in graph.ops:
        _check_shapes(op, graph)
    return graph


def _op(node: onnx.NodeProto, constants: Mapping[str, Array]) -> Op:
    reader = _READERS.get(node.op_type)
    if reader is None or node.domain not in {"", "ai.onnx"}:
        raise GraphError(f"{_where(node)}: operator {node.op_type} is not one of {', '.join(_READERS)}")
    if len(node.output) != 1:
        raise GraphError(f"{_where(node)}: {len(node.output)} outputs instead of one")
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    return reader(node, attributes, constants)


def _conv(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Conv:
    if len(node.input) < 2 or node.input[1] not in constants:
        raise GraphError(f"{_where(node)}: the weights are not an initialiser")
    weight = constants[node.input[1]]
    if weight.ndim != 4 or weight.dtype != np.float32:
        raise GraphError(f"{_where(node)}: weights are {weight.dtype} {weight.shape}, not float32 O×I×k_h×k_w")
    bias = np.zeros(weight.shape[0], np.float32)
    if len(node.input) > 2 and node.input[2]:
        if node.input[2] not in constants:
            raise GraphError(f"{_where(node)}: the bias is not an initialiser")
        bias = constants[node.input[2]]
    for what, values in (("weights", weight), ("bias", bias)):
        if not np.isfinite(values).all():
            raise GraphError(f"{_where(node)}: the {what} hold NaN or infinity; the training run went wrong")
    _expect(node, attributes, "auto_pad", b"NOTSET")
    return Conv(
        node.name,
        (node.input[0],),
        node.output[0],
        weight,
        bias,
        node.input[1],
        _pair(attributes.get("strides", [1, 1])),
        _four(attributes.get("pads", [0, 0, 0, 0])),
        _pair(attributes.get("dilations", [1, 1])),
        int(attributes.get("group", 1)),
    )


def _relu(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Relu:
    return Relu(node.name, tuple(node.input), node.output[0])


def _clip(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Relu:
    bounds = [constants.get(name) for name in node.input[1:]]
    if len(bounds) != 2 or any(bound is None or bound.size != 1 for bound in bounds):
        raise GraphError(f"{_where(node)}: clip must be given two constants")
    least, most = (float(bound.item()) for bound in bounds if bound is not None)
    if least != 0 or not most > 0:
        raise GraphError(f"{_where(node)}: clips to {least:g} … {most:g}; the DLA clips from 0 to something above")
    return Relu(node.name, (node.input[0],), node.output[0], most)


def _add(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Add:
    return Add(node.name, tuple(node.input), node.output[0])


def _concat(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Concat:
    if attributes.get("axis") not in {1, -3}:
        axis = attributes.get("axis")
        raise GraphError(f"{_where(node)}: concat along axis {axis}; the DLA joins channels (axis 1) only")
    return Concat(node.name, tuple(node.input), node.output[0])


def _maxpool(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> MaxPool:
    for attribute, wanted in (("auto_pad", b"NOTSET"), ("ceil_mode", 0), ("storage_order", 0), ("dilations", [1, 1])):
        _expect(node, attributes, attribute, wanted)
    kernel, pads = _pair(attributes["kernel_shape"]), _four(attributes.get("pads", [0, 0, 0, 0]))
    return MaxPool(node.name, tuple(node.input), node.output[0], kernel, _pair(attributes.get("strides", [1, 1])), pads)


def _resize(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Resize:
    _expect(node, attributes, "mode", b"nearest")
    if attributes.get("coordinate_transformation_mode") != b"asymmetric" or attributes.get("nearest_mode") != b"floor":
        raise GraphError(f"{_where(node)}: resize must be asymmetric with nearest_mode floor")
    name = node.input[2] if len(node.input) > 2 else ""
    scales = constants.get(name)
    if scales is None or (len(node.input) > 3 and node.input[3]):
        raise GraphError(f"{_where(node)}: resize must be given constant scales, not sizes")
    factors = [float(value) for value in scales]
    if len(factors) != 4 or factors[:2] != [1, 1] or any(f < 1 or f != int(f) for f in factors):
        raise GraphError(f"{_where(node)}: resize scales {factors} are not 1, 1 and two whole numbers")
    return Resize(node.name, (node.input[0],), node.output[0], (int(factors[2]), int(factors[3])))


_READERS: dict[str, Callable[[onnx.NodeProto, dict[str, Any], Mapping[str, Array]], Op]] = {
    "Conv": _conv,
    "Relu": _relu,
    "Clip": _clip,
    "Add": _add,
    "Concat": _concat,
    "MaxPool": _maxpool,
    "Resize": _resize,
}


def _check_shapes(op: Op, graph: Graph) -> None:
    shapes = [graph.shapes[name] for name in op.inputs]
    if isinstance(op, Conv) and op.weight.shape[1] * op.groups != shapes[0][1]:
        raise GraphError(f"{op.name}: {shapes[0][1]} input channels, the weights want {op.weight.shape[1] * op.groups}")
    if isinstance(op, Add) and (len(shapes) != 2 or shapes[0] != shapes[1]):
        raise GraphError(f"{op.name}: add of shapes {shapes}; the DLA does not broadcast")
    if isinstance(op, Concat) and (len(shapes) < 2 or len({shape[2:] for shape in shapes}) != 1):
        raise GraphError(f"{op.name}: concat of shapes {shapes}; two or more of equal height and width are needed")


def _static_shapes(model: onnx.ModelProto) -> dict[str, tuple[int, ...] | None]:
    try:
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    except Exception as error:  # onnx raises its own types, whose base differs between versions
        raise GraphError(f"shape inference failed: {str(error).splitlines()[0]}") from error
    values = [*inferred.graph.input, *inferred.graph.value_info, *inferred.graph.output]
    found: dict[str, tuple[int, ...] | None] = {}
    for value in values:
        dimensions = value.type.tensor_type.shape.dim
        static = all(dimension.HasField("dim_value") for dimension in dimensions)
        found[value.name] = tuple(dimension.dim_value for dimension in dimensions) if static else None
    return found


def _shape(shapes: Mapping[str, tuple[int, ...] | None], name: str) -> Shape:
    shape = shapes.get(name)
    if shape is None:
        raise GraphError(f"tensor {name} has a dynamic or unknown shape; the DLA takes static shapes only")
    if len(shape) != 4 or shape[0] != 1 or min(shape) < 1:
        raise GraphError(f"tensor {name} has shape {shape}; expected 1×C×H×W")
    return shape[0], shape[1], shape[2], shape[3]


def _expect(node: onnx.NodeProto, attributes: dict[str, Any], attribute: str, wanted: Any) -> None:
    value = attributes.get(attribute, wanted)
    if value != wanted:
        raise GraphError(f"{_where(node)}: {attribute} is {value!r}, only {wanted!r} is supported")


def _where(node: onnx.NodeProto) -> str:
    return f"node {node.name or '?'} ({node.op_type})"


def _pair(values: list[int]) -> Pair:
    return int(values[0]), int(values[1])


def _four(values: list[int]) -> tuple[int, int, int, int]:
    return int(values[0]), int(values[1]), int(values[2]), int(values[3])
