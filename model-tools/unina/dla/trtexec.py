"""The trtexec line that compiles a network for Orin's DLA, as a typed value that cannot hold a wrong combination.

Flags and their limits are those of trtexec's source (NVIDIA/TensorRT, samples/common/sampleOptions.cpp and
sampleEngines.cpp): read in 8.6 and 10.0 to 10.7 for the calibration cache, in 11.1 for strongly typed networks, because
11.4.1's is not published. Formats, memory pools, loadables and fallback are held against `unina.dla.rules.build`.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from unina.dla.rules import POOLS, Fault, format_fault, loadables_fault, pool_fault, standalone_fault
from unina.dla.tensorrt import LAST_KNOWN, TensorRt

Dtype = Literal["int8", "fp16"]
Layout = Literal["dla_linear", "dla_hwc4", "chw16", "chw32"]
Pool = Literal["dlaSRAM", "dlaLocalDRAM", "dlaGlobalDRAM"]


CORES = (0, 1)
LAYERS_FILE = "layer_precisions.txt"
"""of a bundle: the layers that run in FP16"""
LONGEST_TENSOR_NAME = 80
"""characters in a cuDLA tensor descriptor"""
FIRST_STANDALONE = TensorRt(8, 6)


class TrtexecError(ValueError):
    """These settings do not go together; the text says which, why and what does."""


@dataclass(frozen=True)
class IoTensor:
    """A network input or output in the form in which it crosses the DLA's border."""

    name: str
    channels: int
    dtype: Dtype
    layout: Layout

    def __post_init__(self) -> None:
        for problem in self.problems("input"):  # what can't come in can't go out either
            raise TrtexecError(problem)
        if not self.name or len(self.name) > LONGEST_TENSOR_NAME:
            raise TrtexecError(
                f"{self.name or 'a tensor without name'}: {len(self.name)} characters; cuDLA's descriptors hold "
                f"1 to {LONGEST_TENSOR_NAME}: rename it in the network"
            )

    def problems(self, direction: Literal["input", "output"], reader: str = "Conv") -> Iterator[str]:
        """Why it cannot cross the border in this direction; `reader`: the operator that reads an input."""
        fault = format_fault(direction, self.dtype, self.layout, self.channels, reader)
        if fault:
            yield f"{self.name}: {_said(fault)}"


@dataclass(frozen=True)
class TrtexecCommand:
    """One call of trtexec. Constructing it raises TrtexecError unless every setting goes with every other."""

    tensorrt: TensorRt
    onnx: str
    """without Q/DQ up to TensorRT 10.7, with Q/DQ on every tensor from 11.4.1 on"""
    save: str
    """the file to write: a loadable for cuDLA, or a TensorRT engine"""
    inputs: tuple[IoTensor, ...]
    """in the network's order"""
    outputs: tuple[IoTensor, ...]
    calibration: str | None = None
    """the cache; None from 11.4.1 on"""
    standalone: bool = True
    """a loadable for cuDLA; False: a TensorRT engine whose layers run on the DLA"""
    dla_core: int = 0
    gpu_fallback: bool = False
    """whether an engine may run on the GPU what the DLA cannot; it does so without a word"""
    fp16_layers: tuple[str, ...] = ()
    """layers (ONNX node names) that stay FP16"""
    pools: Mapping[Pool, int] = field(default_factory=lambda: {"dlaSRAM": POOLS["dlaSRAM"]})
    """bytes; what is not named keeps TensorRT's default (SRAM 1 MiB, local DRAM 1 GiB, global DRAM 512 MiB)"""
    loadables: int = 1
    """that the core will hold at once, this one included"""

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise TrtexecError(problem)

    def _problems(self) -> Iterator[str]:
        if self.tensorrt.without_dla:
            yield self.tensorrt.without_dla
        if self.tensorrt < FIRST_STANDALONE:
            yield f"TensorRT {self.tensorrt}: its trtexec has no --buildDLAStandalone; 8.6 (JetPack 6.0) has"
        if self.dla_core not in CORES:
            yield f"DLA core {self.dla_core}: Orin has the cores 0 and 1"
        if self.loadables < 1:
            yield f"{self.loadables} loadables on one core: this one is included, so at least 1"
        loadables = loadables_fault(self.loadables, self.tensorrt)
        fallback = standalone_fault(self.standalone, self.gpu_fallback)
        yield from map(_said, filter(None, (loadables, fallback)))
        if not self.inputs or not self.outputs:
            yield "a network has at least one input and one output"
        for tensor in self.outputs:
            yield from tensor.problems("output")
        for path in (self.onnx, self.save, *([] if self.calibration is None else [self.calibration])):
            if not path or re.search(r"[\x00-\x1f]", path):
                yield f"{path!r}: not a file name that a command line holds"
        if self.tensorrt.strongly_typed:
            if self.calibration is not None:
                yield f"TensorRT {self.tensorrt} reads no calibration cache; scales come with the Q/DQ nodes"
            if self.fp16_layers:
                yield f"TensorRT {self.tensorrt} has no --layerPrecisions; leave the Q/DQ nodes of those layers out"
        elif self.calibration is None:
            yield f"TensorRT {self.tensorrt} needs a calibration cache for INT8 on the DLA"
        yield from self._layer_problems()
        yield from self._pool_problems()

    def _layer_problems(self) -> Iterator[str]:
        for name in self.fp16_layers:
            if not name or re.search(r"[,'*\x00-\x1f]", name):
                yield f"layer {name!r}: --layerPrecisions cannot spell a name with comma, quote, * or nothing in it"
            if self.fp16_layers.count(name) > 1:
                yield f"layer {name}: named twice"

    def _pool_problems(self) -> Iterator[str]:
        for pool, size in self.pools.items():
            if pool not in POOLS:
                yield f"{pool}: not a pool of the DLA: {', '.join(POOLS)}"
                continue
            fault = pool_fault(pool, size)
            if fault:
                yield _said(fault)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Program and arguments, unquoted, as an exec call takes them."""
        return ("trtexec", *self._flags())

    def _flags(self) -> Iterator[str]:
        yield f"--onnx={self.onnx}"
        yield f"--saveEngine={self.save}"
        yield f"--useDLACore={self.dla_core}"
        if self.standalone:
            yield "--buildDLAStandalone"
        if self.gpu_fallback:
            yield "--allowGPUFallback"
        yield f"--inputIOFormats={','.join(map(self._format, self.inputs))}"
        yield f"--outputIOFormats={','.join(map(self._format, self.outputs))}"
        if self.pools:
            yield "--memPoolSize=" + ",".join(f"{pool}:{_mebibytes(size)}" for pool, size in self.pools.items())
        if self.tensorrt.strongly_typed:
            return
        yield "--int8"
        # FP16 only where it is asked for: with it, what lost its scale would quietly run many times slower
        if self.fp16_layers or any(tensor.dtype == "fp16" for tensor in (*self.inputs, *self.outputs)):
            yield "--fp16"
        yield f"--calib={self.calibration}"
        if self.fp16_layers:
            yield "--precisionConstraints=obey"
            yield "--layerPrecisions=" + ",".join(f"{name}:fp16" for name in self.fp16_layers)

    def _format(self, tensor: IoTensor) -> str:
        """trtexec 11 takes layouts alone: the type is that of the tensor in the network."""
        return tensor.layout if self.tensorrt.strongly_typed else f"{tensor.dtype}:{tensor.layout}"

    @property
    def shell(self) -> str:
        """For people: quoted for a shell, a flag a line."""
        return " \\\n  ".join(map(shlex.quote, self.arguments))

    @property
    def unverified(self) -> tuple[str, ...]:
        """What nobody in this project has seen work, a sentence each."""
        notes = ["the line is put together from NVIDIA's sources and pages; this project has not run it on a Jetson"]
        if self.tensorrt > LAST_KNOWN:
            notes.append(
                f"TensorRT {self.tensorrt}: nothing is known of it here, the facts end at {LAST_KNOWN}; the line "
                "is the one for that version"
            )
        if self.tensorrt.strongly_typed:
            notes += [
                f"TensorRT {self.tensorrt}: that its DLA runs INT8 from Q/DQ nodes is expected, not confirmed; what "
                "was read of NVIDIA's page on strongly typed networks for the DLA is about FP16",
                "the flags are those of trtexec 11.1, the last whose source is public; formats carry no type there",
                "whether it takes int8 at the border of a network whose inputs and outputs are float32 is not known",
            ]
        if self.gpu_fallback:
            notes.append("what the DLA cannot run goes to the GPU without a word")
        return tuple(notes)


def layers_text(names: Iterable[str]) -> str:
    """What `layer_names` reads: a layer a line."""
    return "".join(f"{name}:fp16\n" for name in names)


def layer_names(text: str) -> tuple[str, ...]:
    """The layers of LAYERS_FILE: `name:fp16`, separated by commas or line ends, with or without quotes.

    Raises:
        TrtexecError: another form or another precision.
    """
    names = []
    for number, line in enumerate(text.splitlines(), start=1):
        for entry in filter(None, (part.strip() for part in line.split(","))):
            name, _, precision = entry.rpartition(":")
            if not name or precision != "fp16":
                raise TrtexecError(f"line {number}: {entry}: not of the form layer:fp16; what is INT8 is not listed")
            names.append(name.strip().strip('"'))
    return tuple(names)


def _said(fault: Fault) -> str:
    """What broke which rule of the build, and what to do."""
    return f"{fault}: {fault.rule.fix}"


def _mebibytes(size: int) -> str:
    """A power of two of bytes in MiB, exactly: 4096 is 0.00390625."""
    return str(size >> 20) if size >= 1 << 20 else f"{size / (1 << 20):.8f}".rstrip("0")
