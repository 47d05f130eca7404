"""A deploy graph in float on torch, which can be computed again from one tensor on: what a change there does to the
outputs costs only what lies behind it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from unina.dla.graph import Add, Concat, Conv, Graph, MaxPool, Op, Relu, Resize

Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Stored:
    """An operator with the ReLU that runs inside it."""

    op: Op
    output: str
    """what it writes"""
    relu: bool


class FloatGraph:
    """Tensors are float32 1×C×H×W; those that only the ReLU inside an operator reads do not appear."""

    def __init__(self, graph: Graph) -> None:
        self.outputs = graph.outputs
        self._input = graph.inputs[0]
        self._weights = {
            op.name: (torch.from_numpy(op.weight.copy()), torch.from_numpy(op.bias.copy()))
            for op in graph.ops
            if isinstance(op, Conv)
        }
        steps: list[Stored] = []
        inside: set[str] = set()
        for op in graph.ops:
            if op.output in inside:
                continue
            relu = graph.fused_relu(op)
            for one in (op, relu):
                if isinstance(one, Relu) and not math.isinf(one.cap):
                    raise ValueError(f"{one.name}: clips to {one.cap:g}, which is computed in float nowhere here")
            if relu is not None:
                inside.add(relu.output)
            steps.append(Stored(op, op.output if relu is None else relu.output, relu is not None))
        self.steps = tuple(steps)

    def run(self, x: npt.NDArray[np.float32]) -> dict[str, Tensor]:
        """Every tensor by name, 1×C×h×w, for one input 1×3×H×W."""
        values = {self._input: torch.from_numpy(x)}
        for step in self.steps:
            values[step.output] = self._value(step, values)
        return values

    def run_from(self, values: Values, changed: Values) -> dict[str, Tensor]:
        """The outputs, 1×C×h×w by name, that depend on tensors which are replaced.

        Args:
            values: of `run`.
            changed: the tensors that take the place of those.
        """
        new = dict(changed)
        for step in self.steps:
            if step.output not in changed and any(name in new for name in step.op.inputs):
                new[step.output] = self._value(step, {name: new.get(name, values[name]) for name in step.op.inputs})
        return {name: new[name] for name in self.outputs if name in new}

    def convolved(self, step: Stored, values: Values, weight: Tensor, bias: Tensor) -> Tensor:
        """What a convolution writes, 1×O×h×w, with another weight O×I×k×k and bias O."""
        assert isinstance(step.op, Conv)
        op = step.op
        x = values[op.inputs[0]]
        top, left, bottom, right = op.pads
        even = (top, left) == (bottom, right)
        if not even:
            x = F.pad(x, (left, right, top, bottom))
        y = F.conv2d(x, weight, bias, op.stride, (top, left) if even else 0, op.dilation, op.groups)
        return y.relu_() if step.relu else y

    def _value(self, step: Stored, values: Values) -> Tensor:
        read = [values[name] for name in step.op.inputs]
        match step.op:
            case Conv() as op:
                return self.convolved(step, values, *self._weights[op.name])
            case Add():
                total = read[0] + read[1]
                return total.relu_() if step.relu else total
            case Relu():
                return read[0].relu()
            case Concat():
                return torch.cat(read, dim=1)
            case MaxPool() as op:
                top, left, bottom, right = op.pads
                padded = F.pad(read[0], (left, right, top, bottom), value=-math.inf)
                return F.max_pool2d(padded, op.kernel, op.stride)
            case Resize() as op:
                height, width = op.factor
                return read[0].repeat_interleave(height, dim=2).repeat_interleave(width, dim=3)
            case other:
                raise ValueError(f"{other.name}: a {type(other).__name__} is computed in float nowhere here")
