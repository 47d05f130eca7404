"""Reads a deploy graph from ONNX and checks it while reading.

The limits are those of TensorRT's DLA layer restrictions (channel-axis concat, whole resizes, no constants).
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from unina.dla.graph import (
    Activation,
    Add,
    AveragePool,
    Bilinear,
    Concat,
    Conv,
    Deconv,
    Graph,
    GraphError,
    LeakyRelu,
    Max,
    MaxPool,
    Min,
    Mul,
    Op,
    Pair,
    Relu,
    Resize,
    Shape,
    Smooth,
    Unary,
)

Array = npt.NDArray[Any]
Reader = Callable[[onnx.NodeProto, dict[str, Any], Mapping[str, Array]], Op]


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
    weight = _weight(node, constants)
    _expect(node, attributes, "auto_pad", b"NOTSET")
    return Conv(
        node.name,
        (node.input[0],),
        node.output[0],
        weight,
        _bias(node, constants, weight.shape[0]),
        node.input[1],
        _pair(attributes.get("strides", [1, 1])),
        _four(attributes.get("pads", [0, 0, 0, 0])),
        _pair(attributes.get("dilations", [1, 1])),
        int(attributes.get("group", 1)),
    )


def _deconv(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Deconv:
    plain = {
        "auto_pad": b"NOTSET",
        "pads": [0] * 4,
        "output_padding": [0] * 2,
        "output_shape": None,
        "dilations": [1, 1],
        "group": 1,
    }
    for attribute, wanted in plain.items():
        _expect(node, attributes, attribute, wanted)
    weight = _weight(node, constants)
    bias = _bias(node, constants, weight.shape[1])
    stride = _pair(attributes.get("strides", [1, 1]))
    return Deconv(node.name, (node.input[0],), node.output[0], weight, bias, node.input[1], stride)


def _weight(node: onnx.NodeProto, constants: Mapping[str, Array]) -> npt.NDArray[np.float32]:
    if len(node.input) < 2 or node.input[1] not in constants:
        raise GraphError(f"{_where(node)}: the weights are not an initialiser")
    weight = constants[node.input[1]]
    if weight.ndim != 4 or weight.dtype != np.float32:
        raise GraphError(f"{_where(node)}: weights are {weight.dtype} {weight.shape}, not float32 and 4-D")
    return _finite(node, "weights", weight)


def _bias(node: onnx.NodeProto, constants: Mapping[str, Array], outputs: int) -> npt.NDArray[np.float32]:
    if len(node.input) < 3 or not node.input[2]:
        return np.zeros(outputs, np.float32)
    if node.input[2] not in constants:
        raise GraphError(f"{_where(node)}: the bias is not an initialiser")
    return _finite(node, "bias", constants[node.input[2]])


def _finite(node: onnx.NodeProto, what: str, values: Array) -> Array:
    if not np.isfinite(values).all():
        raise GraphError(f"{_where(node)}: the {what} hold NaN or infinity; the training run went wrong")
    return values


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


def _leaky_relu(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> LeakyRelu:
    return LeakyRelu(node.name, tuple(node.input), node.output[0], float(attributes.get("alpha", 0.01)))


def _activation(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Activation:
    function: Smooth = "Sigmoid" if node.op_type == "Sigmoid" else "Tanh"
    return Activation(node.name, tuple(node.input), node.output[0], function)


def _unary(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Unary:
    return Unary(node.name, tuple(node.input), node.output[0], node.op_type)


def _of_two(kind: type[Add] | type[Mul] | type[Max] | type[Min]) -> Reader:
    def read(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Op:
        return kind(node.name, tuple(node.input), node.output[0])

    return read


def _concat(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Concat:
    if attributes.get("axis") not in {1, -3}:
        axis = attributes.get("axis")
        raise GraphError(f"{_where(node)}: concat along axis {axis}; the DLA joins channels (axis 1) only")
    return Concat(node.name, tuple(node.input), node.output[0])


def _maxpool(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> MaxPool:
    _expect(node, attributes, "storage_order", 0)
    return MaxPool(node.name, tuple(node.input), node.output[0], *_pool_window(node, attributes))


def _averagepool(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> AveragePool:
    _expect(node, attributes, "count_include_pad", 0)
    return AveragePool(node.name, tuple(node.input), node.output[0], *_pool_window(node, attributes))


def _pool_window(node: onnx.NodeProto, attributes: dict[str, Any]) -> tuple[Pair, Pair, tuple[int, int, int, int]]:
    """Kernel, stride and pads."""
    for attribute, wanted in (("auto_pad", b"NOTSET"), ("ceil_mode", 0), ("dilations", [1, 1])):
        _expect(node, attributes, attribute, wanted)
    pads = _four(attributes.get("pads", [0, 0, 0, 0]))
    return _pair(attributes["kernel_shape"]), _pair(attributes.get("strides", [1, 1])), pads


def _resize(node: onnx.NodeProto, attributes: dict[str, Any], constants: Mapping[str, Array]) -> Resize | Bilinear:
    mode, corner = attributes.get("mode", b"nearest"), attributes.get("coordinate_transformation_mode", b"half_pixel")
    if mode == b"nearest" and (corner != b"asymmetric" or attributes.get("nearest_mode") != b"floor"):
        raise GraphError(f"{_where(node)}: resize must be asymmetric with nearest_mode floor")
    if mode == b"linear" and corner not in {b"half_pixel", b"asymmetric"}:
        raise GraphError(f"{_where(node)}: bilinear resize must be half_pixel or asymmetric")
    if mode not in {b"nearest", b"linear"}:
        raise GraphError(f"{_where(node)}: mode is {mode!r}; the DLA resizes nearest and linear")
    name = node.input[2] if len(node.input) > 2 else ""
    scales = constants.get(name)
    if scales is None or (len(node.input) > 3 and node.input[3]):
        raise GraphError(f"{_where(node)}: resize must be given constant scales, not sizes")
    factors = [float(value) for value in scales]
    if len(factors) != 4 or factors[:2] != [1, 1] or any(f < 1 or f != int(f) for f in factors):
        raise GraphError(f"{_where(node)}: resize scales {factors} are not 1, 1 and two whole numbers")
    factor = int(factors[2]), int(factors[3])
    if mode == b"nearest":
        return Resize(node.name, (node.input[0],), node.output[0], factor)
    return Bilinear(
        node.name, (node.input[0],), node.output[0], factor, "half_pixel" if corner == b"half_pixel" else "asymmetric"
    )


_READERS: dict[str, Reader] = {
    "Conv": _conv,
    "ConvTranspose": _deconv,
    "Relu": _relu,
    "Clip": _clip,
    "LeakyRelu": _leaky_relu,
    "Sigmoid": _activation,
    "Tanh": _activation,
    "Abs": _unary,
    "Sin": _unary,
    "Cos": _unary,
    "Atan": _unary,
    "Add": _of_two(Add),
    "Mul": _of_two(Mul),
    "Max": _of_two(Max),
    "Min": _of_two(Min),
    "Concat": _concat,
    "MaxPool": _maxpool,
    "AveragePool": _averagepool,
    "Resize": _resize,
}


def _check_shapes(op: Op, graph: Graph) -> None:
    shapes = [graph.shapes[name] for name in op.inputs]
    if isinstance(op, Conv) and op.weight.shape[1] * op.groups != shapes[0][1]:
        raise GraphError(f"{op.name}: {shapes[0][1]} input channels, the weights want {op.weight.shape[1] * op.groups}")
    if isinstance(op, Deconv) and op.weight.shape[0] != shapes[0][1]:
        raise GraphError(f"{op.name}: {shapes[0][1]} input channels, the weights want {op.weight.shape[0]}")
    if isinstance(op, Add | Max | Min) and (len(shapes) != 2 or shapes[0] != shapes[1]):
        raise GraphError(f"{op.name}: {type(op).__name__.lower()} of shapes {shapes}; two equal ones are needed")
    if isinstance(op, Mul) and (len(shapes) != 2 or shapes[1] not in {shapes[0], (*shapes[0][:2], 1, 1)}):
        raise GraphError(f"{op.name}: product of shapes {shapes}; the second is equal, or one factor a channel")
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
