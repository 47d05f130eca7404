"""UNINA model tools: data → model → dla → evaluate → train → compress → export → cli; imports go leftwards only."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # ONNX Runtime reads it once, when it is first imported

__version__ = "0.1.0"
