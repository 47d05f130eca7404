"""The inputs and outputs of an engine, held against the bundle's manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from unina_runtime._unina import UninaError

_KNOWN = (np.dtype(np.float32), np.dtype(np.float16), np.dtype(np.int8))
_LINEAR = "build it with linear inputs and outputs (trtexec --inputIOFormats=fp32:chw --outputIOFormats=fp32:chw)"


@dataclass(frozen=True)
class Tensor:
    """One input or output.

    Attributes:
        name: as in the manifest.
        is_output: else an input.
        shape: 1×C×H×W.
        dtype: float32, float16 or int8.
        scale: real = scale · int8; None for a float.
    """

    name: str
    is_output: bool
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    scale: float | None


class Described(NamedTuple):
    """What an engine says of a tensor, in TensorRT's own terms."""

    name: str
    is_output: bool
    shape: tuple[int, ...]
    type: Any
    layout: Any


def describe(engine: Any, trt: Any) -> list[Described]:
    """The inputs and outputs of a deserialised engine, in its order.

    Apart from `checked`, since an exception keeps what its frames name alive, and the engine must be released before
    CUDA's context is.
    """
    names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
    return [
        Described(
            name,
            engine.get_tensor_mode(name) == trt.TensorIOMode.OUTPUT,
            tuple(int(size) for size in engine.get_tensor_shape(name)),
            engine.get_tensor_dtype(name),
            engine.get_tensor_format(name),
        )
        for name in names
    ]


def checked(found: Sequence[Described], trt: Any, manifest: dict[str, Any], where: str) -> tuple[Tensor, ...]:
    """The same, held against the manifest.

    Raises:
        UninaError: names, roles or shapes are not the manifest's, or the type or layout is none that can be used here.
    """
    tensors = tuple(_tensor(one, trt, manifest["tensors"], where) for one in found)
    names = {one.name for one in tensors}
    for expected in manifest["tensors"]:
        if expected["name"] not in names:
            raise UninaError(
                f"{where}: has no {expected['role']} '{expected['name']}'; it was built from another model"
            )
    return tensors


def _tensor(found: Described, trt: Any, manifest: Sequence[dict[str, Any]], where: str) -> Tensor:
    role = "output" if found.is_output else "input"
    where = f"{where}: {role} '{found.name}'"
    expected = next((one for one in manifest if one["name"] == found.name and one["role"] == role), None)
    if expected is None:
        raise UninaError(f"{where} is not in the bundle's manifest; it was built from another model")
    shape = tuple(expected["shape"])
    if found.shape != shape:
        raise UninaError(
            f"{where} has shape {found.shape}, manifest.json says {shape}; it was built from another model"
        )
    try:
        dtype = np.dtype(trt.nptype(found.type))
    except TypeError:  # NumPy has none, for instance BF16
        dtype = None
    if dtype not in _KNOWN or (dtype == np.int8 and expected["dtype"] != "int8"):
        raise UninaError(
            f"{where} is {found.type}, manifest.json says {expected['dtype']}; "
            "expected FP32, FP16, or INT8 where the manifest has a scale"
        )
    if found.layout != trt.TensorFormat.LINEAR:
        raise UninaError(f"{where} has the layout {found.layout}; {_LINEAR}")
    scale = float(expected["scale"]) if dtype == np.int8 else None
    return Tensor(found.name, found.is_output, shape, dtype, scale)
