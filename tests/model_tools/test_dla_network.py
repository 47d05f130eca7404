"""Any ONNX network as data: constants folded as TensorRT folds them, shapes static or the file refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from dla_rule_pairs import MAPS, conv, network, one, ones
from onnx import helper, numpy_helper

from unina.dla.network import NetworkError, read_network


def test_constants_fold_into_the_nodes_that_read_them() -> None:
    model = network(
        ("Shape", [MAPS], {}),
        ("Gather", ["t0", np.int64([0, 1])], {"axis": 0}),
        ("Concat", ["t1", np.int64([-1])], {"axis": 0}),
        ("Reshape", ["x0", "t2"], {}),
    )
    found = read_network(model)
    assert [node.op for node in found.nodes] == ["Reshape"]
    assert found.shape("t3") == (1, 8, 36)
    assert found.constants["t2"].tolist() == [1, 8, -1]


def test_weights_shared_through_identity_keep_their_shapes() -> None:
    weight = numpy_helper.from_array(ones(4, 8, 3, 3), "w")
    nodes = [
        helper.make_node("Identity", ["w"], ["shared"]),
        helper.make_node("Conv", ["x", "shared"], ["y"], name="conv"),
    ]
    given = helper.make_tensor_value_info("x", 1, MAPS)
    out = helper.make_tensor_value_info("y", 0, None)
    model = helper.make_model(helper.make_graph(nodes, "g", [given], [out], [weight]))
    found = read_network(model)
    assert [node.name for node in found.nodes] == ["conv"]
    assert found.shape("y") == (1, 4, 4, 4) and found.shape("shared") == (4, 8, 3, 3)


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_quantised_weights_fold_at_every_opset(opset: int) -> None:
    weight = np.arange(-8, 8, dtype=np.int8).reshape(2, 8, 1, 1)
    scales, zeros = np.float32([0.5, 0.25]), np.zeros(2, np.int8)
    model = network(("DequantizeLinear", [weight, scales, zeros], {"axis": 0}), ("Conv", [MAPS, "t0"], {}), opset=opset)
    found = read_network(model)
    assert [node.op for node in found.nodes] == ["Conv"]
    assert np.array_equal(found.constants["t0"], weight * scales[:, None, None, None])


def test_functions_that_an_exporter_left_are_looked_into() -> None:
    body = [helper.make_node("Relu", ["a"], ["b"])]
    function = helper.make_function("local", "Act", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    model = network(("Identity", [MAPS], {}))
    del model.graph.node[:]
    model.graph.node.append(helper.make_node("Act", ["x0"], ["t0"], domain="local"))
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("local", 1))
    assert [node.op for node in read_network(model).nodes] == ["Relu"]


def test_the_caller_s_model_is_left_alone() -> None:
    model = conv()
    before = model.SerializeToString()
    read_network(model, {"x0": (1, 8, 9, 9)})
    assert model.SerializeToString() == before


def test_a_given_shape_replaces_the_file_s() -> None:
    found = read_network(conv(), {"x0": (1, 8, 20, 30)})
    assert found.shape("t0") == (1, 8, 18, 28)


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(conv(), path, save_as_external_data=True, size_threshold=0, location="weights.bin")
    assert read_network(path).constants["c0"].shape == (8, 8, 3, 3)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(NetworkError, match="not an ONNX network"):
        read_network(path)


def test_producers_and_consumers_agree_with_the_nodes() -> None:
    found = read_network(network(("Relu", [MAPS], {}), ("Add", ["t0", "t0"], {}), ("Mul", ["t1", "t0"], {})))
    assert [node.op for node in found.consumers["t0"]] == ["Add", "Mul"]
    assert found.producers["t1"].op == "Add" and "x0" not in found.producers


def twice() -> onnx.ModelProto:
    model = network(("Relu", [MAPS], {}), ("Relu", ["t0"], {}))
    model.graph.node[1].output[0] = "t0"
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (network(("Relu", ["nowhere"], {})), "reads nowhere, which nothing before it writes"),
        (one("Relu", (0, 8, 4, 4)), "static shapes only"),
        (twice(), "writes t0, which is there already"),
        (one("Relu"), "0 inputs instead of at least 1"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), strides=2), "attribute strides is INT instead of INTS"),
    ],
)
def test_broken_networks_are_refused_with_the_node(model: onnx.ModelProto, words: str) -> None:
    with pytest.raises(NetworkError, match=words):
        read_network(model)
