"""A detector in the integers of the host engine and the DLA, through which gradients still flow.

The deploy graph is computed operator by operator as docs/integer-semantics.md defines it: int8 tensors with one scale
for each tied group of the `ScaleMap`, int8 weights with one a channel, int32 biases, exact sums (in float32 up to 2²⁴),
one multiplication and one rounding. Where a rounding has no slope the gradient passes as if it were not there
(straight-through, arXiv 1308.3432); scales are learned as LSQ does (arXiv 1902.08153, section 2.1), in the logarithm
(arXiv 1903.08066).

The rep blocks stay: each is fused anew at every step, with batch statistics frozen, so that a trained detector goes in
and a trained detector comes out, and its fused kernels are what the export will quantise.
"""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unina.dla.graph import Add, Concat, Conv, Graph, MaxPool, Op, Relu, Resize
from unina.dla.scales import ScaleMap, raw_map_amax
from unina.dla.ties import tied_groups
from unina.dla.weights import BIAS_LIMIT
from unina.model import Detector
from unina.model.detector import INPUT_SCALE, DetectorMaps
from unina.model.head import LevelMaps
from unina.model.rep_block import FusableBlock
from unina.train.quantise_spec import QuantiseSpec

HEAD, TRAINED_HEAD = "head.", "one_to_one."
"""The deployed head's name in the graph, and in the detector."""
SMALLEST = float(np.finfo(np.float32).tiny)


HALF = 0.5 - 2.0**-25
"""The float32 before 0.5: added to a magnitude and truncated, it rounds ties up and nothing else."""


def nearest_(x: Tensor, half_even: bool) -> Tensor:
    """The nearest integers, in place, of any shape; ties to even or away from zero."""
    return x.round_() if half_even else x.add_(torch.copysign(x.new_tensor(HALF), x)).trunc_()


class _Requantise(torch.autograd.Function):
    """int8 of accumulators; the gradient passes the rounding unchanged and stops where a clamp or ReLU does."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, multiplier: Tensor, relu: bool, half_even: bool) -> Tensor:
        q = nearest_(total * multiplier, half_even)
        ctx.save_for_backward(total, multiplier, ((total > 0) if relu else (q >= -128)) & (q <= 127))
        return q.clamp_(0 if relu else -128, 127)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        total, multiplier, inside = ctx.saved_tensors
        passed = gradients[0] * inside
        over = [axis for axis in range(total.dim()) if multiplier.dim() == 0 or multiplier.shape[axis] == 1]
        moved = (passed * total).sum(dim=over).reshape(multiplier.shape)
        return passed.mul_(multiplier), moved, None, None


class _Round(torch.autograd.Function):
    """The nearest integers, ties to even; the gradient passes unchanged."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


def requantised(total: Tensor, multiplier: Tensor, relu: bool, half_even: bool) -> Tensor:
    """int8 values of accumulators, a ReLU applied; `multiplier`: above 0, a scalar or, as 1×C×1×1, one a channel."""
    return _Requantise.apply(total, multiplier, relu, half_even)  # type: ignore[no-untyped-call, no-any-return]


def rounded(x: Tensor) -> Tensor:
    """The nearest integers, of any shape, ties to even, with a straight-through gradient (arXiv 1308.3432)."""
    return _Round.apply(x)  # type: ignore[no-untyped-call, no-any-return]


def damped(x: Tensor, part: float) -> Tensor:
    """x, of any shape, with that part of its gradient."""
    return x.detach() + (x - x.detach()) * part


class QuantisedDetector(nn.Module):
    """A `Detector` whose one-to-one network runs in integers; the one-to-many head teaches it in float."""

    def __init__(self, detector: Detector, graph: Graph, spec: QuantiseSpec) -> None:
        """`graph`: the deploy graph of this detector, of any weights and input size.

        Raises ValueError when the graph is another network's.
        """
        super().__init__()
        self.detector, self.graph, self.quantise = detector, graph, spec
        self.spec, self.classes = detector.spec, detector.classes
        self.groups = tied_groups(graph)
        self.group = {name: number for number, names in enumerate(self.groups) for name in names}
        self.fixed = {self.group[name] for name in graph.inputs}
        self.log2_scale = nn.Parameter(torch.zeros(len(self.groups)), requires_grad=spec.scales == "learned")
        self.amax = [0.0] * len(self.groups)
        sizes = [sum(math.prod(graph.shapes[name]) for name in names) for names in self.groups]
        self.slope = [1 / math.sqrt(127 * size) for size in sizes]  # LSQ: as strong as the weights' gradient
        self.features = [self._conv(f"{HEAD}class_towers.{i}.0").inputs[0] for i in range(len(self.spec.levels))]
        for op in graph.ops:
            if isinstance(op, Conv):
                self.kernel(op)  # the module is there

    def _conv(self, module: str) -> Conv:
        for op in self.graph.ops:
            if isinstance(op, Conv) and op.weight_name.startswith(f"{module}."):
                return op
        raise ValueError(f"the graph has no convolution {module}: it is another network's")

    def train(self, mode: bool = True) -> "QuantisedDetector":
        """Batch statistics stay frozen."""
        super().train(mode)
        self.detector.eval()
        return self

    def kernel(self, op: Conv) -> tuple[Tensor, Tensor]:
        """Weight O×I×k×k and bias O of a convolution from the trained branches, float32.

        Raises ValueError where the detector has no part of that name.
        """
        path = op.weight_name.removesuffix(".weight").removesuffix(".conv")
        path = TRAINED_HEAD + path.removeprefix(HEAD) if path.startswith(HEAD) else path
        try:
            module = self.detector.get_submodule(path)
            if isinstance(module, nn.Conv2d):
                assert module.bias is not None
                return module.weight, module.bias
            if not isinstance(module, FusableBlock):  # a lateral's own convolution is called conv, too
                raise AttributeError(path)
        except AttributeError as error:
            raise ValueError(f"the detector has no {path}, which the graph's {op.name} stands for") from error
        weight, bias = module.equivalent()
        if path == "backbone.stem":
            weight = weight * INPUT_SCALE
        return weight.float(), bias.float()

    # ── scales ──

    @torch.no_grad()
    def observe(self, x: Tensor) -> None:
        """Notes the range of every group on a batch N×3×H×W, computed in float."""
        for name, value in self._run(x, quantised=False).items():
            number, amax = self.group[name], float(value.abs().max())
            if name in self.graph.outputs:
                amax = raw_map_amax(float(value.max()), amax)
            self.amax[number] = max(self.amax[number], amax)

    @torch.no_grad()
    def begin(self) -> None:
        """Takes what was observed for the first scales.

        Raises ValueError for a group that was zero, or not finite.
        """
        for number, (names, amax) in enumerate(zip(self.groups, self.amax, strict=True)):
            if number in self.fixed:
                continue
            if not (0 < amax < math.inf):
                raise ValueError(f"{names[0]}: its largest magnitude on the first crops is {amax}; it cannot be scaled")
            self.log2_scale[number] = math.log2(amax / 127)

    def scale(self, name: str) -> Tensor:
        """The scale of a tensor, a scalar; 1 for the network's input."""
        number = self.group[name]
        if number in self.fixed:
            return self.log2_scale.new_ones(())
        return damped(torch.exp2(self.log2_scale[number]), self.slope[number])

    def scales(self) -> dict[str, float]:
        """Tensor → scale, float32 values, for the checkpoint: a `ScaleMap` once read."""
        values = {name: np.float32(float(self.scale(name).detach())) for name in self.graph.shapes}
        return {name: float(scale) for name, scale in ScaleMap(values).scales.items()}

    # ── the network ──

    def forward(self, x: Tensor) -> DetectorMaps:
        """x: N×3×H×W, RGB pixel − 128, whole numbers. Maps and features are dequantised, float32."""
        integers = self._run(x, quantised=True)
        features = tuple(integers[name] * self.scale(name) for name in self.features)
        maps = [integers[name] * self.scale(name) for name in self.graph.outputs]
        one_to_one: tuple[LevelMaps, ...] = tuple(zip(maps[0::2], maps[1::2], strict=True))
        return DetectorMaps(self.detector.one_to_many(features), one_to_one, features)

    def deploy(self) -> "QuantisedDeployed":
        """The integer network alone, for scoring."""
        return QuantisedDeployed(self)

    def _run(self, x: Tensor, *, quantised: bool) -> dict[str, Tensor]:
        """Every tensor that is stored: as integers (in float32), or as real values."""
        values = {self.graph.inputs[0]: x}
        part = self.detector.one_to_one_gradient
        with torch.autocast(x.device.type, enabled=False):
            for op in self.graph.ops:
                if op.output in values:  # the ReLU inside the operator before
                    continue
                relu = self.graph.fused_relu(op)
                stored = op.output if relu is None else relu.output
                read = [values[name] for name in op.inputs]
                if isinstance(op, Conv) and op.weight_name.startswith(HEAD) and op.inputs[0] in self.features:
                    read = [damped(read[0], part)]
                values[stored] = self._value(op, read, stored, relu is not None, quantised)
                if relu is not None:
                    values[op.output] = values[stored]
        return {name: values[name] for name in self.graph.shapes if not self.graph.is_pre_activation(name)}

    def _value(self, op: Op, read: list[Tensor], stored: str, relu: bool, quantised: bool) -> Tensor:
        match op:
            case Conv():
                return self._convolution(op, read[0], stored, relu, quantised)
            case Add():
                total = read[0] + read[1]
                if quantised:
                    return self._stored(total, self.scale(op.inputs[0]) / self.scale(stored), relu)
                return total.relu() if relu else total
            case Relu():
                return read[0].relu()
            case Concat():
                return torch.cat(read, dim=1)
            case MaxPool():
                top, left, bottom, right = op.pads
                padded = F.pad(read[0], (left, right, top, bottom), value=-math.inf)
                return F.max_pool2d(padded, op.kernel, op.stride)
            case Resize():
                return F.interpolate(read[0], scale_factor=[float(f) for f in op.factor], mode="nearest")
            case _:
                raise ValueError(f"{op.name}: no training computes a {type(op).__name__}")

    def _convolution(self, op: Conv, x: Tensor, stored: str, relu: bool, quantised: bool) -> Tensor:
        weight, bias = self.kernel(op)
        top, left, bottom, right = op.pads
        padded = x if not any(op.pads) else F.pad(x, (left, right, top, bottom))
        if not quantised:
            y = F.conv2d(padded, weight, bias, op.stride, 0, op.dilation, op.groups)
            return y.relu() if relu else y
        source, target = self.scale(op.inputs[0]), self.scale(stored)
        per_channel = weight_scales(weight.detach(), bias.detach(), source.detach())
        integers = rounded(weight / per_channel[:, None, None, None]).clamp(-127, 127)
        offset = rounded(bias / (source.detach() * per_channel)).clamp(-BIAS_LIMIT, BIAS_LIMIT)
        total = F.conv2d(padded, integers, offset, op.stride, 0, op.dilation, op.groups)
        return self._stored(total, ((source * per_channel) / target)[None, :, None, None], relu)

    def _stored(self, total: Tensor, multiplier: Tensor, relu: bool) -> Tensor:
        return requantised(total, multiplier, relu, self.quantise.rounding == "half-even")


class QuantisedDeployed(nn.Module):
    """The integer network with the face of a `DeployedDetector`."""

    def __init__(self, network: QuantisedDetector) -> None:
        super().__init__()
        self.network = network
        self.spec, self.classes = network.spec, network.classes
        self.strides, self.reg_max = network.spec.strides, network.spec.reg_max
        self.output_names = network.graph.outputs
        self.eval()

    @torch.no_grad()
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N×3×H×W to the maps of `output_names`."""
        found = self.network._run(x, quantised=True)
        return tuple(found[name] * self.network.scale(name) for name in self.output_names)


def weight_scales(weight: Tensor, bias: Tensor, source: Tensor) -> Tensor:
    """One scale an output channel, as `unina.dla.weights.quantise_conv` chooses it; O."""
    largest = weight.abs().flatten(1).amax(dim=1) / 127
    holds_bias = (bias.abs().double() / (source.double() * (BIAS_LIMIT - 128))).float()
    scale = torch.maximum(largest, holds_bias)
    return torch.where(scale >= SMALLEST, scale, torch.ones_like(scale))
