"""Lowering with convolutions in FP16: which tensors are float16, what the engine computes, and nothing else changed."""

import hashlib

import numpy as np
import onnx
import pytest
from export_integer_reference import header_and_data
from export_onnxruntime import run as run_onnx
from export_small_graphs import Builder, every_operator, pictures, random_graph

from unina.dla import Graph, ScaleMap, read_graph
from unina.dla.graph import Conv, Relu
from unina.dla.precision import float16_tensors
from unina.dla.scales import measured_tensors
from unina.evaluate.raw_maps import HostMaps, dequantised
from unina.export.lower import LoweringError, lower


def scales_of(graph: Graph) -> ScaleMap:
    random = np.random.default_rng(1)
    return ScaleMap.from_amax(graph, {name: float(random.uniform(1, 9)) for name in measured_tensors(graph)})


def convolutions(graph: Graph) -> list[Conv]:
    return [op for op in graph.ops if isinstance(op, Conv)]


def small_graph() -> tuple[Graph, ScaleMap]:
    """Two convolutions whose numbers are exact, one of them with a ReLU."""
    weight = ((np.arange(4 * 3 * 3 * 3, dtype=np.float32) - 50) / 64).reshape(4, 3, 3, 3)
    thin = weight[:, :2, :1, :1].repeat(2, 1)
    bias = np.arange(4, dtype=np.float32) / 8
    first = Conv("c", ("images",), "x", weight, bias, "w", (2, 2), (1, 1, 1, 1), (1, 1), 1)
    last = Conv("d", ("y",), "out", thin, np.zeros(4, np.float32), "v", (1, 1), (0, 0, 0, 0), (1, 1), 1)
    shapes = {"images": (1, 3, 6, 8), "x": (1, 4, 3, 4), "y": (1, 4, 3, 4), "out": (1, 4, 3, 4)}
    graph = Graph((first, Relu("r", ("x",), "y"), last), ("images",), ("out",), shapes)
    steps = {"images": 1.0, "x": 0.5, "y": 0.5, "out": 0.25}
    return graph, ScaleMap({name: np.float32(step) for name, step in steps.items()})


def test_a_graph_all_in_int8_gives_the_bytes_that_it_gave_before_there_was_fp16() -> None:
    loadable = lower(*small_graph())
    assert hashlib.sha256(loadable).hexdigest() == "4cf3bd7dcb569cead461efcfdb9aefca0b7d6a573dbfabdc6afbd18c27e17a21"
    assert header_and_data(loadable)[0]["version"] == 1


def test_a_promoted_layer_brings_its_own_numbers_and_version_2() -> None:
    graph, scales = small_graph()
    header, data = header_and_data(lower(graph, scales, promoted=["c"]))
    assert header["version"] == 2
    assert header["tensors"][1] == {"name": "y", "shape": [1, 4, 3, 4], "scale_bits": "3f000000"}
    first, last = header["ops"]
    assert "precision" not in last and "multiplier" not in first
    assert first["precision"] == "float16" and first["inverse_scale_bits"] == "40000000" and first["relu"]
    weight = graph.ops[0].weight
    np.testing.assert_array_equal(
        np.frombuffer(data, "<f2", weight.size, first["weights"]), weight.ravel().astype(np.float16)
    )
    np.testing.assert_array_equal(np.frombuffer(data, "<f4", 4, first["bias"]), graph.ops[0].bias)

    header, _ = header_and_data(lower(graph, scales, promoted=["c", "d"]))
    assert [tensor.get("type") for tensor in header["tensors"]] == [None, "float16", "float16"]
    assert not any("inverse_scale_bits" in op for op in header["ops"])


def test_a_tensor_is_float16_where_nothing_in_int8_reads_it() -> None:
    b = Builder(0)
    stem = b.relu(b.conv("images", 4))
    graph = read_graph(b.model(b.conv(stem, 4), b.add(stem, b.conv(stem, 4))))
    stem_name, map_name, branch_name = (op.name for op in convolutions(graph))
    relu = next(op.output for op in graph.ops if isinstance(op, Relu))
    assert float16_tensors(graph, []) == frozenset()
    assert float16_tensors(graph, [map_name]) == {"out0"}
    assert float16_tensors(graph, [stem_name, map_name, branch_name]) == {"out0"}, "the add reads stem and branch"
    b = Builder(0)
    stem = b.relu(b.conv("images", 4))
    graph = read_graph(b.model(b.conv(stem, 4), b.conv(stem, 4)))
    names = [op.name for op in convolutions(graph)]
    assert float16_tensors(graph, names) == {relu, "out0", "out1"}
    assert float16_tensors(graph, names[:2]) == {"out0"}


def test_an_output_that_int8_reads_as_well_stays_int8() -> None:
    graph, scales = small_graph()
    graph = Graph(graph.ops, graph.inputs, ("y", "out"), graph.shapes)
    assert float16_tensors(graph, ["c"]) == frozenset()
    assert float16_tensors(graph, ["c", "d"]) == {"y", "out"}
    header, _ = header_and_data(lower(graph, scales, promoted=["c", "d"]))
    assert header["outputs"] == ["y", "out"]


@pytest.mark.parametrize("seed", range(5))
def test_with_every_convolution_in_fp16_only_the_int8_operators_lose(seed: int) -> None:
    model = random_graph(seed)
    graph = read_graph(model)
    # Scales from what the tensors hold, so that int8 in between cuts nothing off.
    every = onnx.ModelProto()
    every.CopyFrom(model)
    every.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name, shape in graph.shapes.items()
        if name not in (*graph.inputs, *graph.outputs)
    )
    x = pictures(model, 1, seed)[0]
    found = run_onnx(every, x)
    amax = {name: float(np.abs(found[name]).max()) for name in measured_tensors(graph) if name in found}
    scales = ScaleMap.from_amax(graph, {"images": 127.0, **amax})

    def snr(promoted: list[str]) -> float:
        host = HostMaps(lower(graph, scales, promoted=promoted), threads=1)
        maps = dequantised(host(x.astype(np.int8)), host.scales)
        ratios = [np.square(found[n]).mean() / np.square(found[n] - maps[n]).mean() for n in graph.outputs]
        return float(10 * np.log10(min(ratios)))

    names = [op.name for op in convolutions(graph)]
    outputs = [op.name for op in convolutions(graph) if op.output in graph.outputs]
    plain, some, all_of_them = snr([]), snr(outputs), snr(names)
    assert all_of_them > plain + 0.5 and some > plain


def test_a_chain_in_fp16_alone_is_the_float_network_within_what_fp16_resolves() -> None:
    b = Builder(5)
    stem = b.relu(b.conv("images", 8, stride=2, gain=1 / 64))
    model = b.model(b.conv(b.relu(b.conv(stem, 16, groups=4, dilation=2)), 5, kernel=1), b.conv(stem, 4))
    graph = read_graph(model)
    host = HostMaps(lower(graph, scales_of(graph), promoted=[op.name for op in convolutions(graph)]), threads=1)
    assert host.scales == {}
    x = pictures(model, 1)[0]
    # The picture's own scale is not 1 here: what the engine sees is s · q.
    expected = run_onnx(model, x * scales_of(graph)["images"])
    for name, found in host(x.astype(np.int8)).items():
        assert found.dtype == np.float16
        # A few roundings to 11 bits, each of values no larger than the largest.
        np.testing.assert_allclose(found, expected[name], atol=2.0**-9 * np.abs(expected[name]).max())


def test_what_fp16_cannot_hold_is_refused_by_name() -> None:
    graph, scales = small_graph()
    graph.ops[0].weight[1, 2, 0, 1] = 65520.0  # rounds to infinity; 65519 does not
    with pytest.raises(LoweringError, match="c: a weight of 65520 has no place in FP16"):
        lower(graph, scales, promoted=["c"])
    graph.ops[0].weight[1, 2, 0, 1] = 65519.0
    lower(graph, scales, promoted=["c"])


def test_a_layer_that_is_no_convolution_is_refused_by_name() -> None:
    graph = read_graph(every_operator())
    relu = next(op.name for op in graph.ops if isinstance(op, Relu))
    for name in (relu, "nothing"):
        with pytest.raises(ValueError, match=f"'{name}' is to run in FP16"):
            lower(graph, scales_of(graph), promoted=[name])
