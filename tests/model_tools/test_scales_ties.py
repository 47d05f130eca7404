"""The scale map: ties applied once, the input exact, nothing without a usable range."""

import numpy as np
import onnx
import pytest
from export_small_graphs import Builder, every_operator, random_graph

from unina.dla import Graph, GraphError, ScaleError, ScaleMap, read_graph
from unina.dla.graph import Add, Concat, MaxPool, Relu, Resize
from unina.dla.scales import measured_tensors, scale_bits, scale_from_bits


def amax_of(graph: Graph, seed: int = 0) -> dict[str, float]:
    random = np.random.default_rng(seed)
    return {name: float(random.uniform(0.5, 20)) for name in measured_tensors(graph)}


def test_a_pre_activation_takes_the_scale_of_its_relu() -> None:
    b = Builder(0)
    conv = b.conv("images", 4)
    relu = b.relu(conv)
    graph = read_graph(b.model(b.conv(relu, 4)))
    assert measured_tensors(graph) == (relu, "out0")  # nothing is measured where only ReLU reads
    scales = ScaleMap.from_amax(graph, {relu: 12.7, "out0": 1.0})
    assert scales[conv] == scales[relu] == np.float32(12.7 / 127)


def test_a_tensor_that_relu_and_another_read_keeps_its_own_range_in_the_group() -> None:
    b = Builder(0)
    conv = b.conv("images", 4)
    relu = b.relu(conv)
    graph = read_graph(b.model(b.conv(relu, 4), b.conv(conv, 4)))
    scales = ScaleMap.from_amax(graph, {conv: 50.0, relu: 10.0, "out0": 1.0, "out1": 1.0})
    assert scales[conv] == scales[relu] == np.float32(50 / 127)


def test_ties_run_through_chains_and_take_the_largest_amax() -> None:
    b = Builder(0)
    left, right = b.relu(b.conv("images", 4)), b.conv("images", 4)
    joined = b.concat(b.maxpool(left), right)
    upper = b.resize(joined)
    other = b.conv("images", 4)
    total = b.add(right, other)  # ties `other` to `right`, and so to the concat
    graph = read_graph(b.model(b.conv(upper, 2), b.conv(total, 2)))
    amax = dict.fromkeys(measured_tensors(graph), 1.0) | {other: 9.0, total: 3.0}
    scales = ScaleMap.from_amax(graph, amax)
    for name in (left, right, joined, upper, other):
        assert scales[name] == np.float32(9 / 127), name
    assert scales[total] == np.float32(3 / 127)  # the output of an add is free


@pytest.mark.parametrize("seed", range(40))
def test_every_tie_of_the_dla_holds_in_random_graphs(seed: int) -> None:
    graph = read_graph(random_graph(seed))
    amax = amax_of(graph, seed)
    scales = ScaleMap.from_amax(graph, amax)
    assert tuple(scales) == tuple(graph.shapes)
    for op in graph.ops:
        if isinstance(op, Concat | MaxPool | Resize | Relu):
            assert {scales[name] for name in op.inputs} == {scales[op.output]}
        if isinstance(op, Add):
            assert scales[op.inputs[0]] == scales[op.inputs[1]]
    for name, value in amax.items():
        assert scales[name] >= np.float32(value / 127)  # a tie never clips
    assert scales["images"] == 1.0


def test_what_runs_in_fp16_or_interpolates_ties_nothing_and_a_silus_gate_needs_no_range() -> None:
    b = Builder(0)
    x = b.conv("images", 4)
    gate = b.unary("Sigmoid", x)
    silu = b.pair("Mul", x, gate)
    other = b.conv("images", 4)
    product, larger, upper = b.pair("Mul", silu, other), b.pair("Max", silu, other), b.bilinear(silu)
    graph = read_graph(b.model(b.conv(product, 2), b.conv(larger, 2), b.conv(upper, 2)))
    assert gate not in measured_tensors(graph)
    amax = dict.fromkeys(measured_tensors(graph), 1.0) | {x: 8.0, other: 4.0, product: 2.0, upper: 3.0}
    scales = ScaleMap.from_amax(graph, amax)
    assert [float(scales[name]) * 127 for name in (x, gate, product, upper)] == pytest.approx([8, 1, 2, 3])
    assert scales[silu] == scales[other] == scales[larger] == np.float32(4 / 127)  # a maximum selects


def test_the_network_input_is_exact_even_when_tied() -> None:
    b = Builder(0)
    pooled = b.maxpool("images")
    graph = read_graph(b.model(b.conv(pooled, 2)))
    scales = ScaleMap.from_amax(graph, {pooled: 400.0, "out0": 1.0})
    assert scales["images"] == scales[pooled] == np.float32(1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -1.0])
def test_an_unusable_range_is_refused_by_name(value: float) -> None:
    graph = read_graph(every_operator())
    amax = amax_of(graph)
    for name in amax:
        with pytest.raises(ScaleError, match=f"{name}: amax is "):
            ScaleMap.from_amax(graph, amax | {name: value})


@pytest.mark.parametrize("value", [1e-40, 1e-37])
def test_a_range_whose_scale_is_no_normal_float32_is_refused(value: float) -> None:
    b = Builder(0)
    graph = read_graph(b.model(b.conv("images", 2)))
    with pytest.raises(ScaleError, match="out0: amax"):
        ScaleMap.from_amax(graph, {"out0": value})


def test_a_missing_or_unknown_tensor_is_refused_by_name() -> None:
    graph = read_graph(every_operator())
    amax = amax_of(graph)
    missing = next(iter(amax))
    with pytest.raises(ScaleError, match=f"{missing}: calibration gave no amax"):
        ScaleMap.from_amax(graph, {n: v for n, v in amax.items() if n != missing})
    with pytest.raises(ScaleError, match="nonsense: the graph has no such tensor"):
        ScaleMap.from_amax(graph, amax | {"nonsense": 1.0})
    with pytest.raises(ScaleError, match="nonsense"):
        ScaleMap.from_amax(graph, amax)["nonsense"]


def test_scale_bits_are_big_endian_float32() -> None:
    assert scale_bits(np.float32(1) / np.float32(127)) == "3c010204"
    assert scale_bits(np.float32(1)) == "3f800000"
    assert scale_from_bits("3c00f9f4") == pytest.approx(0.99976 / 127, rel=1e-5)  # a line of an NVIDIA cache
    assert scale_from_bits(scale_bits(np.float32(0.1))) == np.float32(0.1)


def _with_attribute(model: onnx.ModelProto, kind: str, attribute: str, value: object) -> onnx.ModelProto:
    node = next(node for node in model.graph.node if node.op_type == kind)
    kept = [a for a in node.attribute if a.name != attribute]
    node.ClearField("attribute")
    node.attribute.extend([*kept, onnx.helper.make_attribute(attribute, value)])
    return model


@pytest.mark.parametrize(
    ("kind", "attribute", "value", "message"),
    [
        ("MaxPool", "ceil_mode", 1, "ceil_mode"),
        ("Resize", "mode", "cubic", "mode"),
        ("Resize", "coordinate_transformation_mode", "half_pixel", "asymmetric"),
        ("Conv", "auto_pad", "SAME_UPPER", "auto_pad"),
    ],
)
def test_what_the_engine_cannot_run_is_refused(kind: str, attribute: str, value: object, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        read_graph(_with_attribute(every_operator(), kind, attribute, value))


@pytest.mark.parametrize("kind", ["Erf", "Softmax"])
def test_a_graph_that_does_not_end_at_raw_maps_is_refused(kind: str) -> None:
    model = every_operator()
    node = model.graph.node[-1]
    model.graph.node.append(onnx.helper.make_node(kind, [f"{node.output[0]}_x"], [node.output[0]], "head/last"))
    node.output[0] += "_x"
    with pytest.raises(GraphError, match=f"head/last \\({kind}\\): operator {kind}"):
        read_graph(model)


def test_dynamic_shapes_and_constants_are_refused() -> None:
    model = every_operator()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    with pytest.raises(GraphError, match="images has a dynamic"):
        read_graph(model)
    b = Builder(0)
    total = b.add(b.conv("images", 4), b.constant(np.zeros((1, 4, 16, 24), np.float32)))
    with pytest.raises(GraphError, match="constant"):
        read_graph(b.model(total))
