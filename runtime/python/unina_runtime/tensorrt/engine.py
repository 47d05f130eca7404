"""A TensorRT engine on the GPU, with the interface of `unina_runtime.HostEngine`."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from unina_runtime._unina import UninaError
from unina_runtime.bundle import Bundle
from unina_runtime.tensorrt.log import log_of
from unina_runtime.tensorrt.tensors import Tensor, checked, describe
from unina_runtime.tensorrt.vendor import Vendor, one_line, vendor

_MAGIC = b"ftrt"
_kept: list[dict[str, Any]] = []
Map = npt.NDArray[np.float32] | npt.NDArray[np.float16] | npt.NDArray[np.int8]


class Engine:
    """Runs a serialized engine; everything it needs is made once: a stream, and for each tensor pinned host memory and
    device memory. A context manager; for the thread that made it.

    Args:
        path: what `build_engine` or `trtexec --saveEngine` wrote with the TensorRT of this machine.
        bundle: that the engine was built from; its manifest says what the tensors must be.

    Raises:
        UninaError: TensorRT, PyCUDA or the GPU is missing, or the file is no engine of this bundle for this TensorRT.
    """

    def __init__(self, path: str | os.PathLike[str], bundle: Bundle) -> None:
        self.path = Path(path)
        plan = _read_plan(self.path)
        self._session = _Session(self.path, vendor(), plan, bundle.manifest)
        # Also at the end of the process, while TensorRT and CUDA are still there to release.
        self._finalizer = weakref.finalize(self, self._session.release)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Waits for the GPU and releases everything; may be called twice."""
        self._finalizer()

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Inputs and outputs, in the engine's order."""
        return self._session.tensors

    @property
    def inputs(self) -> list[tuple[str, tuple[int, ...], float | None]]:
        """Name, shape 1×C×H×W and scale of every input; None for a float."""
        return [(one.name, one.shape, one.scale) for one in self.tensors if not one.is_output]

    @property
    def outputs(self) -> list[tuple[str, tuple[int, ...], float | None]]:
        """Name, shape 1×C×H×W and scale of every output; None for a float."""
        return [(one.name, one.shape, one.scale) for one in self.tensors if one.is_output]

    @property
    def buffers(self) -> Mapping[str, npt.NDArray[Any]]:
        """The pinned arrays that `infer` reads and writes, by name, 1×C×H×W.

        Raises:
            UninaError: the engine was closed.
        """
        self._session.require_open()
        return self._session.host

    def run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, Map]:
        """Runs the network.

        Args:
            feeds: by input name, 1×C×H×W in the input's dtype: real values for a float, stored ones for int8.

        Returns:
            By output name, 1×C×H×W in the output's dtype: arrays of their own.

        Raises:
            UninaError: a name, dtype or shape does not fit, or TensorRT or CUDA failed.
        """
        inputs = {one.name: one for one in self.tensors if not one.is_output}
        for name in feeds:
            if name not in inputs:
                raise UninaError(f"{self.path}: the engine has no input '{name}'")
        for name, tensor in inputs.items():
            given = feeds.get(name)
            if given is None or given.dtype != tensor.dtype or given.shape != tensor.shape:
                got = "nothing" if given is None else f"{given.dtype} {given.shape}"
                raise UninaError(f"{self.path}: input '{name}': expected {tensor.dtype} {tensor.shape}, got {got}")
            np.copyto(self.buffers[name], given)
        self.infer()
        return {one.name: self.buffers[one.name].copy() for one in self.tensors if one.is_output}

    def infer(self) -> None:
        """Copies the input buffers to the GPU, runs the network and copies the outputs back; returns when all is there.

        Raises:
            UninaError: TensorRT or CUDA failed, or the engine was closed.
        """
        self._session.infer()


class _Session:
    """What TensorRT and CUDA hold for an engine; knows nothing of `Engine`, so that this one can be collected."""

    def __init__(self, path: Path, modules: Vendor, plan: bytes, manifest: dict[str, Any]) -> None:
        self._path, self._cuda, self._thread = path, modules.cuda, threading.get_ident()
        self._log = log_of(modules.trt)
        self.host: dict[str, npt.NDArray[Any]] = {}
        self._device: dict[str, Any] = {}
        self._stream: Any = None
        self._runtime: Any = None
        self._engine: Any = None
        self._context: Any = None
        with self._told():
            # The context that TensorRT uses by itself.
            self._primary = self._cuda.Device(0).retain_primary_context()
        try:
            with self._current():
                self._open(modules.trt, plan, manifest)
        except BaseException:
            self.release()
            raise

    def _open(self, trt: Any, plan: bytes, manifest: dict[str, Any]) -> None:
        require = self._log.require
        self._runtime = require(trt.Runtime(self._log.logger), "Runtime", self._path)
        self._engine = require(self._runtime.deserialize_cuda_engine(plan), "deserialize_cuda_engine", self._path)
        self.tensors = checked(describe(self._engine, trt), trt, manifest, str(self._path))
        self._context = require(self._engine.create_execution_context(), "create_execution_context", self._path)
        self._stream = self._cuda.Stream()
        for tensor in self.tensors:
            host = self._cuda.pagelocked_empty(tensor.shape, tensor.dtype)
            host[...] = 0
            self.host[tensor.name] = host
            self._device[tensor.name] = self._cuda.mem_alloc(host.nbytes)
            address = int(self._device[tensor.name])
            require(self._context.set_tensor_address(tensor.name, address), "set_tensor_address", self._path)

    def require_open(self) -> None:
        if self._context is None:
            raise UninaError(f"{self._path}: the engine was closed")

    def infer(self) -> None:
        self.require_open()
        if threading.get_ident() != self._thread:
            raise UninaError(f"{self._path}: the engine belongs to the thread that made it; make one for each thread")
        with self._current():
            try:
                for tensor in self.tensors:
                    if not tensor.is_output:
                        self._cuda.memcpy_htod_async(self._device[tensor.name], self.host[tensor.name], self._stream)
                done = self._context.execute_async_v3(self._stream.handle)
                self._log.require(done, "execute_async_v3", self._path)
                for tensor in self.tensors:
                    if tensor.is_output:
                        self._cuda.memcpy_dtoh_async(self.host[tensor.name], self._device[tensor.name], self._stream)
            finally:
                self._stream.synchronize()  # also after a failure: nothing may still read or write the buffers

    def release(self) -> None:
        """In the reverse order of creation; what the GPU may still use, or what nobody can free, stays for ever."""
        if self._primary is None:
            return
        try:
            with self._current():
                if self._stream is not None:
                    self._stream.synchronize()
                self._context = None
                self._engine = None
                self._runtime = None
                for memory in self._device.values():
                    with suppress(self._cuda.Error):
                        memory.free()
                self._device = {}
                self.host = {}  # freed with the last array that somebody holds
                self._stream = None
        except UninaError as error:
            print(f"unina: while releasing: {error}", file=sys.stderr)
            _kept.append(self.__dict__.copy())
            self._context = None
        self._primary = None

    @contextmanager
    def _current(self) -> Iterator[None]:
        """CUDA's context is this engine's, for a while."""
        with self._told():
            self._primary.push()
            try:
                yield
            finally:
                self._cuda.Context.pop()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """An error of CUDA becomes one line that names the engine."""
        try:
            yield
        except self._cuda.Error as error:
            raise UninaError(f"{self._path}: CUDA: {one_line(error)}") from error


def _read_plan(path: Path) -> bytes:
    try:
        plan = path.read_bytes()
    except OSError as error:
        raise UninaError(f"{path}: cannot be read: {error.strerror}") from error
    if not plan.startswith(_MAGIC):
        raise UninaError(
            f"{path}: is not a TensorRT engine; unina_runtime.tensorrt.build_engine or trtexec --saveEngine makes one "
            "(a loadable for the DLA is for unina_runtime.Detector)"
        )
    return plan
