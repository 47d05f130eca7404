"""The deploy graph as ONNX: static, float32, one file, ending at the raw maps of every level."""

import tempfile
import warnings
from pathlib import Path
from typing import Protocol

import onnx
import onnxslim
import torch
from torch import nn

from unina.dla.graph import Add, Concat, Conv, GraphError, MaxPool, Relu, Resize
from unina.dla.graph_reader import read_graph

OPSET = 17
INPUT = "images"


class DeploySpec(Protocol):
    """The part of a ModelSpec that the export reads."""

    @property
    def input_height(self) -> int:
        """Rows of the network's input."""

    @property
    def input_width(self) -> int:
        """Columns of the network's input."""


class Deployed(Protocol):
    """What the export asks of a `unina.model.DeployedDetector`; it must be an nn.Module as well."""

    output_names: tuple[str, ...]

    @property
    def spec(self) -> DeploySpec:
        """What it was made of."""


def export_onnx(deployed: Deployed) -> onnx.ModelProto:
    """Traces a deployed detector: input "images" 1×3×H×W, outputs named by `output_names`, opset 17.

    Names of nodes and tensors follow the module tree (`/backbone/stem/Relu_output_0`) and are the same at every export;
    the calibration cache depends on them.

    Raises:
        GraphError: an operator, attribute or shape that the DLA or the host engine does not run.
    """
    assert isinstance(deployed, nn.Module)
    example = torch.zeros(1, 3, deployed.spec.input_height, deployed.spec.input_width)
    # The tracing exporter, although deprecated: it names tensors after modules, and 2.13's other one writes opset 18.
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        file = Path(folder) / "traced.onnx"
        torch.onnx.export(
            deployed.eval(),
            (example,),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=list(deployed.output_names),
        )
        model: onnx.ModelProto = onnxslim.slim(onnx.load(file))
    onnx.checker.check_model(model, full_check=True)
    check_deploy_graph(model, deployed.output_names)
    return model


def check_deploy_graph(model: onnx.ModelProto, output_names: tuple[str, ...]) -> None:
    """Raises GraphError unless the model is a deploy graph with the input "images" and exactly these outputs."""
    graph = read_graph(model)
    for op in graph.ops:
        if not isinstance(op, Conv | Relu | Add | Concat | MaxPool | Resize):
            raise GraphError(f"{op.name}: no detector of ours has a {type(op).__name__}: training would not know it")
    if graph.inputs != (INPUT,):
        raise GraphError(f"the graph has the inputs {list(graph.inputs)}, expected {INPUT!r} alone")
    if graph.outputs != tuple(output_names):
        raise GraphError(f"the graph has the outputs {list(graph.outputs)}, expected {list(output_names)}")
    for node in model.graph.node:
        if not node.name:
            raise GraphError(f"the {node.op_type} that writes {node.output[0]} has no name")
