"""The deploy graph with explicit quantisation: Q/DQ on every tensor, weights stored as int8 initialisers.

What TensorRT ≥ 11 and other runtimes load. A tensor keeps its name where it is produced (the name in the calibration
cache); its readers see `<name>_dequantized`. A graph output is produced as `<name>_raw` and keeps its name after DQ.

A convolution that runs in FP16 ("promoted") has its weights as float32 that FP16 holds exactly, and no Q/DQ between it
and its ReLU; a tensor that is float16 has none at all (docs/integer-semantics.md). That runtimes compute it in FP16, as
the host engine does, is not expressed: they see float32.
"""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from unina.dla.graph import Conv, read_graph
from unina.dla.precision import float16_tensors
from unina.dla.scales import ScaleMap
from unina.dla.weights import quantise_conv


def quantised_model(model: onnx.ModelProto, scales: ScaleMap, promoted: Collection[str] = ()) -> onnx.ModelProto:
    """Inserts Q/DQ with the scales of the map; biases stay float.

    Args:
        promoted: names of convolutions that run in FP16.

    Raises:
        GraphError: the model is not a deploy graph.
        ScaleError: a tensor of the graph has no scale.
        ValueError: a promoted layer is no convolution of the graph.
    """
    graph = read_graph(model)
    plain = set(float16_tensors(graph, promoted))
    for op in graph.ops:
        if isinstance(op, Conv) and op.name in promoted and graph.fused_relu(op) is not None:
            plain.add(op.output)  # inside the layer: it is not rounded before its ReLU
    nodes: list[NodeProto] = []
    tensors: list[TensorProto] = [numpy_helper.from_array(np.array(0, np.int8), "zero_point")]

    def quantise(tensor: str) -> None:
        is_output = tensor in graph.outputs
        source, target = (f"{tensor}_raw", tensor) if is_output else (tensor, f"{tensor}_dequantized")
        tensors.append(numpy_helper.from_array(np.array(scales[tensor]), f"{tensor}_scale"))
        parameters = [f"{tensor}_scale", "zero_point"]
        integers = f"{tensor}_quantized"
        nodes.append(helper.make_node("QuantizeLinear", [source, *parameters], [integers], f"{tensor}/QuantizeLinear"))
        nodes.append(
            helper.make_node("DequantizeLinear", [integers, *parameters], [target], f"{tensor}/DequantizeLinear")
        )

    for tensor in graph.inputs:
        quantise(tensor)
    for op, original in zip(graph.ops, model.graph.node, strict=True):
        node = NodeProto()
        node.CopyFrom(original)
        for position, name in enumerate(op.inputs):
            node.input[position] = name if name in graph.outputs or name in plain else f"{name}_dequantized"
        if isinstance(op, Conv):
            weight, parameters = _half_weights(op) if op.name in promoted else _weights(op, scales, nodes)
            tensors.extend(parameters)
            node.input[1:] = [weight, f"{op.output}_bias"]
        if op.output in graph.outputs and op.output not in plain:
            node.output[0] = f"{op.output}_raw"
        nodes.append(node)
        if op.output not in plain:
            quantise(op.output)

    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]  # the scales of resizes
    quantised = onnx.ModelProto()
    quantised.CopyFrom(model)
    for field in ("node", "initializer", "value_info"):
        quantised.graph.ClearField(field)
    quantised.graph.node.extend(nodes)
    quantised.graph.initializer.extend([*kept, *tensors])
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


def _half_weights(op: Conv) -> tuple[str, list[TensorProto]]:
    """Name and initialisers of a promoted convolution's weights."""
    name = f"{op.output}_weight"
    half = op.weight.astype(np.float16).astype(np.float32)  # half to even
    return name, [numpy_helper.from_array(half, name), _bias(op)]


def _weights(op: Conv, scales: ScaleMap, nodes: list[NodeProto]) -> tuple[str, list[TensorProto]]:
    """The same of an INT8 convolution; adds the node that dequantises them."""
    integers = quantise_conv(op, scales[op.inputs[0]])
    prefix = f"{op.output}_weight"
    tensors = [
        numpy_helper.from_array(integers.weight, f"{prefix}_quantized"),
        numpy_helper.from_array(integers.scale, f"{prefix}_scale"),
        numpy_helper.from_array(np.zeros(len(integers.scale), np.int8), f"{prefix}_zero_point"),
    ]
    inputs, name = [tensor.name for tensor in tensors], f"{prefix}_dequantized"
    nodes.append(helper.make_node("DequantizeLinear", inputs, [name], f"{prefix}/DequantizeLinear", axis=0))
    return name, [*tensors, _bias(op)]


def _bias(op: Conv) -> TensorProto:
    return numpy_helper.from_array(op.bias.astype(np.float32), f"{op.output}_bias")
