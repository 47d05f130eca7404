"""The scale map: the one truth of quantisation, from which cache, Q/DQ graph and host loadable are derived.

INT8 is symmetric with zero point 0, `real = scale · q`, `scale = amax / 127` (TensorRT 8.5.3 developer guide, 7.1).
"""

import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from unina.dla.graph import Graph
from unina.dla.ties import tied_groups

INPUT_SCALE = np.float32(1.0)
"""Of the network input: it is pixel − 128, which int8 holds without loss."""

RAW_MAP_AMAX = 8.0
"""A raw map resolves at least what lies within this of zero, and need not reach further down."""


class ScaleError(ValueError):
    """A tensor has no usable scale; the text names it."""


@dataclass(frozen=True)
class ScaleMap(Mapping[str, np.float32]):
    """Tensor name → float32 scale, positive and normal, in the order of the graph."""

    scales: Mapping[str, np.float32]

    def __post_init__(self) -> None:
        for name, scale in self.scales.items():
            if not isinstance(scale, np.float32):
                raise ScaleError(f"{name}: scale {scale!r} is {type(scale).__name__}, not float32")
            if not (np.finfo(np.float32).tiny <= scale < np.inf):
                raise ScaleError(f"{name}: scale {scale} is not a positive, normal float32")

    def __getitem__(self, name: str) -> np.float32:
        try:
            return self.scales[name]
        except KeyError:
            raise ScaleError(f"{name}: the scale map has no such tensor") from None

    def __contains__(self, name: object) -> bool:
        return name in self.scales

    def __iter__(self) -> Iterator[str]:
        return iter(self.scales)

    def __len__(self) -> int:
        return len(self.scales)

    def bits(self, name: str) -> str:
        """The scale as 8 hex digits, big-endian IEEE-754 float32: the spelling of the cache and the manifest."""
        return scale_bits(self[name])

    @classmethod
    def from_amax(cls, graph: Graph, amax: Mapping[str, float]) -> "ScaleMap":
        """Applies the ties of the graph, once: a tied group takes its largest amax, the network input 1.0 exactly.

        Tensors that only ReLU reads need no amax: they take the scale of the ReLU's output. Nor does the sigmoid of a
        SiLU, which no INT8 operator sees: it takes that of its range, 1.

        Raises:
            ScaleError: an amax is missing, NaN, infinite, zero or negative.
        """
        amax = {gate.output: 1.0 for gate in graph.gates.values()} | dict(amax)
        unknown = [name for name in amax if name not in graph.shapes]
        if unknown:
            raise ScaleError(f"{unknown[0]}: the graph has no such tensor")
        wanted = {*measured_tensors(graph), *(gate.output for gate in graph.gates.values())}
        scales: dict[str, np.float32] = {}
        for group in tied_groups(graph):
            measured = [_checked(name, amax) for name in group if name in wanted]
            fixed = any(name in graph.inputs for name in group)
            scale = INPUT_SCALE if fixed else np.float32(max(measured) / 127)
            if not (np.finfo(np.float32).tiny <= scale < np.inf):
                raise ScaleError(f"{group[0]}: amax {max(measured)} makes no usable float32 scale")
            scales.update(dict.fromkeys(group, scale))
        return cls({name: scales[name] for name in graph.shapes})


def raw_map_amax(largest: float, amax: float) -> float:
    """The amax of a raw map whose values reach `largest`, and `amax` in magnitude.

    Far below zero nothing is decided: a score of sigmoid(−8) is 0.0003, and a bin of a side 8 below the others has next
    to no weight in their softmax. Trained maps reach down to −180; scaled by that, one step would be 1.4 of a logit.
    """
    return min(amax, max(largest, RAW_MAP_AMAX))


def measured_tensors(graph: Graph) -> tuple[str, ...]:
    """The tensors whose range calibration must observe, in the order of the graph."""
    unmeasured = {*graph.inputs, *(gate.output for gate in graph.gates.values())}
    return tuple(name for name in graph.shapes if name not in unmeasured and not graph.is_pre_activation(name))


def scale_bits(scale: np.float32) -> str:
    """8 hex digits, big-endian IEEE-754 float32: 1/127 → 3c010204."""
    return struct.pack(">f", scale).hex()


def scale_from_bits(digits: str) -> np.float32:
    """The inverse of `scale_bits`. Raises ValueError unless given 8 hex digits."""
    if len(digits) != 8:
        raise ValueError(f"{digits!r} is not 8 hex digits")
    return np.float32(struct.unpack(">f", bytes.fromhex(digits))[0])


def _checked(name: str, amax: Mapping[str, float]) -> float:
    if name not in amax:
        raise ScaleError(f"{name}: calibration gave no amax for this tensor")
    value = float(amax[name])
    if not math.isfinite(value):
        raise ScaleError(f"{name}: amax is {value}; the network overflows on the calibration pictures")
    if value <= 0:
        raise ScaleError(
            f"{name}: amax is {value:g}, the tensor was never anything but zero on the calibration pictures"
        )
    return value
