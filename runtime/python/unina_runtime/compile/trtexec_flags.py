"""trtexec's arguments for a bundle: those that `unina-dla command` prints, which a test holds them to.

Made of the manifest's typed fields. The only text of a bundle in them are layer names, checked for what separates them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from unina_runtime.compile.manifest import AGAIN, Manifest, shown
from unina_runtime.compile.outcome import Refused
from unina_runtime.compile.versions import TensorRt

MODEL = "model.onnx"
QDQ_MODEL = "model.qdq.onnx"
CACHE = "calibration.cache"
LAYERS = "layer_precisions.txt"
GPU = "gpu"
SRAM_MIB = 1
"""all that a core of Orin has"""


@dataclass(frozen=True)
class Compilation:
    """One call of trtexec; all paths are relative to its working directory."""

    manifest: Manifest
    tensorrt: TensorRt
    core: str
    """dla0, dla1, both or gpu"""
    bundle: str
    """folder of the verified copy"""
    calibration: str
    """the cache, with a header for this TensorRT"""
    output: str
    fp16_layers: tuple[str, ...] = ()

    @property
    def arguments(self) -> tuple[str, ...]:
        """All after the program's name."""
        return tuple(self._arguments())

    def _arguments(self) -> Iterator[str]:
        typed = self.tensorrt.strongly_typed
        yield f"--onnx={self.bundle}/{QDQ_MODEL if typed else MODEL}"
        yield f"--saveEngine={self.output}"
        if self.core != GPU:
            yield f"--useDLACore={1 if self.core == 'dla1' else 0}"
            yield "--buildDLAStandalone"
        for direction, tensors in (("input", self.manifest.inputs), ("output", self.manifest.outputs)):
            formats = [tensor.gpu if self.core == GPU else tensor.dla for tensor in tensors]
            if typed:  # trtexec 11 takes layouts alone
                formats = [name.partition(":")[2] for name in formats]
            yield f"--{direction}IOFormats={','.join(formats)}"
        if self.core != GPU:
            yield f"--memPoolSize=dlaSRAM:{SRAM_MIB}"
        if typed:
            return
        yield "--int8"
        if self.fp16_layers or any(tensor.dtype == "float16" for tensor in self.manifest.outputs):
            yield "--fp16"
        yield f"--calib={self.calibration}"
        if self.fp16_layers:
            yield "--precisionConstraints=obey"
            yield "--layerPrecisions=" + ",".join(f"{name}:fp16" for name in self.fp16_layers)


def needed_files(tensorrt: TensorRt) -> tuple[str, ...]:
    """What a bundle must hold for this TensorRT."""
    return (QDQ_MODEL,) if tensorrt.strongly_typed else (MODEL, CACHE)


def require_files(files: Mapping[str, object], tensorrt: TensorRt, bundle: str) -> None:
    """Raises Refused unless the bundle holds what compiling needs."""
    for name in needed_files(tensorrt):
        if name not in files:
            raise Refused(f"{bundle}: has no {name}, which TensorRT {tensorrt} compiles from; {AGAIN}")


def fp16_layers(text: str, origin: str) -> tuple[str, ...]:
    """The layers of layer_precisions.txt: `NAME:fp16`, one a line. Raises Refused."""
    names = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name, _, precision = line.strip().rpartition(":")
        name = name.strip('"')
        if precision != "fp16" or not name or re.search(r"[,'\"*\x00-\x1f]", name) or name in names:
            raise Refused(f"{origin}:{number}: {shown(line)} is not NAME:fp16, each layer once; {AGAIN}")
        names.append(name)
    return tuple(names)


def calibration_for(tensorrt: TensorRt, cache: bytes, origin: str) -> bytes:
    """The calibration cache with the first line that this TensorRT wants; the scales stay. Raises Refused."""
    first, newline, scales = cache.partition(b"\n")
    if not newline or not re.fullmatch(rb"TRT-\d+-EntropyCalibration2\r?", first):
        raise Refused(f"{origin}:1: {shown(first.decode('ascii', 'replace'))}: not a cache's header; {AGAIN}")
    return f"TRT-{tensorrt.number}-EntropyCalibration2\n".encode() + scales
