"""The forms of a checkpoint that `unina-eval` makes in memory when a stage asks for them; nothing is written."""

from pathlib import Path

from unina.dla.graph_reader import read_graph
from unina.evaluate.subject import ExportedForms
from unina.export.exporter import trained_scales
from unina.export.lower import lower
from unina.export.onnx_graph import export_onnx
from unina.export.qdq import quantised_model
from unina.model import Checkpoint, DeployedDetector


def exported_forms(checkpoint: Checkpoint, deployed: DeployedDetector, path: Path) -> ExportedForms:
    """Exports a checkpoint as `unina-export` does, with the scales that it learnt, if it did.

    Raises:
        ValueError: GraphError, ExportError, ScaleError or LoweringError, each with a text for who can mend it.
    """
    model = export_onnx(deployed)
    if checkpoint.scales is None:
        return ExportedForms(model.SerializeToString())
    graph = read_graph(model)
    scales = trained_scales(checkpoint.scales, graph, path)
    qdq = quantised_model(model, scales).SerializeToString()
    return ExportedForms(model.SerializeToString(), qdq, lower(graph, scales))
