"""A network on its way to a deploy graph: the steps so far, and what stands for each of its tensors.

What is asked of a node that has something else raises RewriteError.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unina.dla.graph import Shape
from unina.dla.network import Network, Node
from unina.export.deploy_network import Step

Array = npt.NDArray[Any]


class RewriteError(ValueError):
    """The network cannot become a deploy graph; the text names the node and the fix."""

    def __init__(self, node: Node, why: str) -> None:
        super().__init__(f"node {node.name} ({node.op}): {why}")


@dataclass(frozen=True)
class Flat:
    """A map of H×W > 1 that was flattened: a fully connected layer alone may read it."""

    source: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Arranged:
    """A map whose channels stand on several axes, perhaps in another order: 1×…×H×W."""

    source: str
    shape: Shape
    """of the source"""
    channels: npt.NDArray[np.int64]
    """the source's channel at each place, over the axes between batch and height"""


class Draft:
    """Filled node by node, in execution order."""

    def __init__(self, network: Network, outputs: Sequence[str]) -> None:
        self.network = network
        self.outputs = tuple(outputs)
        self.nodes = _needed(network, self.outputs)
        self.steps: dict[str, Step] = {}
        """by output"""
        self.same: dict[str, str] = {}
        """tensor of the network → tensor of a step with the same values"""
        self.flat: dict[str, Flat] = {}
        self.padded: dict[str, tuple[str, tuple[int, ...]]] = {}
        """tensor → what it is without its zeros, and those: top, left, bottom, right"""
        self.arranged: dict[str, Arranged] = {}
        self.readers: dict[str, int] = {name: 1 for name in self.outputs}
        for node in self.nodes:
            for name in set(filter(None, node.inputs)):
                self.readers[name] = self.readers.get(name, 0) + 1

    def at(self, tensor: str) -> str:
        """What stands for a tensor of the network among the steps."""
        return self.same.get(tensor, tensor)

    def read(self, node: Node, position: int = 0) -> str:
        """The tensor that a step is to read."""
        name = node.inputs[position]
        if name in self.network.constants:
            raise RewriteError(node, f"reads the constant {name}, and the DLA has none: fold it into a convolution")
        if name in self.flat:
            raise RewriteError(node, f"reads {name}, a flattened map, which only a fully connected layer may")
        if name in self.arranged:
            raise RewriteError(node, f"reads {name}, a map whose channels stand on several axes: make them one before")
        if name in self.padded:
            raise RewriteError(node, f"reads {name}, a padded map, which only a convolution or average may")
        return self.at(name)

    def shape(self, tensor: str, node: Node | None = None) -> Shape:
        """1×C×H×W; what has no height and width gets 1×1."""
        shape = self.network.shape(tensor)
        whole = shape is not None and (len(shape) == 4 or (len(shape) < 4 and math.prod(shape[2:]) == 1))
        if shape is None or not whole or not shape or shape[0] != 1:
            text = "an unknown shape" if shape is None else f"the shape {'×'.join(map(str, shape))}"
            message = f"{tensor} has {text}, expected 1×C×H×W or 1×C: let the network end before it (--outputs)"
            raise RewriteError(node, message) if node else ValueError(message)
        full = (*shape, 1, 1, 1)
        return full[0], full[1], full[2], full[3]

    def constant(self, node: Node, position: int, what: str) -> Array:
        """The value of an input that must be a constant; `what` is its name in an error."""
        name = node.inputs[position] if position < len(node.inputs) else ""
        if name not in self.network.constants:
            raise RewriteError(node, f"its {what} is computed, and must be a constant")
        return self.network.constants[name]

    def number(self, node: Node, position: int, what: str) -> float:
        """The value of an input that must be one constant number; `what` is its name in an error."""
        value = self.constant(node, position, what)
        if value.size != 1:
            raise RewriteError(node, f"its {what} is {value.size} numbers instead of one")
        return float(value.item())

    def add(self, step: Step) -> None:
        """Takes a step, under the name of its output."""
        self.steps[step.output] = step

    def step(self, node: Node, op: str, inputs: Sequence[str], **attributes: Any) -> None:
        """Takes a step that writes what the node writes."""
        self.add(Step(op, node.name, tuple(inputs), node.outputs[0], attributes))

    def padding(self, node: Node) -> tuple[str, tuple[int, ...]]:
        """What a window reads, and the zeros that an operator of their own put around it."""
        return self.padded.get(node.inputs[0]) or (self.read(node), (0, 0, 0, 0))

    def pads(self, node: Node, extent: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
        """Top, left, bottom, right of a window that spans `extent`."""
        how = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
        if how in {"NOTSET", "VALID"}:
            given = tuple(node.attributes.get("pads", (0, 0, 0, 0)))
            return given if how == "NOTSET" else (0, 0, 0, 0)
        sizes = self.shape(node.inputs[0], node)[2:]
        begin, end = [], []
        for size, window, stride in zip(sizes, extent, strides, strict=True):
            total = max((math.ceil(size / stride) - 1) * stride + window - size, 0)
            less, more = total // 2, total - total // 2
            begin.append(less if how == "SAME_UPPER" else more)
            end.append(more if how == "SAME_UPPER" else less)
        return (*begin, *end)


def _needed(network: Network, outputs: Sequence[str]) -> tuple[Node, ...]:
    """The nodes that lead to the outputs, in execution order."""
    wanted = set(outputs)
    found = []
    for node in reversed(network.nodes):
        if wanted.intersection(node.outputs):
            found.append(node)
            wanted.update(node.inputs)
    return tuple(reversed(found))
