"""NVIDIA's two Python packages, asked for when they are first needed: everything here imports without them."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from unina_runtime._unina import UninaError

_INSTALL = {
    "tensorrt": "on a Jetson it is the package python3-libnvinfer of JetPack, elsewhere pip install 'tensorrt<11'",
    "pycuda.driver": "pip install pycuda, which compiles it against the installed CUDA toolkit",
}


class Vendor(NamedTuple):
    """Both modules; neither has type stubs that could be relied on."""

    trt: Any
    cuda: Any


def vendor() -> Vendor:
    """Imports `tensorrt` and `pycuda.driver`, and finds the driver.

    Raises:
        UninaError: one of them is missing, or there is no GPU; the message says what to install.
    """
    trt, cuda = (_import(name) for name in _INSTALL)
    try:
        cuda.init()
        count = cuda.Device.count()
    except cuda.Error as error:
        raise UninaError(f"unina_runtime.tensorrt: no CUDA device can be used: {one_line(error)}") from error
    if count < 1:
        raise UninaError("unina_runtime.tensorrt: this machine has no CUDA device")
    return Vendor(trt, cuda)


def one_line(error: object) -> str:
    """What a vendor says, without line breaks."""
    return " ".join(str(error).split())


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:  # also a library that is not there, such as libnvinfer or libcuda
        package = name.partition(".")[0]
        raise UninaError(
            f"unina_runtime.tensorrt needs the Python package {package}: {_INSTALL[name]} ({one_line(error)})"
        ) from error
