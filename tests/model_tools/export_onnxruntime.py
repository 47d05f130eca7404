"""ONNX Runtime as the outside judge; `unina` first, which switches its telemetry off."""

import unina  # noqa: F401

# isort: split
import numpy as np
import onnx
import onnxruntime


def run(model: onnx.ModelProto, x: np.ndarray, *, optimise: bool = True) -> dict[str, np.ndarray]:
    """The model's outputs by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    return dict(zip(outputs, session.run(outputs, {session.get_inputs()[0].name: x}), strict=True))
