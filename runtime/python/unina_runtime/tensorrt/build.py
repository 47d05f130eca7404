"""From a bundle's ONNX file to an engine for this machine's GPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from unina_runtime._unina import UninaError
from unina_runtime.bundle import Bundle
from unina_runtime.tensorrt.log import log_of
from unina_runtime.tensorrt.vendor import one_line, vendor

_ONNX = "model.onnx"


def build_engine(bundle: Bundle, path: str | os.PathLike[str], *, precision: Literal["fp32", "fp16"] = "fp16") -> None:
    """Compiles `model.onnx` of a bundle with the installed TensorRT; takes minutes, and belongs to this GPU.

    Args:
        bundle: whose network it is.
        path: of the engine; appears whole or not at all.
        precision: "fp32", the oracle: float32 throughout, TF32 off; or "fp16", the baseline: FP16 wherever TensorRT
            thinks it faster. Inputs and outputs are float32 in both.

    Raises:
        UninaError: TensorRT, PyCUDA or the GPU is missing, TensorRT refuses the network, or the file cannot be written.
    """
    if precision not in {"fp32", "fp16"}:
        raise UninaError(f"precision '{precision}': expected 'fp32' or 'fp16'")
    trt = vendor().trt
    where = f"{bundle.path / _ONNX}"
    log = log_of(trt)
    builder = log.require(trt.Builder(log.logger), "Builder", where)
    network = log.require(builder.create_network(0), "create_network", where)
    parser = log.require(trt.OnnxParser(network, log.logger), "OnnxParser", where)
    if not parser.parse(bundle.read(_ONNX)):
        said = "; ".join(one_line(parser.get_error(number).desc()) for number in range(parser.num_errors))
        raise UninaError(f"{where}: TensorRT cannot read it: {said}")
    config = log.require(builder.create_builder_config(), "create_builder_config", where)
    if precision == "fp16":
        config.set_flag(trt.BuilderFlag.FP16)
    else:
        config.clear_flag(trt.BuilderFlag.TF32)  # on by default: 10 bits of mantissa
    plan = log.require(builder.build_serialized_network(network, config), "build_serialized_network", where)
    _write_whole(Path(path), plan)


def _write_whole(path: Path, plan: Any) -> None:
    temporary = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(plan)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise UninaError(f"{path}: cannot be written: {error.strerror}") from error
