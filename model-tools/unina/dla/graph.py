"""A deploy graph as data: operators over static 1×C×H×W tensors, which `unina.dla.graph_reader` reads from ONNX.

The operators are those that the DLA runs and the host engine implements (docs/integer-semantics.md).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

Shape = tuple[int, int, int, int]
Pair = tuple[int, int]
Smooth = Literal["Sigmoid", "Tanh"]


class GraphError(ValueError):
    """The ONNX graph is not one that can be deployed; the text names the node or tensor."""


@dataclass(frozen=True, eq=False)
class Conv:
    """2-D cross-correlation: `weight` float32 O×(I/groups)×k_h×k_w, `bias` float32 O, `pads` top left bottom right."""

    name: str
    inputs: tuple[str, ...]
    output: str
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    weight_name: str
    stride: Pair
    pads: tuple[int, int, int, int]
    dilation: Pair
    groups: int

    @property
    def kernel(self) -> Pair:
        """Height and width."""
        return self.weight.shape[2], self.weight.shape[3]


@dataclass(frozen=True, eq=False)
class Deconv:
    """Transposed convolution without padding, dilation and groups: `weight` float32 I×O×k_h×k_w, `bias` float32 O."""

    name: str
    inputs: tuple[str, ...]
    output: str
    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    weight_name: str
    stride: Pair


@dataclass(frozen=True)
class Relu:
    """`min(max(x, 0), cap)`: ONNX's Relu, or its Clip from 0 to `cap` (ReLU6)."""

    name: str
    inputs: tuple[str, ...]
    output: str
    cap: float = math.inf


@dataclass(frozen=True)
class LeakyRelu:
    """`max(x, 0) + slope · min(x, 0)`."""

    name: str
    inputs: tuple[str, ...]
    output: str
    slope: float


@dataclass(frozen=True)
class Activation:
    """An activation that the DLA computes in FP16 even in an INT8 network."""

    name: str
    inputs: tuple[str, ...]
    output: str
    function: Smooth


@dataclass(frozen=True)
class Unary:
    """A function of one value that is no activation."""

    name: str
    inputs: tuple[str, ...]
    output: str
    function: str
    """Abs, Sin, Cos or Atan"""


@dataclass(frozen=True)
class Mul:
    """The product of two tensors of one shape, or of one and a factor a channel, 1×C×1×1; in FP16."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Max:
    """The larger of two tensors of one shape."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Min:
    """The smaller of two tensors of one shape."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Add:
    """The sum of two tensors of one shape."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Concat:
    """Joins along the channel axis."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class MaxPool:
    """The largest value in a window; `pads` are top, left, bottom, right."""

    name: str
    inputs: tuple[str, ...]
    output: str
    kernel: Pair
    stride: Pair
    pads: tuple[int, int, int, int]


@dataclass(frozen=True)
class AveragePool:
    """The mean of a window without its padding; `pads` are top, left, bottom, right."""

    name: str
    inputs: tuple[str, ...]
    output: str
    kernel: Pair
    stride: Pair
    pads: tuple[int, int, int, int]


@dataclass(frozen=True)
class Resize:
    """Nearest neighbour, `out[y][x] = in[y / f_h][x / f_w]`."""

    name: str
    inputs: tuple[str, ...]
    output: str
    factor: Pair


@dataclass(frozen=True)
class Bilinear:
    """Linear interpolation by whole factors; `corner`: ONNX's coordinate_transformation_mode."""

    name: str
    inputs: tuple[str, ...]
    output: str
    factor: Pair
    corner: Literal["half_pixel", "asymmetric"]


Op = (
    Conv
    | Deconv
    | Relu
    | LeakyRelu
    | Activation
    | Unary
    | Add
    | Mul
    | Max
    | Min
    | Concat
    | MaxPool
    | AveragePool
    | Resize
    | Bilinear
)


@dataclass(frozen=True, eq=False)
class Graph:
    """Operators in execution order; `shapes` has every tensor, the input first, then in the order of writing."""

    ops: tuple[Op, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: Mapping[str, Shape]

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Op, ...]]:
        """The operators that read each tensor."""
        found: dict[str, list[Op]] = {name: [] for name in self.shapes}
        for op in self.ops:
            for name in dict.fromkeys(op.inputs):
                found[name].append(op)
        return {name: tuple(ops) for name, ops in found.items()}

    def is_pre_activation(self, tensor: str) -> bool:
        """Whether ReLU is all that ever sees the tensor: its negative half is cut before anything quantises it."""
        readers = self.consumers[tensor]
        return bool(readers) and tensor not in self.outputs and all(isinstance(op, Relu) for op in readers)

    def fused_relu(self, op: Op) -> Relu | None:
        """The ReLU that the DLA and the host engine run inside `op`: sole reader of a convolution's or add's output."""
        readers = self.consumers[op.output]
        if isinstance(op, Conv | Deconv | Add) and len(readers) == 1 and self.is_pre_activation(op.output):
            relu = readers[0]
            assert isinstance(relu, Relu)
            return relu
        return None

    @cached_property
    def gates(self) -> Mapping[str, Activation]:
        """Output of each x · sigmoid(x) (SiLU) → its Sigmoid, whose own output nothing else sees."""
        sigmoids = {op.output: op for op in self.ops if isinstance(op, Activation) and op.function == "Sigmoid"}
        found: dict[str, Activation] = {}
        for op in self.ops:
            if not isinstance(op, Mul):
                continue
            for gated, gate in (op.inputs, op.inputs[::-1]):
                sigmoid = sigmoids.get(gate)
                if (
                    sigmoid
                    and sigmoid.inputs == (gated,)
                    and gate not in self.outputs
                    and self.consumers[gate] == (op,)
                ):
                    found[op.output] = sigmoid
        return found
