"""The deploy graph with explicit quantisation: Q/DQ on every tensor, weights stored as int8 initialisers.

What TensorRT ≥ 11 and other runtimes load. A tensor keeps its name where it is produced (the name in the calibration
cache); its readers see `<name>_dequantized`. A graph output is produced as `<name>_raw` and keeps its name after DQ.

A convolution that runs in FP16 ("promoted") is one of float16 tensors, as strongly typed runtimes ask for it: a Cast
behind the DQ that it reads, weights and bias in float16, a Cast before the Q behind it. So are sigmoids, tanhs and
products, which the DLA has in FP16 alone. A tensor that is float16 in the
bundle (docs/integer-semantics.md) has no Q/DQ. The host engine keeps the bias in float32; that is the one difference.
ONNX Runtime's CPU has no FP16: it computes such a layer in float32 and rounds nothing. (Float32 weights between DQ and
Q would not do: it makes them INT8 by itself, WeightBiasQuantization.)
"""

from collections.abc import Collection

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from unina.dla.graph import Conv, Deconv
from unina.dla.graph_reader import read_graph
from unina.dla.precision import float16_tensors, float16_weight, smooth_layers
from unina.dla.scales import ScaleMap
from unina.dla.weights import quantise_conv


def quantised_model(model: onnx.ModelProto, scales: ScaleMap, promoted: Collection[str] = ()) -> onnx.ModelProto:
    """Inserts Q/DQ with the scales of the map; biases stay float.

    Args:
        promoted: names of convolutions that run in FP16.

    Raises:
        GraphError: the model is not a deploy graph.
        ScaleError: a tensor of the graph has no scale.
        ValueError: a promoted layer is no convolution of the graph, or a weight of it too large for FP16.
    """
    graph = read_graph(model)
    half = float16_tensors(graph, promoted)
    relus = {op.name: graph.fused_relu(op) for op in graph.ops if isinstance(op, Conv) and op.name in promoted}
    floats = {*relus, *smooth_layers(graph)}
    last = {name if (relu := relus.get(name)) is None else relu.name for name in floats}  # writes the layer's tensor
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

    def cast(source: str, target: str, to: int) -> str:
        if not any(target in node.output for node in nodes):  # two layers may read the same tensor
            nodes.append(helper.make_node("Cast", [source], [target], f"{target}/Cast", to=to))
        return target

    for tensor in graph.inputs:
        quantise(tensor)
    for op, original in zip(graph.ops, model.graph.node, strict=True):
        node = NodeProto()
        node.CopyFrom(original)
        real = [name if name in graph.outputs else f"{name}_dequantized" for name in op.inputs]
        if op.name in floats:
            node.input[: len(real)] = [
                x if x in half else cast(dequantised, f"{x}_half", TensorProto.FLOAT16)
                for x, dequantised in zip(op.inputs, real, strict=True)
            ]
            if isinstance(op, Conv):
                tensors.extend(_half_weights(op))
                node.input[1:] = [f"{op.output}_weight", f"{op.output}_bias"]
        elif op.name not in last:  # a ReLU inside a promoted layer reads what that writes
            node.input[: len(real)] = real
        if isinstance(op, Conv | Deconv) and op.name not in relus:
            weight, parameters = _weights(op, scales)
            tensors.extend(parameters)
            nodes.append(weight)
            node.input[1:] = [weight.output[0], f"{op.output}_bias"]
        nodes.append(node)
        if op.name in floats and op.name not in last:
            continue  # inside the layer
        is_output, stays_half = op.output in graph.outputs, op.output in half
        written = f"{op.output}_raw" if is_output and not stays_half else op.output
        if op.name in last and (is_output or not stays_half):
            node.output[0] = f"{op.output}_float16"
            cast(node.output[0], written, TensorProto.FLOAT)
        else:
            node.output[0] = written
        if not stays_half:
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


def _half_weights(op: Conv) -> list[TensorProto]:
    """Weight and bias of a promoted convolution; half to even."""
    largest = float(np.finfo(np.float16).max)
    bias = op.bias.clip(-largest, largest)  # what it writes is clamped there as well
    return [
        numpy_helper.from_array(float16_weight(op), f"{op.output}_weight"),
        numpy_helper.from_array(bias.astype(np.float16), f"{op.output}_bias"),
    ]


def _weights(op: Conv | Deconv, scales: ScaleMap) -> tuple[NodeProto, list[TensorProto]]:
    """The node that dequantises the weights of an INT8 convolution, and its initialisers and the bias."""
    integers = quantise_conv(op, scales[op.inputs[0]])
    prefix = f"{op.output}_weight"
    axis = 1 if isinstance(op, Deconv) else 0  # of the output channels
    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(integers.weight.swapaxes(0, axis)), f"{prefix}_quantized"),
        numpy_helper.from_array(integers.scale, f"{prefix}_scale"),
        numpy_helper.from_array(np.zeros(len(integers.scale), np.int8), f"{prefix}_zero_point"),
    ]
    inputs = [tensor.name for tensor in tensors]
    bias = numpy_helper.from_array(op.bias.astype(np.float32), f"{op.output}_bias")
    node = helper.make_node(
        "DequantizeLinear", inputs, [f"{prefix}_dequantized"], f"{prefix}/DequantizeLinear", axis=axis
    )
    return node, [*tensors, bias]
