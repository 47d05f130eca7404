"""Networks of one form and many widths, estimated by the thousand: which of them spend a budget on small objects.

A network is traced once, with channel numbers that each stand for one width. Every tensor's channels are then a sum of
widths, and a step of the DLA costs the same wherever its own few widths are the same: it is estimated once for each.

**Detail** is what ranks them: the multiplications of convolutions that write a map on which the smallest object is at
least two cells tall, and that the outputs of the finest level depend on. On a coarser map the object shares its cell
with its surroundings, and one cell cannot tell its top from its bottom; what the finest outputs do not depend on cannot
help to find it. Context counts for nothing here, so the form of the networks has to guarantee it (`grid`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unina.dla.constants import ORIN, DlaConstants
from unina.dla.estimate import estimate_plan
from unina.dla.network import Network, Node
from unina.dla.platforms import PowerMode
from unina.dla.step import Map, Plan, Step
from unina.dla.steps import plan

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CELLS_AN_OBJECT = 2
"""Cells that the smallest object must be tall on a map for work there to count as detail."""
SAME_CHANNELS = frozenset({"Relu", "MaxPool", "Resize", "Add"})
ATOM = 32
"""Widths are multiples of what the DLA computes together."""
WIDEST_BACKBONE, WIDEST_NECK, WIDEST_STRIDE_4 = 512, 256, 96
"""docs/models.md, "What the widths keep"; at stride 4 half as much again as there, to see what it would cost"""


@dataclass(frozen=True)
class Family:
    """A network whose widths are open."""

    widths: tuple[str, ...]
    """names, in the order of the columns of every array below"""
    steps: tuple[Step, ...]
    """as traced, at one input size"""
    sums: Mapping[str, tuple[Ints, int]]
    """tensor → how often each width is in its channels, and channels that are no width's"""
    detail: frozenset[int]
    """indices of the steps that are detail"""


@dataclass(frozen=True)
class Figures:
    """Of N networks; arrays of N."""

    latency_ms: Floats
    macs: Ints
    detail_macs: Ints
    parameters: Ints


def family(network: Network, codes: Mapping[str, int], object_px: float) -> Family:
    """Opens the widths of a traced network.

    Args:
        network: convolutions, ReLU, max pooling, resize, add and concat, static 1×C×H×W.
        codes: width → the number of channels that stands for it in this network, and for it alone.
        object_px: height of the smallest object in input pixels.

    Raises:
        ValueError: a convolution whose channels are no width's, an operator that widths cannot be carried through.
    """
    names = tuple(codes)
    if len(set(codes.values())) != len(names):
        raise ValueError("two widths have the same channels in the traced network: they could not be told apart")
    traced = plan(network)
    if traced.missing:
        raise ValueError(f"node {traced.missing[0].name}: {traced.missing[0].why}")
    for step in traced.steps:
        plain = step.convolution is not None or step.free or step.passed == step.reads[0].channels * step.reads[0].cells
        if not plain or step.smooth or step.constant_bytes or (step.convolution and step.convolution.groups > 1):
            raise ValueError(f"node {step.name} ({step.kind}): its work does not follow from its channels")
    sums = _sums(network, {channels: column for column, channels in enumerate(codes.values())})
    return Family(names, traced.steps, sums, _detail(network, traced.steps, object_px / CELLS_AN_OBJECT))


def figures(opened: Family, values: Ints, mode: PowerMode, constants: DlaConstants = ORIN) -> Figures:
    """Estimates N networks, each a row of `values` (N × widths), all INT8, one image on one DLA."""
    count = len(values)
    latency, macs = np.zeros(count), np.zeros(count, np.int64)
    detail, parameters = np.zeros(count, np.int64), np.zeros(count, np.int64)
    for index, step in enumerate(opened.steps):
        if step.free:
            continue
        maps = (*step.reads, step.writes)
        columns = np.flatnonzero(sum(opened.sums[one.name][0] for one in maps))
        distinct, back = _distinct(values[:, columns])
        costs = []
        for row in distinct:
            full = np.zeros(values.shape[1], np.int64)
            full[columns] = row
            widened = widen(step, opened, full)
            work = widened.convolution
            weights = work.weights + work.outputs if work else 0
            costs.append(
                (estimate_plan(Plan((widened,), ()), mode, constants).latency_ms, work.macs if work else 0, weights)
            )
        table = np.array(costs)
        latency += table[back, 0]
        macs += table[back, 1].astype(np.int64)
        parameters += table[back, 2].astype(np.int64)
        if index in opened.detail:
            detail += table[back, 1].astype(np.int64)
    return Figures(latency, macs, detail, parameters)


def widen(step: Step, opened: Family, values: Ints) -> Step:
    """The step in the network that has these widths."""

    def channels(one: Map) -> int:
        counts, others = opened.sums[one.name]
        return int(counts @ values) + others

    reads = tuple(replace(one, channels=channels(one)) for one in step.reads)
    writes = replace(step.writes, channels=channels(step.writes))
    work = step.convolution and replace(step.convolution, inputs=reads[0].channels, outputs=writes.channels)
    passed = 0 if work else reads[0].channels * reads[0].cells
    shape = (step.shape[0], writes.channels, *step.shape[2:])
    return replace(step, reads=reads, writes=writes, shape=shape, convolution=work, passed=passed)


def receptive_field(network: Network, output: str, coarsest: float = float("inf")) -> int:
    """Input pixels, in height, that one cell of a tensor depends on along maps of at most the given stride.

    Raises:
        ValueError: no such path from the input.
    """
    height = _height(network, network.inputs[0])
    fields: dict[str, float] = {network.inputs[0]: 1.0}
    for node in network.nodes:
        name = node.outputs[0]
        known = [one for one in _activations(network, node) if one in fields]
        if height / _height(network, name) > coarsest or not known:
            continue
        kernel = int(network.constants[node.inputs[1]].shape[2]) if node.op == "Conv" else 1
        kernel = int(node.attributes["kernel_shape"][0]) if node.op == "MaxPool" else kernel
        dilation = int(node.attributes.get("dilations", (1,))[0])
        widest = max(fields[one] for one in known)
        fields[name] = widest + (kernel - 1) * dilation * height / _height(network, known[0])
    if output not in fields:
        raise ValueError(f"{output}: not reached from the input over maps up to stride {coarsest:g}")
    return round(fields[output])


def finest_outputs(network: Network) -> tuple[str, ...]:
    """The outputs with the most rows."""
    tallest = max(_height(network, name) for name in network.outputs)
    return tuple(name for name in network.outputs if _height(network, name) == tallest)


def grid(strides: Sequence[int]) -> Iterator[dict[str, int]]:
    """Widths of all networks that are looked at, for levels at these strides, finest first: multiples of 32.

    A stage of the backbone has 1.5 to 2.5 times the channels of the one before it, because a cell stands for four times
    the pixels; neck and head stay or grow up to twofold with each level, the neck within the backbone's widths, the
    head within the neck's. Without that, all work would go where it is counted.
    """
    stages = [4 << i for i in range((strides[-1] // 4).bit_length())]
    for widths in _ladders(stages, range(ATOM, WIDEST_STRIDE_4 + 1, ATOM), (1.5, 2.5), WIDEST_BACKBONE, {}):
        limits = {stride: min(widths[stride], WIDEST_NECK) for stride in strides}
        for neck in _ladders(strides, range(ATOM, limits[strides[0]] + 1, ATOM), (1, 2), WIDEST_NECK, limits):
            for head in _ladders(strides, range(ATOM, neck[strides[0]] + 1, ATOM), (1, 2), WIDEST_NECK, neck):
                yield {
                    **{f"widths.{stride}": widths[stride] for stride in stages},
                    **{f"neck.{stride}": neck[stride] for stride in strides},
                    **{f"head.{stride}": head[stride] for stride in strides},
                }


def _ladders(
    strides: Sequence[int], first: Iterable[int], growth: tuple[float, float], widest: int, limits: Mapping[int, int]
) -> Iterator[dict[int, int]]:
    """One width a stride, each `growth` times the one before it."""
    for start in first:
        rest = [{strides[0]: start}]
        for stride in strides[1:]:
            rest = [
                {**ladder, stride: width}
                for ladder in rest
                for width in range(ATOM, limits.get(stride, widest) + 1, ATOM)
                if growth[0] <= width / list(ladder.values())[-1] <= growth[1]
            ]
        yield from rest


def _sums(network: Network, column_of: Mapping[int, int]) -> dict[str, tuple[Ints, int]]:
    found: dict[str, tuple[Ints, int]] = {}
    nothing = np.zeros(len(column_of), np.int64)
    for name in network.inputs:
        found[name] = (nothing, _shape(network, name)[1])
    for node in network.nodes:
        sources = _activations(network, node)
        if node.op == "Conv":
            channels = int(network.constants[node.inputs[1]].shape[0])
            if channels not in column_of:
                raise ValueError(f"node {node.name}: {channels} channels are no width's")
            counts = nothing.copy()
            counts[column_of[channels]] = 1
            found[node.outputs[0]] = (counts, 0)
        elif node.op == "Concat":
            parts = [found[name] for name in sources]
            found[node.outputs[0]] = (np.sum([part[0] for part in parts], axis=0), sum(part[1] for part in parts))
        elif node.op in SAME_CHANNELS:
            found[node.outputs[0]] = found[sources[0]]
        else:
            raise ValueError(f"node {node.name} ({node.op}): widths cannot be carried through it")
    return found


def _detail(network: Network, steps: Sequence[Step], coarsest: float) -> frozenset[int]:
    height = _height(network, network.inputs[0])
    needed = set(finest_outputs(network))
    found = set()
    for index in reversed(range(len(steps))):
        step = steps[index]
        if step.writes.name not in needed:
            continue
        needed.update(one.name for one in step.reads)
        if step.convolution is not None and height / step.shape[2] <= coarsest:
            found.add(index)
    return frozenset(found)


def _distinct(rows: Ints) -> tuple[Ints, npt.NDArray[Any]]:
    """Rows that differ, and for each row which of them it is."""
    keys = np.zeros(len(rows), np.int64)
    for column in rows.T:
        keys = keys * 4096 + column  # widths are below
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    return rows[first], back.reshape(-1)


def _activations(network: Network, node: Node) -> list[str]:
    return [name for name in node.inputs if name and name not in network.constants]


def _shape(network: Network, name: str) -> tuple[int, ...]:
    shape = network.shape(name)
    if shape is None or len(shape) != 4:
        raise ValueError(f"tensor {name} is not known to be N×C×H×W")
    return shape


def _height(network: Network, name: str) -> int:
    return _shape(network, name)[2]
