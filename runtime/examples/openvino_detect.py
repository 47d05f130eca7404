#!/usr/bin/env python3
"""A bundle on OpenVINO: model.qdq.onnx, with the manifest's letterbox and decoding in NumPy.

pip install openvino numpy opencv-python-headless
python3 openvino_detect.py cones.unina picture.jpg --draw drawn
"""

import sys
from pathlib import Path

# The openvino package counts every import at Google Analytics through this module, and does without where it is absent.
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino  # noqa: E402  (after the switch above)
from numpy_detector import Network, run  # noqa: E402


def load(model: Path) -> Network:
    """Raises ValueError for what OpenVINO cannot load."""
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        # Float32 between Q and DQ, as ONNX Runtime computes. OpenVINO's own INT8 is another arithmetic, and loses every
        # fifth box against the bundle's (docs/other-runtimes.md); on some CPUs it would also take bfloat16.
        "LP_TRANSFORMS_MODE": "NO",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        compiled = openvino.Core().compile_model(str(model), "CPU", settings)
    except RuntimeError as error:
        raise ValueError(f"{model}: OpenVINO cannot load it: {' '.join(str(error).split())}") from error
    names = [output.get_any_name() for output in compiled.outputs]

    def network(values):
        results = compiled([values])
        return {name: results[number] for number, name in enumerate(names)}

    return network


if __name__ == "__main__":
    sys.exit(run(load, __doc__))
