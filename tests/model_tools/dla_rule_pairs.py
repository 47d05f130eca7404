"""For each rule that a node can break, the smallest network that breaks it and its neighbour that does not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from unina.dla.rules import Context
from unina.dla.tensorrt import TensorRt

INT8 = Context()
FP16 = replace(INT8, precision="fp16")
HWC4 = replace(INT8, input_format="dla_hwc4")
SPARSE = replace(INT8, sparse=True)
JETPACK_6_0 = replace(INT8, trt=TensorRt(8, 6, 2))
MAPS = (1, 8, 6, 6)

Operand = tuple[int, ...] | np.ndarray | str | None
Step = tuple[str, Sequence[Operand], Mapping[str, Any]]


def network(*steps: Step, opset: int = 17, kind: int = TensorProto.FLOAT, outputs: int = 1) -> onnx.ModelProto:
    """Operators one behind the other: an operand is a shape (a new input of the network), a constant, the name of a
    tensor ("t0" is what the first step writes) or None (left out)."""
    inputs, constants, nodes = [], [], []
    for number, (op, operands, attributes) in enumerate(steps):
        names = []
        for operand in operands:
            if isinstance(operand, tuple):
                inputs.append(helper.make_tensor_value_info(f"x{len(inputs)}", kind, operand))
                names.append(inputs[-1].name)
            elif isinstance(operand, np.ndarray):
                constants.append(numpy_helper.from_array(operand, f"c{len(constants)}"))
                names.append(constants[-1].name)
            else:
                names.append(operand or "")
        written = [f"t{number}", *(f"t{number}_{i}" for i in range(1, outputs))]
        domain, _, name = op.rpartition("::")
        nodes.append(helper.make_node(name, names, written, name=f"node{number}", domain=domain, **attributes))
    last = helper.make_tensor_value_info(f"t{len(steps) - 1}", TensorProto.UNDEFINED, None)
    graph = helper.make_graph(nodes, "g", inputs, [last], constants)
    domains = [helper.make_opsetid("", opset), helper.make_opsetid("example", 1)]
    return helper.make_model(graph, opset_imports=domains, ir_version=8)


def one(op: str, *operands: Operand, **attributes: Any) -> onnx.ModelProto:
    """A network of one operator."""
    return network((op, operands, attributes))


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


def whole(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


Shape = tuple[int, ...]


def conv(shape: Shape = MAPS, maps: int = 8, kernel: Shape = (3, 3), **given: Any) -> onnx.ModelProto:
    weight = np.broadcast_to(np.float32(1), (maps, shape[1] // given.get("group", 1), *kernel))
    return one("Conv", shape, np.ascontiguousarray(weight), **given)


def deconv(shape: Shape = MAPS, maps: int = 4, kernel: Shape = (2, 2), **given: Any) -> onnx.ModelProto:
    given.setdefault("strides", kernel)
    return one("ConvTranspose", shape, ones(shape[1], maps // given.get("group", 1), *kernel), **given)


def pool(kernel: int = 2, op: str = "MaxPool", dims: int = 2, **given: Any) -> onnx.ModelProto:
    return one(op, (1, 8, *[40] * dims), kernel_shape=[kernel] * dims, **given)


def resize(mode: str = "nearest", factor: float = 2, **given: Any) -> onnx.ModelProto:
    given = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} | given
    return one("Resize", MAPS, None, floats(1, 1, factor, factor), mode=mode, **given)


def compare(op: str = "Equal", then: str = "Cast") -> onnx.ModelProto:
    attributes = {"to": TensorProto.FLOAT} if then == "Cast" else {}
    return network((op, [MAPS, MAPS], {}), (then, ["t0"], attributes))


def sparse_conv(channels: int = 128, maps: int = 128, zeros: bool = True) -> onnx.ModelProto:
    weight = ones(maps, channels, 1, 1)
    if zeros:
        weight[:, ::2] = 0
    return one("Conv", (1, channels, 4, 4), weight)


@dataclass(frozen=True, eq=False)
class Pair:
    """A network that breaks a rule and one that keeps it, and what each is built for."""

    broken: onnx.ModelProto
    legal: onnx.ModelProto
    context: Context = INT8
    legal_context: Context | None = None


SAME = {"x0": 1.0, "x1": 1.0, "t0": 1.0}
RELU = one("Relu", MAPS)
ADD = one("Add", MAPS, MAPS)
CONCAT = one("Concat", MAPS, MAPS, axis=1)
SLICE = one("Slice", MAPS, whole(0), whole(4), whole(1))
QDQ = network(
    ("Relu", [MAPS], {}),
    ("QuantizeLinear", ["t0", np.array(0.1, np.float32), np.array(0, np.int8)], {}),
    ("DequantizeLinear", ["t1", np.array(0.1, np.float32), np.array(0, np.int8)], {}),
)
DQ_RELU = network(
    ("QuantizeLinear", [MAPS, np.array(0.1, np.float32), np.array(0, np.int8)], {}),
    ("DequantizeLinear", ["t0", np.array(0.1, np.float32), np.array(0, np.int8)], {}),
    ("Relu", ["t1"], {}),
)
BATCH_NORM = one("BatchNormalization", MAPS, ones(8), ones(8), ones(8), ones(8))
RESHAPE = network(("Relu", [MAPS], {}), ("Reshape", ["t0", whole(1, 4, 12, 6)], {}))


def scaled(**scales: float) -> Context:
    return replace(INT8, scales=SAME | scales)


PAIRS: dict[str, Pair] = {
    "version": Pair(RELU, RELU, replace(INT8, trt=TensorRt(10, 9)), INT8),
    "never": Pair(one("Gather", MAPS, whole(0, 1), axis=1), SLICE),
    "software-only": Pair(one("HardSwish", MAPS), RELU),
    "reduce-average": Pair(one("GlobalAveragePool", MAPS), pool(8, "AveragePool")),
    "reduce-kind": Pair(one("ReduceSum", MAPS, whole(1)), one("ReduceMax", MAPS, axes=[1])),
    "activation-function": Pair(one("Elu", MAPS), one("LeakyRelu", MAPS)),
    "unary-function": Pair(one("Neg", MAPS), one("Abs", MAPS)),
    "normalisation": Pair(one("InstanceNormalization", MAPS, ones(8), ones(8)), BATCH_NORM),
    "matmul-constant": Pair(one("MatMul", (1, 8), (8, 4)), one("MatMul", (1, 8), ones(8, 4))),
    "unknown": Pair(one("example::Thing", MAPS), RELU),
    "static-shapes": Pair(
        network(("example::Thing", [MAPS], {}), ("Relu", ["t0"], {})),
        network(("Relu", [MAPS], {}), ("Relu", ["t0"], {})),
    ),
    "data-type": Pair(network(("Add", [MAPS, MAPS], {}), kind=TensorProto.INT64), ADD),
    "rank": Pair(one("Relu", (1, 8, 36)), RELU),
    "fc-input": Pair(one("MatMul", (1, 6, 8), ones(8, 4)), one("MatMul", (6, 8), ones(8, 4))),
    "batch": Pair(one("Relu", (4097, 1, 1, 1)), one("Relu", (4096, 1, 1, 1))),
    "size": Pair(one("Relu", (1, 8193, 1, 1)), one("Relu", (1, 8192, 1, 1))),
    "batch-equal": Pair(one("Add", MAPS, (2, 8, 6, 6)), one("Add", (2, 8, 6, 6), (2, 8, 6, 6))),
    "batch-inputs": Pair(
        network(("Relu", [MAPS], {}), ("Relu", [(2, 8, 6, 6)], {})), network(("Relu", [MAPS], {}), ("Relu", [MAPS], {}))
    ),
    "constant": Pair(one("Add", MAPS, ones(*MAPS)), one("Add", MAPS, ones(1, 8, 1, 1))),
    "qdq": Pair(QDQ, DQ_RELU, INT8, replace(INT8, trt=TensorRt(11, 4, 1))),
    "qdq-explicit": Pair(QDQ, RELU, replace(INT8, trt=TensorRt(11, 4, 1)), INT8),
    "typed-precision": Pair(RELU, DQ_RELU, replace(INT8, trt=TensorRt(11, 4, 1))),
    "layer-precision": Pair(RELU, RELU, replace(INT8, fp16_layers=frozenset({"node0"})), FP16),
    "scale-missing": Pair(RELU, RELU, replace(INT8, scales={"x0": 1.0}), scaled()),
    "cast": Pair(network(("Relu", [MAPS], {}), ("Cast", ["t0"], {"to": TensorProto.FLOAT16})), compare()),
    "conv-dimensions": Pair(conv((1, 8, 6), kernel=(3,)), conv()),
    "conv-weights": Pair(one("Conv", MAPS, (8, 8, 3, 3)), conv()),
    "conv-kernel": Pair(conv((1, 8, 40, 6), kernel=(33, 1)), conv((1, 8, 40, 6), kernel=(32, 1))),
    "conv-padding": Pair(conv(pads=[3, 0, 0, 0]), conv(pads=[2, 0, 0, 0])),
    "conv-stride": Pair(conv((1, 8, 20, 20), strides=[9, 1]), conv((1, 8, 20, 20), strides=[8, 1])),
    "conv-dilation": Pair(conv((1, 8, 70, 6), dilations=[33, 1]), conv((1, 8, 70, 6), dilations=[32, 1])),
    "conv-maps": Pair(conv((1, 1, 2, 2), 8193, (1, 1)), conv((1, 1, 2, 2), 8192, (1, 1))),
    "conv-groups": Pair(
        conv((1, 8193, 1, 1), 8193, (1, 1), group=8193), conv((1, 8192, 1, 1), 8192, (1, 1), group=8192)
    ),
    "conv-groups-hwc4": Pair(conv(group=8), conv(group=4), HWC4),
    "conv-cbuf": Pair(conv((1, 1024, 1, 481), 1, (1, 1)), conv((1, 1024, 1, 480), 1, (1, 1))),
    "deconv-dimensions": Pair(deconv((1, 8, 6), kernel=(2,)), deconv()),
    "deconv-kernel": Pair(deconv(kernel=(33, 1), strides=[1, 1]), deconv(kernel=(32, 1), strides=[1, 1])),
    "deconv-stride": Pair(deconv(kernel=(32, 1), strides=[33, 1]), deconv(kernel=(32, 1), strides=[32, 1])),
    "deconv-square": Pair(deconv(kernel=(23, 23)), deconv(kernel=(22, 22))),
    "deconv-padding": Pair(deconv(pads=[1, 0, 0, 0]), deconv()),
    "deconv-groups": Pair(deconv(group=2), deconv()),
    "deconv-dilation": Pair(deconv(dilations=[2, 1]), deconv()),
    "deconv-channels": Pair(deconv((1, 8193, 1, 1), 1, (1, 1)), deconv((1, 8192, 1, 1), 1, (1, 1))),
    "deconv-overlap": Pair(deconv(kernel=(3, 3), strides=[2, 2]), deconv()),
    "pool-dimensions": Pair(pool(dims=1), pool()),
    "pool-window": Pair(pool(9), pool(8)),
    "pool-padding": Pair(pool(9, pads=[8, 0, 0, 0]), pool(8, pads=[7, 0, 0, 0])),
    "pool-stride": Pair(pool(strides=[17, 1]), pool(strides=[16, 1])),
    "pool-plain": Pair(pool(dilations=[2, 1]), pool(dilations=[1, 1])),
    "pool-scales": Pair(pool(), pool(), scaled(t0=2.0), scaled()),
    "reduce-max-version": Pair(one("GlobalMaxPool", MAPS), one("GlobalMaxPool", MAPS), JETPACK_6_0, INT8),
    "reduce-max-axes": Pair(one("ReduceMax", MAPS, axes=[0]), one("ReduceMax", MAPS, axes=[1])),
    "resize-sizes": Pair(
        one("Resize", MAPS, None, None, whole(1, 8, 12, 12), coordinate_transformation_mode="asymmetric",
            mode="nearest", nearest_mode="floor"),
        resize(),
    ),
    "resize-mode": Pair(resize("cubic"), resize("linear")),
    "resize-bilinear": Pair(resize("linear", 5), resize("linear", 4)),
    "resize-factors": Pair(resize(factor=33), resize(factor=32)),
    "resize-nearest": Pair(resize(nearest_mode="ceil"), resize()),
    "activation-sigmoid": Pair(one("Sigmoid", MAPS), RELU),
    "activation-clip": Pair(one("Clip", MAPS, floats(-1), floats(6)), one("Clip", MAPS, floats(0), floats(6))),
    "prelu-slope": Pair(one("PRelu", MAPS, ones(8, 1, 1)), one("PRelu", MAPS, ones(1, 8, 1, 1))),
    "elementwise-version": Pair(one("Div", MAPS, MAPS), one("Div", MAPS, MAPS), JETPACK_6_0, INT8),
    "elementwise-broadcast": Pair(one("Mul", MAPS, (1, 8, 1, 6)), one("Mul", MAPS, (1, 8, 1, 1))),
    "elementwise-scales": Pair(ADD, ADD, scaled(x1=2.0), scaled()),
    "comparison-version": Pair(compare("Less"), compare("Less"), JETPACK_6_0, INT8),
    "comparison-precision": Pair(compare(), compare(), FP16, INT8),
    "comparison-cast": Pair(compare(then="Not"), compare()),
    "comparison-explicit": Pair(compare(), ADD),
    "scale-shift": Pair(one("BatchNormalization", MAPS, (8,), ones(8), ones(8), ones(8)), BATCH_NORM),
    "softmax-precision": Pair(one("Softmax", (1, 8, 1, 1), axis=1), RELU),
    "softmax-axis": Pair(one("Softmax", (1, 1025, 2, 2), axis=1), one("Softmax", (1, 1024, 2, 2), axis=1), FP16),
    "softmax-approximate": Pair(one("Softmax", MAPS, axis=1), one("Softmax", (1, 8, 1, 1), axis=1), FP16),
    "unary-version": Pair(one("Sin", MAPS), one("Sin", MAPS), JETPACK_6_0, INT8),
    "lrn-window": Pair(one("LRN", MAPS, size=11), one("LRN", MAPS, size=9), FP16),
    "lrn-precision": Pair(one("LRN", MAPS, size=5), one("LRN", MAPS, size=5), INT8, FP16),
    "concat-axis": Pair(one("Concat", MAPS, MAPS, axis=2), CONCAT),
    "concat-inputs": Pair(one("Concat", MAPS, axis=1), CONCAT),
    "concat-sizes": Pair(one("Concat", MAPS, (1, 8, 6, 5), axis=1), CONCAT),
    "concat-scales": Pair(CONCAT, CONCAT, scaled(t0=2.0), scaled()),
    "slice-static": Pair(
        network(
            ("Cast", [(1,)], {"to": TensorProto.INT64}),
            ("Slice", [MAPS, "t0", whole(4), whole(1)], {}),
        ),
        SLICE,
    ),
    "slice-batch": Pair(
        one("Slice", (2, 8, 6, 6), whole(0), whole(1), whole(0)),
        one("Slice", (2, 8, 6, 6), whole(0), whole(1), whole(1)),
    ),
    "slice-step": Pair(
        one("Slice", MAPS, whole(0), whole(6), whole(2), whole(2)),
        one("Slice", MAPS, whole(0), whole(6), whole(2), whole(1)),
    ),
    "slice-precision": Pair(SLICE, SLICE, replace(INT8, trt=TensorRt(8, 5, 2)), INT8),
    "slice-int8": Pair(SLICE, SLICE, INT8, FP16),
    "shuffle-batch": Pair(
        one("Reshape", (2, 8, 6, 6), whole(1, 16, 6, 6)), one("Reshape", (2, 8, 6, 6), whole(2, 4, 12, 6))
    ),
    "transpose-batch": Pair(
        one("Transpose", (2, 8, 6, 6), perm=[1, 0, 2, 3]), one("Transpose", (2, 8, 6, 6), perm=[0, 2, 1, 3])
    ),
    "shuffle-beside": Pair(
        network(("Slice", [MAPS, whole(0), whole(4), whole(1)], {}), ("Reshape", ["t0", whole(1, 4, 6, 6)], {})),
        RESHAPE,
    ),
    "sparsity-precision": Pair(sparse_conv(), sparse_conv(), replace(SPARSE, precision="fp16"), SPARSE),
    "sparsity-format": Pair(sparse_conv(), sparse_conv(), replace(HWC4, sparse=True), SPARSE),
    "sparsity-channels": Pair(sparse_conv(64), sparse_conv(68), SPARSE),
    "sparsity-kernels": Pair(sparse_conv(maps=67), sparse_conv(maps=66), SPARSE),
    "sparsity-weights": Pair(sparse_conv(516, 512), sparse_conv(512, 512), SPARSE),
    "sparsity-pattern": Pair(sparse_conv(zeros=False), sparse_conv(), SPARSE),
}  # fmt: skip
