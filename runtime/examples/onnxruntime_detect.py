#!/usr/bin/env python3
"""A bundle on ONNX Runtime: model.qdq.onnx, with the manifest's letterbox and decoding in NumPy.

pip install onnxruntime numpy opencv-python-headless
python3 onnxruntime_detect.py cones.unina picture.jpg --draw drawn
"""

import os
import sys
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # counts only before onnxruntime is imported

import onnxruntime
from numpy_detector import Network, run


def load(model: Path) -> Network:
    """Raises ValueError for what ONNX Runtime cannot load."""
    try:
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    except Exception as error:  # its own, with no base but Exception
        raise ValueError(f"{model}: ONNX Runtime cannot load it: {' '.join(str(error).split())}") from error
    images = session.get_inputs()[0].name
    names = [output.name for output in session.get_outputs()]
    return lambda values: dict(zip(names, session.run(names, {images: values}), strict=True))


if __name__ == "__main__":
    sys.exit(run(load, __doc__))
