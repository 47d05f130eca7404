"""The same network as ONNX: integer (QLinearConv) and with Q/DQ, for the engines that ours is compared with.

In the integer graph every activation has scale 1 and the multiplier of a convolution stands in the place of its weight
scales: the factor that ONNX Runtime computes, s_in · s_w / s_out, is then the loadable's own float32, bit for bit.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import onnx
from loadable_writer import Network
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


class GraphWriter:
    """Nodes and initializers of one graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: Any) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=f"{kind}:{output}", **attributes))
        return output

    def model(self, inputs: list[Any], outputs: list[Any]) -> bytes:
        graph = helper.make_graph(self.nodes, "network", inputs, outputs, list(self.constants.values()))
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        data: bytes = model.SerializeToString()
        return data


def window_attributes(op: dict[str, Any]) -> dict[str, Any]:
    attributes = {"kernel_shape": op["kernel"], "strides": op["stride"], "pads": op["pads"]}
    if op["type"] == "conv":
        attributes |= {"dilations": op["dilation"], "group": op["groups"]}
    return attributes


def values(network: Network, names: list[str], element: int) -> list[Any]:
    return [helper.make_tensor_value_info(name, element, [1, *network.shape(name)]) for name in names]


def selection(graph: GraphWriter, op: dict[str, Any], inputs: list[str], output: str) -> str:
    """Concat, maxpool and resize: the same in every arithmetic."""
    if op["type"] == "concat":
        return graph.node("Concat", inputs, output, axis=1)
    if op["type"] == "maxpool":
        return graph.node("MaxPool", inputs, output, **window_attributes(op))
    if op["type"] != "resize":
        raise ValueError(f"{op['output']}: no twin of {op['type']} in ONNX is written here; time a network without it")
    y, x = op["factor"]
    factors = graph.constant(f"factors_{y}_{x}", np.array([1, 1, y, x], np.float32))
    attributes = {
        "mode": "nearest",
        "nearest_mode": "floor",
        "coordinate_transformation_mode": "asymmetric",
    }
    return graph.node("Resize", [inputs[0], "", factors], output, **attributes)


def integer_graph(network: Network, activations: str = "int8") -> bytes:
    """Integers in and out: QLinearConv, then ReLU on integers; QLinearAdd where tensors are added.

    activations: "int8", or "uint8" for the same values with 128 added, for which ONNX Runtime has its fast kernels.
    """
    graph = GraphWriter()
    element, nothing = (TensorProto.INT8, np.int8(0)) if activations == "int8" else (TensorProto.UINT8, np.uint8(128))
    one, zero = graph.constant("one", np.float32(1)), graph.constant("zero", nothing)

    def relu(source: str, output: str) -> None:
        if activations == "int8":
            graph.node("Relu", [source], output)
        else:
            graph.node("Clip", [source, zero], output)

    for op in network.ops:
        output = op["output"]
        raw = f"{output}:raw" if op.get("relu") else output
        if op["type"] == "conv":
            weights = graph.constant(f"{output}:w", op["weights"])
            scales = graph.constant(f"{output}:m", op["multiplier"])
            zeros = graph.constant(f"{output}:z", np.zeros(len(op["multiplier"]), np.int8))
            bias = graph.constant(f"{output}:b", op["bias"])
            inputs = [op["inputs"][0], one, zero, weights, scales, zeros, one, zero, bias]
            graph.node("QLinearConv", inputs, raw, **window_attributes(op))
        elif op["type"] == "add":
            m = graph.constant(f"{output}:m", np.float32(struct.unpack(">f", bytes.fromhex(op["multiplier_bits"]))[0]))
            a, b = op["inputs"]
            graph.node("QLinearAdd", [a, m, zero, b, m, zero, one, zero], raw, domain="com.microsoft")
        elif op["type"] == "relu":
            relu(op["inputs"][0], output)
        else:
            selection(graph, op, op["inputs"], output)
        if op.get("relu"):
            relu(raw, output)
    return graph.model(values(network, network.inputs, element), values(network, network.outputs, element))


def qdq_graph(network: Network) -> bytes:
    """float32 in, float32 out: Q/DQ around every tensor, int8 weights, what exporters write for the DLA."""
    graph = GraphWriter()
    zero = graph.constant("zero", np.int8(0))

    def quantise(name: str, source: str) -> None:
        scale = graph.constant(f"{name}:s", network.scale(name))
        graph.node("QuantizeLinear", [source, scale, zero], f"{name}:q")
        graph.node("DequantizeLinear", [f"{name}:q", scale, zero], f"{name}:dq")

    for name in network.inputs:
        quantise(name, name)
    for op in network.ops:
        output = op["output"]
        inputs = [f"{name}:dq" for name in op["inputs"]]
        result = f"{output}:float"
        raw = f"{output}:raw" if op.get("relu") else result
        if op["type"] == "conv":
            scale_in, scale_out = network.scale(op["inputs"][0]), network.scale(output)
            weight_scales = (op["multiplier"] * scale_out / scale_in).astype(np.float32)
            zeros = graph.constant(f"{output}:z", np.zeros(len(weight_scales), np.int8))
            scales = graph.constant(f"{output}:ws", weight_scales)
            weights = graph.constant(f"{output}:w", op["weights"])
            graph.node("DequantizeLinear", [weights, scales, zeros], f"{output}:wdq", axis=0)
            bias = graph.constant(f"{output}:b", (op["bias"] * weight_scales * scale_in).astype(np.float32))
            graph.node("Conv", [inputs[0], f"{output}:wdq", bias], raw, **window_attributes(op))
        elif op["type"] == "add":
            graph.node("Add", inputs, raw)
        elif op["type"] == "relu":
            graph.node("Relu", inputs, result)
        else:
            selection(graph, op, inputs, result)
        if op.get("relu"):
            graph.node("Relu", [raw], result)
        quantise(output, result)
    for name in network.outputs:
        graph.node("Identity", [f"{name}:dq"], name)
    real = TensorProto.FLOAT
    return graph.model(values(network, network.inputs, real), values(network, network.outputs, real))
