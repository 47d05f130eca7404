"""The deploy graph as ONNX: raw maps, static, six operators, names that never change, the same numbers as torch."""

import numpy as np
import onnx
import pytest
import torch
from export_onnxruntime import run as run_onnx
from torch import nn

from unina.dla import GraphError, read_graph
from unina.export.onnx_graph import export_onnx
from unina.model import DeployedDetector, Detector, ModelSpec

SPEC = ModelSpec(input_height=64, input_width=96, levels=("p2", "p3"))


def deployed(seed: int, spec: ModelSpec = SPEC) -> DeployedDetector:
    torch.manual_seed(seed)
    detector = Detector(spec, 2, ("a", "b"))
    for parameter in detector.parameters():
        nn.init.normal_(parameter, std=0.05)  # biases too: the exporter merges equal ones
    return detector.eval().deploy()


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return export_onnx(deployed(0))


def test_exporting_twice_gives_the_same_bytes(model: onnx.ModelProto) -> None:
    assert export_onnx(deployed(0)).SerializeToString() == model.SerializeToString()


def test_tensor_names_do_not_depend_on_the_weights(model: onnx.ModelProto) -> None:
    torch.manual_seed(5)
    untrained = Detector(SPEC, 2, ("a", "b")).eval().deploy()  # many equal biases
    assert tuple(read_graph(export_onnx(untrained)).shapes) == tuple(read_graph(model).shapes)


def test_it_is_static_opset_17_in_one_file_with_the_names_of_the_bundle(model: onnx.ModelProto) -> None:
    graph = read_graph(model)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 17)]
    assert graph.inputs == ("images",) and graph.shapes["images"] == (1, 3, 64, 96)
    assert graph.outputs == ("p2_class", "p2_box", "p3_class", "p3_box")
    assert graph.shapes["p2_box"] == (1, 64, 16, 24) and graph.shapes["p3_class"] == (1, 2, 8, 12)
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    assert {node.op_type for node in model.graph.node} <= {"Conv", "Relu", "Concat", "Resize", "MaxPool", "Add"}
    assert "/backbone/stem/Relu_output_0" in graph.shapes


@pytest.mark.parametrize("seed", [0, 1])
def test_it_computes_what_torch_computes(seed: int) -> None:
    module = deployed(seed)
    x = np.random.default_rng(seed).integers(-128, 128, (1, 3, 64, 96)).astype(np.float32)
    expected = dict(zip(module.output_names, module(torch.from_numpy(x)), strict=True))
    for name, values in run_onnx(export_onnx(module), x).items():
        np.testing.assert_allclose(values, expected[name].numpy(), atol=1e-5 * float(expected[name].abs().max()))


class Ends(nn.Module):
    """A detector that goes on after the raw maps, as a careless deploy would."""

    output_names = ("p2_class", "p2_box", "p3_class", "p3_box")
    spec = SPEC

    def __init__(self, end: nn.Module) -> None:
        super().__init__()
        self.detector, self.end = deployed(0), end

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first, *others = self.detector(x)
        return (self.end(first), *others)


@pytest.mark.parametrize("end", [nn.Sigmoid(), nn.Softmax(dim=1), nn.Upsample(scale_factor=1.5), nn.AvgPool2d(2)])
def test_a_graph_that_does_more_is_refused(end: nn.Module) -> None:
    with pytest.raises(GraphError, match="end"):
        export_onnx(Ends(end))
