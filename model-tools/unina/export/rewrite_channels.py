"""What treats every channel by itself or chooses among them: normalisation, selection.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from unina.dla.network import Node
from unina.export.deploy_network import channel_step, select_step
from unina.export.rewrite_draft import Array, Draft, RewriteError
from unina.export.rewrite_places import spatial_slice


def batch_norm(draft: Draft, node: Node) -> None:
    """BatchNormalization with frozen statistics: `x · s / √(v + ε) + (b − m · s / √(v + ε))`, a channel."""
    scale, shift, mean, variance = (draft.constant(node, i, "statistics").astype(np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    by_channel(draft, node, node.inputs[0], factor, shift - mean * factor)


def by_channel(draft: Draft, node: Node, x: str, scale: Array, shift: Array, name: str = "", output: str = "") -> None:
    """scale · x + shift: into the convolution that wrote x, if nothing else reads it.

    `name`, `output`: of the step, where that is not the node itself.
    """
    before, output = draft.steps.get(x), output or node.outputs[0]
    if before is None or before.op != "Conv" or draft.readers[x] != 1:
        draft.add(channel_step(name or node.name, draft.read(node, node.inputs.index(x)), output, scale, shift))
        return
    del draft.steps[x]
    weight = before.weight * scale.reshape(-1, 1, 1, 1)
    constants = {"weight": weight.astype(np.float32), "bias": (before.bias * scale + shift).astype(np.float32)}
    draft.add(replace(before, output=output, constants=constants))


def a_channel(draft: Draft, node: Node, value: Array, x: str, channels: int) -> Array:
    """A constant that is spread over x, as one value a channel."""
    rank = len(draft.network.shape(x) or ())
    aligned = value.reshape((1,) * (rank - value.ndim) + value.shape)
    if aligned.ndim != rank or any(size != 1 for axis, size in enumerate(aligned.shape) if axis != 1):
        raise RewriteError(node, f"its constant of shape {value.shape} differs within a channel; the DLA has none")
    if aligned.size not in {1, channels}:
        raise RewriteError(node, f"spreads {channels} channels over a constant's {aligned.size}: store the map's own")
    return np.broadcast_to(aligned.reshape(-1).astype(np.float64), (channels,))


def split(draft: Draft, node: Node) -> None:
    """Channels, rows or columns apart: convolutions that select."""
    axis = node.attributes.get("axis", 0) % 4
    if axis == 0 or len(draft.network.shape(node.inputs[0]) or ()) != 4:
        raise RewriteError(node, "splits something else than a map: let the network end before it (--outputs)")
    begin = 0
    for number, output in enumerate(node.outputs):
        end = begin + draft.shape(output, node)[axis]
        if draft.readers.get(output) and axis == 1:
            _select(draft, node, output, range(begin, end))
        elif draft.readers.get(output):
            part = replace(node, name=f"{node.name}_{number}", outputs=(output,))
            spatial_slice(draft, part, {axis: slice(begin, end)})
        begin = end


def channel_slice(draft: Draft, node: Node) -> None:
    """ONNX's Slice, of channels, or of rows and columns."""
    what = [_bounds(draft, node, name, at) for at, name in enumerate(("starts", "ends", "axes", "steps"), start=1)]
    starts, ends, axes, steps = what
    axes = [axis % 4 for axis in axes or range(len(starts))]
    steps = steps or [1] * len(starts)
    whole = len(draft.network.shape(node.inputs[0]) or ()) == 4 and len(starts) == len(ends) == len(axes) == len(steps)
    bounds = {axis: slice(*one) for axis, *one in zip(axes, starts, ends, steps, strict=False)}
    if whole and axes == [1] and steps == [1]:
        _select(draft, node, node.outputs[0], range(draft.shape(node.inputs[0], node)[1])[bounds[1]])
    elif whole and min(steps) > 0 and all(_takes_all(draft, node, axis, bounds) for axis in (0, 1)):
        spatial_slice(draft, node, bounds)
    else:
        raise RewriteError(
            node, "slices channels and pixels at once, or backwards: let the network end before it (--outputs)"
        )


def _takes_all(draft: Draft, node: Node, axis: int, bounds: Mapping[int, slice]) -> bool:
    size = draft.shape(node.inputs[0], node)[axis]
    return len(range(size)[bounds.get(axis, slice(None))]) == size


def _bounds(draft: Draft, node: Node, name: str, position: int) -> list[int]:
    if len(node.inputs) > position and node.inputs[position]:
        return [int(value) for value in draft.constant(node, position, name)]
    return list(node.attributes.get(name, ()))


def _select(draft: Draft, node: Node, output: str, chosen: range) -> None:
    name = node.name if len(node.outputs) == 1 else f"{node.name}_{node.outputs.index(output)}"
    draft.add(select_step(name, draft.read(node), output, draft.shape(node.inputs[0], node)[1], chosen))
