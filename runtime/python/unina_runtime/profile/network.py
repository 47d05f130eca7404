"""What is timed: a bundle, or an ONNX file; and trtexec's flags that build an engine of it for a device."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unina_runtime.compile.manifest import Manifest, parse_manifest
from unina_runtime.compile.outcome import Refused
from unina_runtime.compile.trtexec_flags import CACHE, LAYERS, MODEL, QDQ_MODEL, calibration_for, fp16_layers
from unina_runtime.compile.versions import TensorRt
from unina_runtime.profile.onnx_batch import with_batch
from unina_runtime.profile.outcome import CannotSay
from unina_runtime.profile.whole_file import read_text

FP16_DLA = {"hwc4": "fp16:dla_hwc4", "linear": "fp16:dla_linear"}
"""Layout of an input in the manifest → its like in FP16; every other is chw16."""


@dataclass(frozen=True)
class Variant:
    """A device and a precision."""

    name: str
    cores: tuple[int, ...]
    """of the DLA; none is the GPU"""
    precision: str
    """fp16 or int8"""

    @property
    def engine(self) -> str:
        """What is built for it: one engine serves both cores."""
        return f"{'dla' if self.cores else 'gpu'}-{self.precision}"


VARIANTS = {
    one.name: one
    for one in (
        Variant("gpu-fp16", (), "fp16"),
        Variant("gpu-int8", (), "int8"),
        Variant("dla-fp16", (0,), "fp16"),
        Variant("dla-int8", (0,), "int8"),
        Variant("both-fp16", (0, 1), "fp16"),
        Variant("both-int8", (0, 1), "int8"),
    )
}


@dataclass(frozen=True)
class Network:
    """Files, and what the manifest of a bundle says of them."""

    title: str
    onnx: Path
    qdq: Path | None
    calibration: bytes | None
    manifest: Manifest | None
    fp16_layers: tuple[str, ...]
    sha256: str
    """of all that an engine is built of"""

    def model(self, batch: int, tensorrt: TensorRt, precision: str) -> bytes:
        """The ONNX file for this batch. Raises CannotSay."""
        typed = tensorrt.strongly_typed and precision == "int8"
        path = self.qdq if typed and self.qdq is not None else self.onnx
        content = _bytes(path)
        return content if batch == 1 else with_batch(content, batch, str(path))

    def cache(self, tensorrt: TensorRt) -> bytes | None:
        """The calibration cache as this TensorRT wants it. Raises CannotSay."""
        if self.calibration is None or tensorrt.strongly_typed:
            return None
        try:
            return calibration_for(tensorrt, self.calibration, f"{self.title}/{CACHE}")
        except Refused as error:
            raise CannotSay(str(error)) from error

    def build_flags(self, variant: Variant, tensorrt: TensorRt, calibrated: bool) -> Iterator[str]:
        """All but files. Raises CannotSay where this TensorRT cannot build that."""
        if tensorrt.strongly_typed and variant.precision == "fp16":
            raise CannotSay(f"TensorRT {tensorrt} takes the precision from the network, and this one is not FP16")
        if tensorrt.strongly_typed and self.qdq is None:
            raise CannotSay(f"TensorRT {tensorrt} builds INT8 of a network with Q/DQ nodes; a bundle has one")
        if variant.cores and tensorrt.without_dla:
            raise CannotSay(tensorrt.without_dla)
        if variant.cores:
            yield f"--useDLACore={variant.cores[0]}"
            yield "--memPoolSize=dlaSRAM:1"
            if self.manifest is None:  # the formats of its borders are not known: the GPU converts them
                yield "--allowGPUFallback"
        yield from self._formats(variant, tensorrt)
        if tensorrt.strongly_typed:
            return
        if variant.precision == "fp16":
            yield "--fp16"
            return
        yield "--int8"
        if not variant.cores or self._needs_fp16:
            yield "--fp16"  # on the GPU: where it is the faster
        if calibrated:
            yield "--calib=calibration.cache"
        if variant.cores and self.fp16_layers:
            yield "--precisionConstraints=obey"
            yield "--layerPrecisions=" + ",".join(f"{name}:fp16" for name in self.fp16_layers)

    @property
    def _needs_fp16(self) -> bool:
        outputs = () if self.manifest is None else self.manifest.outputs
        return bool(self.fp16_layers) or any(tensor.dtype == "float16" for tensor in outputs)

    def _formats(self, variant: Variant, tensorrt: TensorRt) -> Iterator[str]:
        """The DLA reads and writes its own, so that no conversion is timed with it."""
        if self.manifest is None:
            return
        for direction, tensors in (("input", self.manifest.inputs), ("output", self.manifest.outputs)):
            if not variant.cores:
                told = [tensor.gpu if variant.precision == "int8" else "fp16:chw" for tensor in tensors]
            elif variant.precision == "int8":
                told = [tensor.dla for tensor in tensors]
            else:
                likes = FP16_DLA if direction == "input" else {"linear": FP16_DLA["linear"]}
                told = [likes.get(tensor.format, "fp16:chw16") for tensor in tensors]
            if tensorrt.strongly_typed:
                told = [name.partition(":")[2] for name in told]
            yield f"--{direction}IOFormats={','.join(told)}"


def read_network(path: Path) -> Network:
    """A bundle (its files are taken as they are: `unina-compile` is who verifies) or an ONNX file. Raises CannotSay."""
    if not path.is_dir():
        return Network(path.name, path, None, None, None, (), hashlib.sha256(_bytes(path)).hexdigest())
    try:
        manifest = parse_manifest(_bytes(path / "manifest.json"), str(path / "manifest.json"))
        cache = _bytes(path / CACHE) if (path / CACHE).exists() else None
        layers = fp16_layers(read_text(path / LAYERS), LAYERS) if (path / LAYERS).exists() else ()
    except Refused as error:
        raise CannotSay(str(error)) from error
    digest = hashlib.sha256(_bytes(path / MODEL))
    qdq = path / QDQ_MODEL if (path / QDQ_MODEL).exists() else None
    for part in (cache or b"", _bytes(qdq) if qdq else b"", ",".join(layers).encode(), repr(manifest.inputs).encode()):
        digest.update(hashlib.sha256(part).digest())
    return Network(path.name, path / MODEL, qdq, cache, manifest, layers, digest.hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotSay(f"{path}: cannot be read: {error.strerror}") from error
