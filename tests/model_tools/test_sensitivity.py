"""What INT8 costs layer by layer: measured as defined, ranked by what FP16 would take away for its price."""

import numpy as np
import onnx
import pytest
import torch
from export_small_graphs import Builder, every_operator, pictures, random_graph

from unina.compress.calibrate import calibrate
from unina.compress.float_graph import FloatGraph
from unina.compress.sensitivity import Sensitivity, measure_sensitivity
from unina.dla.graph import Conv, Graph
from unina.dla.graph_reader import read_graph
from unina.dla.scales import ScaleMap
from unina.dla.weights import quantise_conv
from unina.evaluate import OnnxMaps


def measured(model: onnx.ModelProto, count: int = 2) -> tuple[Graph, ScaleMap, Sensitivity]:
    """Every layer costs a millisecond in FP16."""
    graph, inputs = read_graph(model), pictures(model, count)
    scales = calibrate(model, inputs)
    return graph, scales, measure_sensitivity(graph, scales, inputs, lambda promoted: float(len(promoted)))


@pytest.mark.parametrize("seed", range(6))
def test_the_float_graph_computes_what_onnx_runtime_computes(seed: int) -> None:
    model = every_operator() if seed == 0 else random_graph(seed)
    network, x = FloatGraph(read_graph(model)), pictures(model, 1)[0]
    values = network.run(x)
    for name, expected in OnnxMaps(model)(x).items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("seed", range(6))
def test_what_lies_behind_a_change_is_all_that_changes(seed: int) -> None:
    """Replacing a tensor by itself changes nothing; by another, the same as computing everything with it."""
    model = every_operator() if seed == 0 else random_graph(seed)
    network = FloatGraph(read_graph(model))
    values, others = (network.run(x) for x in pictures(model, 2))
    for step in network.steps:
        for name, same in network.run_from(values, {step.output: values[step.output]}).items():
            torch.testing.assert_close(same, values[name], rtol=0, atol=0)
        whole = dict(values) | {step.output: others[step.output]}
        for later in network.steps[network.steps.index(step) + 1 :]:
            whole[later.output] = network._value(later, whole)
        for name, found in network.run_from(values, {step.output: others[step.output]}).items():
            torch.testing.assert_close(found, whole[name], rtol=0, atol=0)


def float_error(model: onnx.ModelProto, changed: onnx.ModelProto, scales: ScaleMap, inputs: list[np.ndarray]) -> float:
    """By ONNX Runtime: mean square of the outputs' differences over their variances, both cut to INT8's range."""
    total = 0.0
    pairs = [(OnnxMaps(model)(x), OnnxMaps(changed)(x)) for x in inputs]
    for name in pairs[0][0]:
        low, high = -128 * float(scales[name]), 127 * float(scales[name])
        exact, other = (np.stack([pair[i][name] for pair in pairs]).clip(low, high).astype(float) for i in (0, 1))
        total += ((exact - other) ** 2).mean() / exact.var()
    return total


def test_the_shares_are_what_each_change_alone_does_to_the_outputs() -> None:
    model = every_operator()
    graph, scales, found = measured(model)
    inputs = pictures(model, 2)
    errors = {}
    for op in (op for op in graph.ops if isinstance(op, Conv)):
        integers = quantise_conv(op, scales[op.inputs[0]])
        weights, output = onnx.ModelProto(), onnx.ModelProto()
        for copy in (weights, output):
            copy.CopyFrom(model)
        kept = (integers.weight * integers.scale[:, None, None, None]).astype(np.float32)
        node = next(node for node in weights.graph.node if node.name == op.name)
        for tensor in weights.graph.initializer:
            if tensor.name == node.input[1]:
                tensor.CopyFrom(onnx.numpy_helper.from_array(kept, tensor.name))
        relu = graph.fused_relu(op)
        round_tensor(output, op.output if relu is None else relu.output, scales)
        errors[op.name] = tuple(float_error(model, changed, scales, inputs) for changed in (weights, output))
    total = sum(map(sum, errors.values()))
    assert sum(layer.error for layer in found.layers) == pytest.approx(1)
    for layer in found.layers:
        expected = [error / total for error in errors[layer.name]]
        assert [layer.weights_error, layer.output_error] == pytest.approx(expected, rel=0.05, abs=2e-4), layer.name
    assert found.snr_db == pytest.approx(10 * np.log10(len(graph.outputs) / total), abs=0.2)


def round_tensor(model: onnx.ModelProto, tensor: str, scales: ScaleMap) -> None:
    """Puts Q/DQ onto one tensor."""
    nodes = list(model.graph.node)
    at = next(i for i, node in enumerate(nodes) if tensor in node.output)
    is_output = any(value.name == tensor for value in model.graph.output)
    source, target = (f"{tensor}_raw", tensor) if is_output else (tensor, f"{tensor}_rounded")
    nodes[at].output[0] = source
    for node in nodes[at + 1 :]:
        node.input[:] = [target if name == tensor else name for name in node.input]
    model.graph.initializer.extend(
        [
            onnx.numpy_helper.from_array(np.array(scales[tensor]), "s"),
            onnx.numpy_helper.from_array(np.array(0, np.int8), "z"),
        ]
    )
    pair = [
        onnx.helper.make_node("QuantizeLinear", [source, "s", "z"], ["q"]),
        onnx.helper.make_node("DequantizeLinear", ["q", "s", "z"], [target]),
    ]
    del model.graph.node[:]
    model.graph.node.extend([*nodes[: at + 1], *pair, *nodes[at + 1 :]])


def chain(spoilt: float) -> onnx.ModelProto:
    """Four convolutions in a row; one channel of the second one's output is `spoilt` times as large as the others."""
    b = Builder(3)
    x = b.relu(b.conv("images", 8, gain=1 / 64))
    x = b.relu(b.conv(x, 8))
    for tensor in b.tensors[2:4]:  # its weight and bias
        values = onnx.numpy_helper.to_array(tensor).copy()
        values[0] *= spoilt
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    x = b.relu(b.conv(x, 8))
    for tensor in b.tensors[4:5]:
        values = onnx.numpy_helper.to_array(tensor).copy()
        values[:, 0] /= spoilt
        tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return b.model(b.conv(x, 4, kernel=1))


def test_a_tensor_with_an_outlier_is_the_most_sensitive_and_promoted_with_its_reader() -> None:
    graph, _, found = measured(chain(100.0))
    convolutions = [op.name for op in graph.ops if isinstance(op, Conv)]
    first = found.by_error[0]
    assert first.name == convolutions[1] and first.output_error > 0.5
    assert first.removed == first.weights_error  # alone its output stays INT8, for its reader is
    assert found.removed(convolutions[1:3]) > 0.5
    assert tuple(convolutions[1:3]) in found.order(lambda promoted: float(len(promoted)))[:2]


def test_layers_that_cost_nothing_come_first() -> None:
    graph, _, found = measured(every_operator())
    convolutions = [op.name for op in graph.ops if isinstance(op, Conv)]
    free = convolutions[-1]
    order = found.order(lambda promoted: float(sum(name != free for name in promoted)))
    assert order[0] == (free,)
    stem = [op.name for op in graph.ops if isinstance(op, Conv) and op.inputs[0] == "images"]
    assert stem, "the DLA computes it in the precision of the picture"
    assert sorted(name for step in order for name in step) == sorted(set(convolutions) - set(stem))


def test_what_all_layers_in_fp16_leave_is_what_other_operators_need_in_int8() -> None:
    graph, _, found = measured(every_operator())
    convolutions = [op.name for op in graph.ops if isinstance(op, Conv)]
    assert found.removed(()) == 0
    kept = sum(
        layer.output_error
        for layer in found.layers
        if any(not isinstance(reader, Conv) for reader in graph.consumers[layer.output])
    )
    assert 0 < kept < 1
    assert found.removed(convolutions) == pytest.approx(1 - kept)


def test_no_picture_is_refused() -> None:
    model = every_operator()
    scales = calibrate(model, pictures(model, 1))
    with pytest.raises(ValueError, match="no pictures to measure the sensitivity on"):
        measure_sensitivity(read_graph(model), scales, [], lambda promoted: 0.0)
