"""The GPU baseline and the oracle of accuracy: a bundle on TensorRT, by NVIDIA's `tensorrt` and `pycuda`.

Imports on any machine; what needs the two packages or a GPU says so when it is called. No device has run it yet: the
tests show the order of its calls on fakes of both packages (docs/accelerators.md).
"""

from unina_runtime.tensorrt.build import build_engine
from unina_runtime.tensorrt.detector import Detector
from unina_runtime.tensorrt.engine import Engine
from unina_runtime.tensorrt.tensors import Tensor

__all__ = ["Detector", "Engine", "Tensor", "build_engine"]
