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
        (one("Relu", (1, 0, 4, 4)), "has shape 1x0x4x4, a size of 0 holds nothing.*--input-shape x0=1x3x4x4"),
        (twice(), "writes t0, which is there already"),
        (one("Relu"), "0 inputs instead of at least 1"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), strides=2), "attribute strides is INT instead of INTS"),
    ],
)
def test_broken_networks_are_refused_with_the_node(model: onnx.ModelProto, words: str) -> None:
    with pytest.raises(NetworkError, match=words):
        read_network(model)


FITS = (
    conv(),
    conv((1, 8, 20, 20), strides=[8, 1]),
    conv(group=4),
    one("Conv", MAPS, ones(4, 8, 3, 3), ones(4)),
    one("ConvTranspose", MAPS, ones(8, 2, 2, 2), ones(4), group=2),
    one("ConvTranspose", (1, 8, 1, 1), ones(8, 4, 3, 3)),
    one("Conv", (1, 8, 2, 2), ones(8, 8, 3, 3), auto_pad="SAME_UPPER"),
    one("Conv", (1, 8, 6), ones(8, 8, 3)),
    one("AveragePool", MAPS, kernel_shape=[6, 6]),
    one("Add", MAPS, (8, 1, 1)),
    one("MatMul", (2, 6, 8), ones(8, 4)),
    one("MatMul", (8,), ones(8)),
    one("Gemm", (8, 1), ones(4, 8), transA=1, transB=1),
    one("Reshape", MAPS, np.int64([1, -1])),
)
"""What is legal, however unusual."""


@pytest.mark.parametrize("model", FITS, ids=range(len(FITS)))
def test_operands_that_fit_are_taken(model: onnx.ModelProto) -> None:
    assert len(read_network(model).nodes) == 1


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (one("Conv", (1, 4, 6, 6), ones(8, 8, 3, 3)), "weights of 8×8×3×3 in 1 group read 8 channels.*1×4×6×6 has 4"),
        (one("Conv", MAPS, ones(9, 4, 3, 3), group=2), "9 output channels cannot be divided into 2 groups"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), group=0), "group 0: at least 1"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), strides=[0, 0]), "strides 0×0: each is at least 1"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), dilations=[1, 0]), "dilations 1×0: each is at least 1"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), pads=[1, 1]), "pads 1×1: 2 values for a 2-D window"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), kernel_shape=[5, 5]), "kernel_shape 5×5, but weights of 8×8×3×3"),
        (one("Conv", MAPS, ones(8, 8, 3, 3), ones(7)), "a bias of 7 for 8 output channels"),
        (one("Conv", (1, 8, 2, 6), ones(8, 8, 3, 3)), "a window of 3 over 2, padding included"),
        (one("ConvTranspose", MAPS, ones(4, 8, 2, 2)), "read 4 channels, its input of 1×8×6×6 has 8"),
        (one("MaxPool", (1, 8, 6), kernel_shape=[2, 2]), "a 2-D window over an input of 1×8×6"),
        (one("Gemm", (2, 8), ones(4, 8)), "a product of 2×8 and 4×8: the inner sizes differ"),
        (one("MatMul", (1, 6, 8), (1, 6, 8)), "a product of 1×6×8 and 1×6×8: the inner sizes differ"),
        (one("Add", MAPS, (1, 4, 6, 6)), "operands of 1×8×6×6 and 1×4×6×6 cannot be spread"),
        (one("BatchNormalization", MAPS, ones(4), ones(4), ones(4), ones(4)), "statistics of 4 for an input"),
        (one("Reshape", MAPS, np.int64([1, 8, 5, 5])), "1×8×6×6 cannot become 1×8×5×5: 288 values, not 200"),
    ],
)
def test_operands_that_do_not_fit_are_refused_with_the_numbers(model: onnx.ModelProto, words: str) -> None:
    with pytest.raises(NetworkError, match=rf"node node0 .*{words}.*--input-shape"):
        read_network(model)


def test_a_single_number_is_an_input_of_known_shape() -> None:
    found = read_network(one("Mul", MAPS, ()))
    assert found.shape("x1") == ()


def test_what_is_there_but_no_file_is_called_so(tmp_path: Path) -> None:
    for place, words in ((tmp_path, "not a regular file"), (tmp_path / "none.onnx", "no such file")):
        with pytest.raises(NetworkError, match=words):
            read_network(place)
