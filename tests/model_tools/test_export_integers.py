"""The Q/DQ graph and the lowered loadable say the same as each other, and nearly the same as the float graph."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from export_integer_reference import Loadable, header_and_data
from export_onnxruntime import run as run_onnx
from export_small_graphs import Builder, every_later_operator, every_operator, pictures, random_graph

from unina.compress.calibrate import calibrate
from unina.dla import Graph, ScaleMap, read_graph
from unina.dla.scales import measured_tensors
from unina.export.lower import LoweringError, lower
from unina.export.qdq import quantised_model

EXACT = {"relu", "concat", "maxpool", "resize", "max", "min"}


def with_every_integer(qdq: onnx.ModelProto) -> onnx.ModelProto:
    """The Q/DQ model with all its int8 activations as further outputs."""
    model = onnx.ModelProto()
    model.CopyFrom(qdq)
    names = [node.output[0] for node in qdq.graph.node if node.op_type == "QuantizeLinear"]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.INT8, None) for n in names)
    return model


def assert_each_operator_agrees(model: onnx.ModelProto, rounding: str, seed: int) -> None:
    """Every operator of the loadable, fed with ONNX Runtime's own integers, is at most one step from its integers."""
    scales = calibrate(model, pictures(model, 3, seed))
    loadable = Loadable(lower(read_graph(model), scales, rounding))
    qdq = with_every_integer(quantised_model(model, scales))
    same, total = Counter(), Counter()
    for x in pictures(model, 2, seed + 1000):
        results = run_onnx(qdq, x, optimise=False)
        integers = {name: results[f"{name}_quantized"] for name in loadable.shapes if f"{name}_quantized" in results}
        np.testing.assert_array_equal(integers["images"], x.astype(np.int8))
        for op in loadable.header["ops"]:
            found = loadable.apply(op, integers)
            if op["output"] not in integers:  # of a transposed convolution before its phases are put together
                assert op["output"].endswith(".phases")
                integers[op["output"]] = found
                continue
            apart = np.abs(found.astype(int) - integers[op["output"]].astype(int))
            assert apart.max() <= (0 if op["type"] in EXACT else 1), op["name"]
            kind = "half" if op["type"] in {"table", "mul"} else "whole"
            same[kind] += (apart == 0).sum()
            total[kind] += apart.size
    assert same["whole"] / total["whole"] > 0.99
    if total["half"]:  # ONNX Runtime rounds what these read and write to FP16
        assert same["half"] / total["half"] > 0.8


@pytest.mark.parametrize("rounding", ["half-away", "half-even"])
def test_every_operator_agrees_with_onnx_runtime_on_the_qdq_graph(rounding: str) -> None:
    assert_each_operator_agrees(every_operator(), rounding, 0)
    assert_each_operator_agrees(every_later_operator(), rounding, 0)


@pytest.mark.parametrize("seed", range(40))
def test_operators_of_random_graphs_agree_with_onnx_runtime_on_the_qdq_graph(seed: int) -> None:
    assert_each_operator_agrees(random_graph(seed), "half-even", seed)


@pytest.mark.parametrize("seed", range(40))
def test_operators_of_random_graphs_with_later_ones_agree_too(seed: int) -> None:
    assert_each_operator_agrees(random_graph(seed, later=True), "half-even", seed)


@pytest.mark.parametrize("seed", range(10))
def test_whole_random_graphs_agree_with_onnx_runtime_on_the_qdq_graph(seed: int) -> None:
    model = random_graph(seed)
    scales = calibrate(model, pictures(model, 3, seed))
    loadable, qdq = Loadable(lower(read_graph(model), scales, "half-even")), quantised_model(model, scales)
    for x in pictures(model, 2, seed + 1000):
        integers = loadable.run({"images": x.astype(np.int8)})
        for name, values in run_onnx(qdq, x).items():  # optimised: its float kernels round where they like
            apart = np.abs(integers[name].astype(int) - np.rint(values / scales[name]).astype(int))
            assert (apart <= 1).mean() > 0.99, name
            assert (apart == 0).mean() > 0.9, name


@pytest.mark.parametrize(("make", "decibels"), [(every_operator, 25), (every_later_operator, 15)])
def test_int8_stays_close_to_float(make: Callable[[], onnx.ModelProto], decibels: float) -> None:
    model = make()
    scales = calibrate(model, pictures(model, 4))
    loadable = Loadable(lower(read_graph(model), scales))
    for x in pictures(model, 4):
        integers = loadable.run({"images": x.astype(np.int8)})
        for name, values in run_onnx(model, x).items():
            y = values.clip(-128 * scales[name], 127 * scales[name])
            noise = y - integers[name] * scales[name]
            assert 10 * np.log10((y**2).mean() / (noise**2).mean()) > decibels, name


def test_the_qdq_graph_quantises_every_tensor_and_stores_weights_as_int8() -> None:
    model = every_operator()
    graph = read_graph(model)
    qdq = quantised_model(model, _scales(graph))
    initialisers = {t.name: onnx.numpy_helper.to_array(t) for t in qdq.graph.initializer}
    quantised = {node.input[0].removesuffix("_raw") for node in qdq.graph.node if node.op_type == "QuantizeLinear"}
    assert quantised == set(graph.shapes)
    producers = {node.output[0]: node for node in qdq.graph.node}
    for node in qdq.graph.node:
        if node.op_type in {"QuantizeLinear", "DequantizeLinear"}:
            assert (initialisers[node.input[2]] == 0).all()
            continue
        for name in [n for n in node.input[:2] if n and n not in initialisers]:
            assert producers[name].op_type == "DequantizeLinear", (node.name, name)
        if node.op_type == "Conv":
            weight, scale = (initialisers[name] for name in producers[node.input[1]].input[:2])
            assert weight.dtype == np.int8 and np.abs(weight.astype(int)).max(axis=(1, 2, 3)).tolist() == [127] * len(
                weight
            )
            original = next(op for op in graph.ops if op.name == node.name)
            np.testing.assert_array_equal(scale, np.abs(original.weight).max(axis=(1, 2, 3)) / np.float32(127))
            np.testing.assert_array_equal(initialisers[node.input[2]], original.bias)
    assert [o.name for o in qdq.graph.output] == list(graph.outputs)
    assert sum(t.nbytes for t in initialisers.values() if t.dtype == np.float32 and t.ndim == 4) == 0


def test_the_loadable_has_the_multipliers_of_the_definition() -> None:
    model = every_operator()
    graph = read_graph(model)
    scales = _scales(graph)
    header, data = header_and_data(lower(graph, scales))
    convs = {op.name: op for op in graph.ops if hasattr(op, "weight")}
    assert len([op for op in header["ops"] if op["type"] == "conv"]) == len(convs)
    for op in header["ops"]:
        if op["type"] != "conv":
            continue
        conv = convs[op["name"]]
        s_in, s_out = scales[op["inputs"][0]], scales[op["output"]]
        for k, weights in enumerate(conv.weight):
            s_w = np.float32(np.abs(weights).max()) / np.float32(127)
            product = np.float32(s_in * s_w)
            expected = np.float32(product / s_out)
            found = np.frombuffer(data, "<f4", 1, op["multiplier"] + 4 * k)[0]
            assert found == expected and found.dtype == np.float32
            bias = round(float(conv.bias[k]) / (float(s_in) * float(s_w)))  # Python rounds half to even
            assert np.frombuffer(data, "<i4", 1, op["bias"] + 4 * k)[0] == bias


def test_relu_is_fused_into_conv_and_add_and_its_input_vanishes() -> None:
    graph = read_graph(every_operator())
    header, _ = header_and_data(lower(graph, _scales(graph), "half-even"))
    assert header["rounding"] == "half-even"
    kinds = [op["type"] for op in header["ops"]]
    assert "relu" not in kinds
    assert [op["relu"] for op in header["ops"] if op["type"] == "add"] == [True, False]
    names = {t["name"] for t in header["tensors"]}
    assert not any(graph.is_pre_activation(name) for name in names)


def test_a_relu_whose_input_another_operator_reads_stays_apart() -> None:
    b = Builder(0)
    conv = b.conv("images", 4)
    graph = read_graph(b.model(b.conv(b.relu(conv), 4), b.conv(conv, 4)))
    header, _ = header_and_data(lower(graph, _scales(graph)))
    assert [op["type"] for op in header["ops"]] == ["conv", "relu", "conv", "conv"]
    assert header["ops"][0]["relu"] is False


def test_a_loadable_has_the_version_that_its_operators_need() -> None:
    versions = []
    for model in (every_operator(), every_later_operator()):
        graph = read_graph(model)
        versions.append(header_and_data(lower(graph, _scales(graph)))[0]["version"])
    assert versions == [1, 3]


def test_a_silu_is_one_table_and_its_gate_no_tensor_of_int8() -> None:
    b = Builder(0)
    x = b.conv("images", 4)
    gate = b.unary("Sigmoid", x)
    graph = read_graph(b.model(b.conv(b.pair("Mul", gate, x), 4)))
    scales = _scales(graph)
    header, data = header_and_data(lower(graph, scales))
    assert [op["type"] for op in header["ops"]] == ["conv", "table", "conv"]
    assert gate not in {tensor["name"] for tensor in header["tensors"]}
    table = np.frombuffer(data, np.int8, 256, header["ops"][1]["table"])
    for q in (-128, -3, 0, 1, 127):
        real = q * float(scales[header["ops"][1]["inputs"][0]])
        steps = real / (1 + np.exp(-real)) / float(scales[header["ops"][1]["output"]])
        assert abs(table[q + 128] - min(steps, 127)) <= 0.5


def test_a_sigmoid_that_others_read_is_a_table_of_its_own() -> None:
    b = Builder(0)
    x = b.conv("images", 4)
    gate = b.unary("Sigmoid", x)
    graph = read_graph(b.model(b.conv(b.pair("Mul", x, gate), 4), b.conv(gate, 4)))
    header, _ = header_and_data(lower(graph, _scales(graph)))
    assert [op["type"] for op in header["ops"]] == ["conv", "table", "mul", "conv", "conv"]


def test_lowering_twice_gives_the_same_bytes() -> None:
    graph = read_graph(every_operator())
    assert lower(graph, _scales(graph)) == lower(graph, _scales(graph))


def test_an_accumulator_that_could_overflow_is_refused_by_name() -> None:
    b = Builder(0, channels=132_200, height=1, width=1)
    graph = read_graph(b.model(b.conv("images", 1, kernel=1)))
    with pytest.raises(LoweringError, match=r"n0/Conv: 132200 products .* can overflow the int32 accumulator"):
        lower(graph, _scales(graph))


def test_scales_that_break_a_tie_are_refused_by_name() -> None:
    graph = read_graph(every_operator())
    scales = dict(_scales(graph))
    concat = next(op for op in graph.ops if type(op).__name__ == "Concat")
    scales[concat.output] = np.float32(0.5)
    with pytest.raises(LoweringError, match=concat.name):
        lower(graph, ScaleMap(scales))


def test_channels_of_zeros_and_dying_channels_keep_their_bias() -> None:
    b = Builder(3, height=4, width=4)
    model = b.model(b.conv("images", 3, kernel=1))
    weight = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    weight[0], weight[1] = 0, 1e-30  # a pruned channel, and one that weight decay has all but killed
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weight, model.graph.initializer[0].name))
    model.graph.initializer[1].CopyFrom(
        onnx.numpy_helper.from_array(np.array([0.5, -0.75, 0.1], np.float32), model.graph.initializer[1].name)
    )
    graph = read_graph(model)
    scales = ScaleMap({"images": np.float32(1), "out0": np.float32(0.01)})
    x = pictures(model, 1)[0]
    out = Loadable(lower(graph, scales)).run({"images": x.astype(np.int8)})["out0"]
    np.testing.assert_allclose(out[0, 0] * 0.01, 0.5, atol=0.011)
    np.testing.assert_allclose(out[0, 1] * 0.01, -0.75, atol=0.011)


def _scales(graph: Graph) -> ScaleMap:
    random = np.random.default_rng(1)
    return ScaleMap.from_amax(graph, {name: float(random.uniform(1, 9)) for name in measured_tensors(graph)})
