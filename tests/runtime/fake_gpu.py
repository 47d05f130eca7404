"""Fakes of the Python packages `tensorrt` and `pycuda`: the names and the manners of NVIDIA's, without a GPU.

Work on a stream is done when somebody waits for it, and not before. What is misused is written down: a call without a
current context, memory that is freed under a stream or used afterwards, something that is released too late or never.
An "engine" is a description in JSON and a function of the test's.
"""

import json
import weakref
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

Network = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]


class FakeGpu:
    """Both modules, and what was done to them.

    Attributes:
        tensorrt, pycuda, driver: to be put into `sys.modules`.
        calls: their names, in order.
        violations: what the vendor's packages might not have survived.
        live: what was made and not released.
        fail: call → which of its uses fails, from 1.
        built: what was built; the engine is `builds`.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.calls: list[str] = []
        self.violations: list[str] = []
        self.live: Counter[str] = Counter()
        self.fail: dict[str, int] = {}
        self.current: list[Any] = []
        self.memory: dict[int, Any] = {}
        self.built: list[dict[str, Any]] = []
        self.builds = plan([])
        self.driver = _driver(self)
        self.pycuda = ModuleType("pycuda")
        self.pycuda.driver = self.driver  # type: ignore[attr-defined]
        self.tensorrt = _tensorrt(self)

    def call(self, name: str, *, needs_context: bool = True) -> bool:
        """Notes a call; returns whether it is to fail."""
        self.calls.append(name)
        if needs_context and not self.current:
            self.violations.append(f"{name} without a current context")
        return self.fail.get(name) == self.calls.count(name)

    def made(self, what: str) -> None:
        self.live[what] += 1

    def gone(self, what: str) -> None:
        self.live[what] -= 1
        self.calls.append(f"del {what}")
        if not self.current and what != "primary context":
            self.violations.append(f"{what} released without a current context")


def plan(tensors: list[dict[str, Any]]) -> bytes:
    """An engine file: dicts of name, role, shape, dtype ("FLOAT", "HALF", "INT8", …) and format."""
    return b"ftrt" + json.dumps(tensors).encode()


def _driver(gpu: FakeGpu) -> ModuleType:
    module: Any = ModuleType("pycuda.driver")

    class Error(Exception):
        pass

    def call(name: str, *, needs_context: bool = True) -> None:
        if gpu.call(name, needs_context=needs_context):
            raise Error(f"{name} failed: no\nreason")

    class Context:
        def __init__(self) -> None:
            gpu.made("primary context")

        def __del__(self) -> None:
            gpu.gone("primary context")

        def push(self) -> None:
            call("push", needs_context=False)
            gpu.current.append(self)

        @staticmethod
        def pop() -> None:
            gpu.current.pop()

    class Device:
        def __init__(self, number: int) -> None:
            assert number == 0

        @staticmethod
        def count() -> int:
            call("count", needs_context=False)
            return 1

        def retain_primary_context(self) -> Context:
            call("retain_primary_context", needs_context=False)
            return Context()

    class Stream:
        def __init__(self) -> None:
            call("Stream")
            self.waiting: list[Callable[[], None]] = []
            self.handle = id(self)
            gpu.made("stream")
            module.streams.add(self)

        def __del__(self) -> None:
            if hasattr(self, "handle"):  # else it was never made
                gpu.gone("stream")

        def synchronize(self) -> None:
            try:
                call("synchronize")
            except Error:
                del self  # an exception keeps its frames alive, which the vendor's C++ does not have
                raise
            waiting, self.waiting[:] = list(self.waiting), []
            for work in waiting:
                work()

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            self.bytes = np.full(size, 0xA5, np.uint8)
            self.address = 4096 * (len(gpu.memory) + 1)
            gpu.memory[self.address] = self
            gpu.made("device memory")

        def __int__(self) -> int:
            return self.address

        def free(self) -> None:
            gpu.gone("device memory")
            if any(stream.waiting for stream in module.streams):
                gpu.violations.append("memory freed under a stream")
            del gpu.memory[self.address]
            call("free")

    def mem_alloc(size: int) -> DeviceAllocation:
        call("mem_alloc")
        return DeviceAllocation(size)

    def pagelocked_empty(shape: Any, dtype: Any) -> np.ndarray:
        call("pagelocked_empty")
        return np.empty(shape, dtype)

    def memcpy_htod_async(to: DeviceAllocation, source: np.ndarray, stream: Stream) -> None:
        try:
            call("memcpy_htod_async")
        except Error:
            del to, source, stream
            raise

        def copy() -> None:
            alive(to).bytes[:] = source.view(np.uint8).ravel()

        stream.waiting.append(copy)

    def memcpy_dtoh_async(to: np.ndarray, source: DeviceAllocation, stream: Stream) -> None:
        try:
            call("memcpy_dtoh_async")
        except Error:
            del to, source, stream
            raise

        def copy() -> None:
            to.view(np.uint8).ravel()[:] = alive(source).bytes

        stream.waiting.append(copy)

    def alive(memory: DeviceAllocation) -> DeviceAllocation:
        if gpu.memory.get(memory.address) is not memory:
            gpu.violations.append("freed memory used")
        return memory

    module.streams = weakref.WeakSet()
    module.init = lambda: call("init", needs_context=False)
    for one in (Error, Context, Device, Stream, mem_alloc, pagelocked_empty, memcpy_htod_async, memcpy_dtoh_async):
        setattr(module, one.__name__, one)
    return module  # type: ignore[no-any-return]


class _Names:
    """An enumeration of the vendor's: members are equal to themselves only."""

    def __init__(self, kind: str, *names: str) -> None:
        for name in names:
            setattr(self, name, f"{kind}.{name}")


def _tensorrt(gpu: FakeGpu) -> ModuleType:
    module: Any = ModuleType("tensorrt")

    class ILogger:
        Severity = _Names("Severity", "INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")

        def __init__(self) -> None:
            self.initialised = True

    def failed(logger: Any, name: str, *, needs_context: bool = True) -> bool:
        assert logger.initialised
        logger.log(ILogger.Severity.INFO, "chatter")
        if not gpu.call(name, needs_context=needs_context):
            return False
        logger.log(ILogger.Severity.ERROR, f"{name}: the reason,\nin two lines")
        return True

    class ExecutionContext:
        def __init__(self, engine: Any) -> None:
            self.engine, self.addresses = engine, dict[str, int]()
            gpu.made("execution context")

        def __del__(self) -> None:
            gpu.gone("execution context")

        def set_tensor_address(self, name: str, address: int) -> bool:
            if failed(self.engine.logger, "set_tensor_address"):
                return False
            self.addresses[name] = address
            return True

        def execute_async_v3(self, handle: int) -> bool:
            if failed(self.engine.logger, "execute_async_v3"):
                return False
            stream = next(one for one in gpu.driver.streams if one.handle == handle)
            stream.waiting.append(self.work)
            return True

        def work(self) -> None:
            def array(tensor: dict[str, Any]) -> np.ndarray:
                memory = gpu.memory[self.addresses[tensor["name"]]].bytes
                return memory.view(module.nptype(f"DataType.{tensor['dtype']}")).reshape(tensor["shape"])

            tensors = self.engine.tensors
            feeds = {one["name"]: array(one).copy() for one in tensors if one["role"] == "input"}
            for name, values in gpu.network(feeds).items():
                array(next(one for one in tensors if one["name"] == name))[...] = values

    class Engine:
        def __init__(self, logger: Any, tensors: list[dict[str, Any]]) -> None:
            self.logger, self.tensors = logger, tensors
            self.num_io_tensors = len(tensors)
            gpu.made("engine")

        def __del__(self) -> None:
            gpu.gone("engine")

        def _of(self, name: str) -> dict[str, Any]:
            return next(one for one in self.tensors if one["name"] == name)

        def get_tensor_name(self, number: int) -> str:
            return str(self.tensors[number]["name"])

        def get_tensor_mode(self, name: str) -> str:
            return f"TensorIOMode.{self._of(name)['role'].upper()}"

        def get_tensor_shape(self, name: str) -> Any:
            return iter(self._of(name)["shape"])  # no tuple: trt.Dims

        def get_tensor_dtype(self, name: str) -> str:
            return f"DataType.{self._of(name)['dtype']}"

        def get_tensor_format(self, name: str) -> str:
            return f"TensorFormat.{self._of(name)['format']}"

        def create_execution_context(self) -> ExecutionContext | None:
            return None if failed(self.logger, "create_execution_context") else ExecutionContext(self)

    class Runtime:
        def __init__(self, logger: Any) -> None:
            failed(logger, "Runtime")
            self.logger = logger
            gpu.made("runtime")

        def __del__(self) -> None:
            gpu.gone("runtime")

        def deserialize_cuda_engine(self, content: bytes) -> Engine | None:
            if failed(self.logger, "deserialize_cuda_engine"):
                return None
            return Engine(self.logger, json.loads(content[4:]))

    class Config:
        def __init__(self) -> None:
            self.flags = {"BuilderFlag.TF32"}

        def set_flag(self, flag: str) -> None:
            self.flags.add(flag)

        def clear_flag(self, flag: str) -> None:
            self.flags.discard(flag)

    class Builder:
        def __init__(self, logger: Any) -> None:
            self.logger = logger

        def create_network(self, flags: int) -> Any:
            assert flags == 0
            return None if failed(self.logger, "create_network", needs_context=False) else {}

        def create_builder_config(self) -> Config | None:
            return None if failed(self.logger, "create_builder_config", needs_context=False) else Config()

        def build_serialized_network(self, network: dict[str, Any], config: Config) -> bytes | None:
            if failed(self.logger, "build_serialized_network", needs_context=False):
                return None
            gpu.built.append({"onnx": network["onnx"], "flags": config.flags})
            return gpu.builds

    class OnnxParser:
        def __init__(self, network: dict[str, Any], logger: Any) -> None:
            self.network, self.logger = network, logger
            self.num_errors = 2

        def parse(self, content: bytes) -> bool:
            self.network["onnx"] = content
            return not failed(self.logger, "parse", needs_context=False)

        def get_error(self, number: int) -> Any:
            class ParserError:
                @staticmethod
                def desc() -> str:
                    return f"error\n{number}"

            return ParserError()

    def nptype(dtype: str) -> Any:
        known = {"DataType.FLOAT": np.float32, "DataType.HALF": np.float16, "DataType.INT8": np.int8}
        if dtype not in known:
            raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
        return known[dtype]

    module.TensorIOMode = _Names("TensorIOMode", "NONE", "INPUT", "OUTPUT")
    module.TensorFormat = _Names("TensorFormat", "LINEAR", "CHW32", "DLA_HWC4")
    module.BuilderFlag = _Names("BuilderFlag", "FP16", "TF32")
    for one in (ILogger, Runtime, Builder, OnnxParser, nptype):
        setattr(module, one.__name__, one)
    return module  # type: ignore[no-any-return]
