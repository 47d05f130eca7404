"""An ONNX file that takes its weights from elsewhere is refused, wherever in it that is said; others are not."""

import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from compile_machine import make_machine
from onnx import TensorProto, helper, numpy_helper

from unina_runtime.compile.onnx_data import require_own_data
from unina_runtime.compile.outcome import Refused

SHIPPED = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"


def outside(location: str = "../../etc/shadow") -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return tensor


def model(where: str) -> onnx.ModelProto:
    tensor = outside()
    inner = helper.make_graph([], "inner", [], [], initializer=[tensor])
    nodes = {
        "initializer": [],
        "attribute": [helper.make_node("Constant", [], ["c"], value=tensor)],
        "subgraph": [helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner)],
    }[where]
    graph = helper.make_graph(nodes, "g", [], [], initializer=[tensor] if where == "initializer" else [])
    return helper.make_model(graph)


@pytest.mark.parametrize("where", ["initializer", "attribute", "subgraph"])
def test_weights_from_another_file_are_refused_wherever_that_is_said(where: str) -> None:
    with pytest.raises(Refused, match="has tensors in other files"):
        require_own_data(model(where).SerializeToString(), "model.onnx")


@pytest.mark.parametrize("name", ["model.onnx", "model.qdq.onnx"])
def test_networks_that_hold_their_weights_are_taken(name: str) -> None:
    require_own_data((SHIPPED / name).read_bytes(), name)


def test_a_location_alone_is_enough() -> None:
    sparse = model("initializer")
    sparse.graph.initializer[0].data_location = TensorProto.DEFAULT
    with pytest.raises(Refused, match="has tensors in other files"):
        require_own_data(sparse.SerializeToString(), "model.onnx")


def test_any_bytes_are_taken_or_refused() -> None:
    draw = random.Random(0)
    content = model("subgraph").SerializeToString()
    refused = 0
    for _ in range(3000):
        damaged = bytearray(content)
        for _ in range(draw.randint(1, 4)):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        try:
            require_own_data(bytes(damaged[: draw.randint(0, len(damaged))]), "model.onnx")
        except Refused:
            refused += 1
    assert refused > 0


def test_graphs_without_end_are_refused() -> None:
    content = b""
    for number in [*(0x32, 0x2A, 0x0A) * 40, 0x3A]:  # graph, attribute, node, around what was before; the model
        head, size = bytes([number]), len(content)
        while size >= 0x80:
            head, size = head + bytes([size & 0x7F | 0x80]), size >> 7
        content = head + bytes([size]) + content
    with pytest.raises(Refused, match="is not an ONNX file"):
        require_own_data(content, "model.onnx")


def test_a_bundle_with_such_a_network_never_reaches_trtexec(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    (machine.bundle.path / "model.onnx").write_bytes(model("initializer").SerializeToString())
    machine.bundle.seal()
    assert "model.onnx: has tensors in other files" in machine.bad(1)
    assert machine.compilations == []
