"""What INT8 costs, layer by layer: the error that each convolution alone brings into the raw maps; the price of FP16.

Everything is float but one thing at a time, as in Wu et al., Integer Quantization for Deep Learning Inference,
arXiv 2004.09602, section 5.1: a convolution's weights, or the tensor that it writes. What FP16 takes away of both
follows from which tensors are then float16 (`unina.dla.precision`). The errors add up only roughly, so this ranks
layers; whether a set of them is enough, accuracy decides (`unina.compress.promote`). Raw maps are compared in the range
that their integers have: what lies far below zero decides nothing (`unina.dla.scales.raw_map_amax`).
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unina.compress.calibrate import Input
from unina.compress.float_graph import FloatGraph, Stored, Values
from unina.dla.graph import Conv, Graph
from unina.dla.precision import float16_tensors, reads_picture
from unina.dla.scales import ScaleMap
from unina.dla.weights import quantise_conv

PriceMs = Callable[[Collection[str]], float]
"""Latency on one DLA with the named convolutions in FP16."""
SMALLEST_PRICE_MS = 1e-3
"""Below this the estimate tells no prices apart; a layer that waits for the memory anyway costs nothing in FP16."""


@dataclass(frozen=True)
class LayerSensitivity:
    """One convolution; errors are parts of the sum over all layers."""

    name: str
    output: str
    """the tensor that it writes, after its ReLU"""
    weights_db: float
    """signal to error of its INT8 weights themselves; infinite: they lose nothing"""
    weights_error: float
    """in the raw maps, of its INT8 weights alone"""
    output_error: float
    """in the raw maps, of rounding what it writes alone"""
    removed: float
    """what goes away when this layer alone runs in FP16: its output stays INT8 for readers in INT8"""
    price_ms: float
    """what that adds to the estimate"""

    @property
    def error(self) -> float:
        """All that INT8 in this layer costs."""
        return self.weights_error + self.output_error

    def to_json(self) -> dict[str, Any]:
        """As plain Python values; null for what is infinite."""
        return {
            "name": self.name,
            "weights_db": round(self.weights_db, 2) if math.isfinite(self.weights_db) else None,
            "weights_error": round(self.weights_error, 6),
            "output_error": round(self.output_error, 6),
            "error_removed": round(self.removed, 6),
            "price_ms": round(self.price_ms, 4),
        }


@dataclass(frozen=True)
class Sensitivity:
    """All convolutions of a network, in the order of the graph."""

    graph: Graph
    layers: tuple[LayerSensitivity, ...]
    snr_db: float
    """that all the errors come to if they simply add up: variance of the raw maps over error, mean over the maps"""
    pictures: int

    @cached_property
    def by_error(self) -> tuple[LayerSensitivity, ...]:
        """The most sensitive first."""
        return tuple(sorted(self.layers, key=lambda layer: -layer.error))

    def removed(self, promoted: Collection[str]) -> float:
        """The part of the error that goes away when these layers run in FP16."""
        half = float16_tensors(self.graph, promoted)
        return sum(
            (layer.weights_error if layer.name in promoted else 0.0)
            + (layer.output_error if layer.output in half else 0.0)
            for layer in self.layers
        )

    def order(self, price_ms: PriceMs) -> tuple[tuple[str, ...], ...]:
        """The layers in the order in which to promote them: each step buys most a millisecond with those before it.

        A step is a layer, or a layer with all that read its output: only together do they make that tensor float16.
        What reads the picture stays out (`unina.dla.precision.reads_picture`).
        """
        steps: list[tuple[str, ...]] = []
        chosen: tuple[str, ...] = ()
        stem = {op.name for op in self.graph.ops if isinstance(op, Conv) and reads_picture(self.graph, op)}
        together = {one for one in {(layer.name,) for layer in self.layers} | self._families if not stem & {*one}}
        while len(chosen) < len(self.layers) - len(stem):
            moves = {tuple(name for name in one if name not in chosen) for one in together} - {()}
            paid, had = price_ms(chosen), self.removed(chosen)
            bought = {
                move: (self.removed((*chosen, *move)) - had) / max(price_ms((*chosen, *move)) - paid, SMALLEST_PRICE_MS)
                for move in moves
            }
            steps.append(max(sorted(moves), key=lambda move: (bought[move], -len(move))))
            chosen += steps[-1]
        return tuple(steps)

    @cached_property
    def _families(self) -> set[tuple[str, ...]]:
        """Each convolution with its readers, where these are convolutions."""
        found = set()
        for layer in self.layers:
            readers = self.graph.consumers[layer.output]
            if readers and all(isinstance(op, Conv) for op in readers):
                found.add((layer.name, *(op.name for op in readers)))
        return found

    def to_json(self) -> dict[str, Any]:
        """As plain Python values, the most sensitive layer first."""
        return {
            "pictures": self.pictures,
            "snr_db": round(self.snr_db, 2) if math.isfinite(self.snr_db) else None,
            "layers": [layer.to_json() for layer in self.by_error],
        }


def measure_sensitivity(
    graph: Graph,
    scales: ScaleMap,
    inputs: Sequence[Input],
    price_ms: PriceMs,
    advance: Callable[[], None] = lambda: None,
) -> Sensitivity:
    """Measures every convolution.

    Args:
        inputs: a few calibration pictures, float32 1×3×H×W.
        advance: called after each convolution of each picture.

    Raises:
        ValueError: no picture.
        ScaleError: a tensor has no scale.
    """
    if not len(inputs):
        raise ValueError("no pictures to measure the sensitivity on; give at least one")
    network = FloatGraph(graph)
    ranges = {name: float(scales[name]) for name in graph.outputs}
    convolutions = [(step, op) for step in network.steps if isinstance(op := step.op, Conv)]
    integers = {op.name: _integers(op, scales) for _, op in convolutions}
    weights_error = {op.name: _Error(ranges) for _, op in convolutions}
    output_error = {op.name: _Error(ranges) for _, op in convolutions}
    spread = _Spread(ranges)
    with torch.inference_mode():
        for x in inputs:
            values = network.run(x)
            spread.add(values)
            for step, op in convolutions:
                other = network.convolved(step, values, *integers[op.name])
                weights_error[op.name].add(values, network.run_from(values, {step.output: other}))
                kept = _rounded(values[step.output], float(scales[step.output]))
                output_error[op.name].add(values, network.run_from(values, {step.output: kept}))
                advance()
    variances = spread.result()
    by_weights = {name: error.over(variances) for name, error in weights_error.items()}
    by_output = {name: error.over(variances) for name, error in output_error.items()}
    total = sum(by_weights.values()) + sum(by_output.values())
    whole = total or 1.0
    integer_ms = price_ms(())
    layers = tuple(
        LayerSensitivity(
            name=op.name,
            output=step.output,
            weights_db=_weights_db(op, integers[op.name][0]),
            weights_error=by_weights[op.name] / whole,
            output_error=by_output[op.name] / whole,
            removed=_removed_alone(graph, step, by_weights[op.name], by_output[op.name]) / whole,
            price_ms=price_ms((op.name,)) - integer_ms,
        )
        for step, op in convolutions
    )
    return Sensitivity(graph, layers, _decibels(len(graph.outputs), total), len(inputs))


class _Spread:
    """Sum of squares of each output about its mean over all pictures: the offset of a logit is no signal."""

    def __init__(self, scales: Mapping[str, float]) -> None:
        self._scales = scales
        self._sums = {name: [0, 0.0, 0.0] for name in scales}

    def add(self, values: Values) -> None:
        for name, sums in self._sums.items():
            exact = _in_range(values[name], self._scales[name]).double()
            sums[0] += exact.numel()
            sums[1] += float(exact.sum())
            sums[2] += float(exact.square_().sum())

    def result(self) -> dict[str, float]:
        found = {}
        for name, (count, total, squares) in self._sums.items():
            one_step = count * self._scales[name] ** 2 / 12  # of a map that is out of range everywhere
            found[name] = max(squares - total**2 / count, one_step)
        return found


class _Error:
    """Sum of squared differences of each output."""

    def __init__(self, scales: Mapping[str, float]) -> None:
        self._scales = scales
        self._sums = dict.fromkeys(scales, 0.0)

    def add(self, values: Values, changed: Values) -> None:
        for name, other in changed.items():
            apart = _in_range(other, self._scales[name]) - _in_range(values[name], self._scales[name])
            self._sums[name] += float(apart.square_().sum(dtype=torch.float64))

    def over(self, variances: dict[str, float]) -> float:
        """Summed over the outputs, each over its variance."""
        return sum(total / variances[name] for name, total in self._sums.items())


def _in_range(x: Tensor, scale: float) -> Tensor:
    return x.clamp(-128 * scale, 127 * scale)


def _integers(op: Conv, scales: ScaleMap) -> tuple[Tensor, Tensor]:
    """Weight and bias as INT8 has them, as real values."""
    source = scales[op.inputs[0]]
    integers = quantise_conv(op, source)
    weight = integers.weight * integers.scale.astype(np.float64)[:, None, None, None]
    bias = integers.bias * (float(source) * integers.scale.astype(np.float64))
    return torch.from_numpy(weight.astype(np.float32)), torch.from_numpy(bias.astype(np.float32))


def _rounded(x: Tensor, scale: float) -> Tensor:
    return (x / scale).round_().clamp_(-128, 127).mul_(scale)


def _removed_alone(graph: Graph, step: Stored, weights: float, output: float) -> float:
    return weights + (output if step.output in float16_tensors(graph, (step.op.name,)) else 0.0)


def _weights_db(op: Conv, kept: Tensor) -> float:
    exact = torch.from_numpy(op.weight.astype(np.float64))
    return _decibels(float(exact.square().sum()), float((exact - kept).square().sum()))


def _decibels(one: float, other: float) -> float:
    """10·log10(one / other); 0 where both are zero."""
    if other == 0:
        return math.inf if one else 0.0
    return 10 * math.log10(one / other) if one else -math.inf
