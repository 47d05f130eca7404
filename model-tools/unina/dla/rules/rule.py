"""What a rule of the DLA is: one row of a table, with its source and how sure we are of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Any

from unina.dla.network import Array, Network, Node
from unina.dla.tensorrt import TensorRt

GUIDE = "TensorRT 8.5.3 developer guide, DLA supported layers"
PAGE = "TensorRT 10.x documentation, DLA layer restrictions"
HEADER = "NvInfer.h, release/10.3"
SOFTWARE = "NVIDIA/Deep-Learning-Accelerator-SW, operators/README.md"
BASE_HEADER = "NvInferRuntimeBase.h, sampleOptions.cpp"
DLA_SOFTWARE = "NVIDIA/Deep-Learning-Accelerator-SW, README.md"


class Effect(Enum):
    """What breaking a rule does."""

    GPU = "not on the DLA"
    FP16 = "DLA in FP16"
    NOTE = "runs, but mind it"
    DENSE = "runs, without sparsity"
    BUILD = "does not compile or load"


class Certainty(Enum):
    """How a rule is known."""

    READ = "read in NVIDIA's document, header or code"
    EXCERPT = "from an excerpt of NVIDIA's documentation"
    USER = "reported in a forum, an issue or a log"
    INFERRED = "inferred from the cited source"
    MEMORY = "general knowledge, not checked again"
    UNVERIFIED = "unverified"


@dataclass(frozen=True)
class Versions:
    """TensorRT from `since` on, and older than `before`; None is open."""

    since: TensorRt | None = None
    before: TensorRt | None = None

    def __contains__(self, version: TensorRt) -> bool:
        return (self.since is None or version >= self.since) and (self.before is None or version < self.before)

    def __str__(self) -> str:
        ends = [f"≥ {self.since}" if self.since else "", f"< {self.before}" if self.before else ""]
        return ", ".join(filter(None, ends)) or "all"


ALL = Versions()
JETPACK_6 = TensorRt(10, 3)


@dataclass(frozen=True)
class Context:
    """What a network is built for."""

    trt: TensorRt = JETPACK_6
    precision: str = "int8"
    """"int8" or "fp16" """
    input_format: str | None = None
    """of network inputs: dla_hwc4, dla_linear, chw16 or chw32; None: HWC4 for pictures (1, 3 or 4 channels)"""
    sparse: bool = False
    """2:4 structured sparsity is asked for"""
    scales: Mapping[str, float] | None = None
    """INT8 scale of each tensor where they are known (a calibration cache)"""
    fp16_layers: frozenset[str] = frozenset()
    """names of nodes that are FP16 in an INT8 network, up to TensorRT 10.7"""


@dataclass(frozen=True, eq=False)
class Site:
    """One node where it stands: what a rule looks at."""

    node: Node
    network: Network
    context: Context

    @property
    def precision(self) -> str:
        """ "int8" or "fp16": what is asked of this node."""
        asked = self.node.name in self.context.fp16_layers and not self.context.trt.strongly_typed
        return "fp16" if asked else self.context.precision

    @property
    def element_bytes(self) -> int:
        """Of one value in the node's precision."""
        return 1 if self.precision == "int8" else 2

    def shape(self, index: int = 0) -> tuple[int, ...] | None:
        """Of an input; None when not known or not there."""
        return self.network.shape(self.node.inputs[index]) if self.has(index) else None

    def has(self, index: int) -> bool:
        """Whether the node is given this input."""
        return index < len(self.node.inputs) and bool(self.node.inputs[index])

    def constant(self, index: int) -> Array | None:
        """The value of an input that is a constant."""
        return self.network.constants.get(self.node.inputs[index]) if self.has(index) else None

    def get(self, attribute: str, default: Any = None) -> Any:
        """An attribute of the node."""
        return self.node.attributes.get(attribute, default)

    @cached_property
    def output(self) -> tuple[int, ...] | None:
        """Shape of the first output."""
        return self.network.shape(self.node.outputs[0])

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """Inputs that are not constants."""
        return tuple(name for name in self.node.inputs if name and name not in self.network.constants)

    @cached_property
    def readers(self) -> tuple[Node, ...]:
        """Nodes that read the first output."""
        return self.network.consumers.get(self.node.outputs[0], ())

    def scales(self, names: tuple[str, ...]) -> list[float]:
        """Those of the named tensors that have one."""
        known = self.context.scales or {}
        return [float(known[name]) for name in names if name in known]

    def axis(self, default: int, rank: int) -> int:
        """The attribute `axis`, counted from the front."""
        axis = int(self.get("axis", default))
        return axis + rank if axis < 0 else axis


Check = Callable[[Site], str | None]


@dataclass(frozen=True)
class Rule:
    """One restriction. `check` says what it found when a node breaks it, None when the node keeps it."""

    id: str
    layer: str
    """as in the documentation's tables"""
    condition: str
    limit: str
    source: str
    fix: str
    """what a modeller can do, in his words"""
    ops: frozenset[str] | None = None
    """ONNX operators that it holds for; None: all, or it is not about a node"""
    check: Check | None = None
    """None: it is about the build (see `build.py`), or it can't be seen in a network"""
    precision: str = "INT8, FP16"
    trt: Versions = ALL
    certainty: Certainty = Certainty.READ
    effect: Effect = Effect.GPU
    unchecked: str = ""
    """why no network can break it, where none can and it is not about the build"""

    def found(self, site: Site) -> str | None:
        """What breaks the rule at this node; None when nothing does or the rule does not hold here."""
        if self.check is None or (self.ops is not None and site.node.op not in self.ops):
            return None
        if site.context.trt not in self.trt or site.precision.upper() not in self.precision:
            return None
        return self.check(site)


@dataclass(frozen=True)
class Fault:
    """A rule that is broken, and by what."""

    rule: Rule
    found: str

    def __str__(self) -> str:
        return f"{self.found}; {self.rule.condition}: {self.rule.limit} [{self.rule.id}]"


def ops(*names: str) -> frozenset[str]:
    """The operators that a rule is about, by their ONNX names."""
    return frozenset(names)
