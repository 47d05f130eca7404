"""What treats every pixel alike: normalisation and arithmetic by channel, sums, activations.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from unina.dla.network import Node
from unina.export.deploy_network import Step, channel_step, conv_step
from unina.export.rewrite_draft import Array, Draft, RewriteError
from unina.export.rewrite_places import spatial_slice


def batch_norm(draft: Draft, node: Node) -> None:
    """BatchNormalization with frozen statistics: `x · s / √(v + ε) + (b − m · s / √(v + ε))`, a channel."""
    scale, shift, mean, variance = (draft.constant(node, i, "statistics").astype(np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    _by_channel(draft, node, node.inputs[0], factor, shift - mean * factor)


def _by_channel(draft: Draft, node: Node, x: str, scale: Array, shift: Array, name: str = "", output: str = "") -> None:
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


def arithmetic(draft: Draft, node: Node) -> None:
    """Add, Sub, Mul and Div: of maps (Add and Sub alone), or of a map and a constant a channel."""
    fixed = [name in draft.network.constants for name in node.inputs]
    if len(fixed) != 2 or fixed.count(True) != 1:
        _of_maps(draft, node, any(fixed))
        return
    constant_first = fixed[0]
    x = node.inputs[1 if constant_first else 0]
    channels = draft.shape(x, node)[1]
    value = _a_channel(draft, node, draft.network.constants[node.inputs[0 if constant_first else 1]], x, channels)
    if node.op == "Div" and constant_first:
        raise RewriteError(node, "divides by a map, which the DLA does not")
    ones, zeros = np.ones(channels), np.zeros(channels)
    scale, shift = {
        "Add": (ones, value),
        "Sum": (ones, value),
        "Sub": (-ones, value) if constant_first else (ones, -value),
        "Mul": (value, zeros),
        "Div": (1 / value, zeros) if node.op == "Div" else (ones, zeros),
    }[node.op]
    _by_channel(draft, node, x, scale, shift)


def _of_maps(draft: Draft, node: Node, constants: bool) -> None:
    """A sum, of two maps at a time; a difference is a sum with the second one's negative."""
    if node.op not in {"Add", "Sum", "Sub"} or constants or len(node.inputs) < 2:
        raise RewriteError(node, "of computed maps does not run in the host engine; only Add and Sub do")
    shapes = [draft.shape(name, node) for name in node.inputs]
    for shape in shapes[1:]:
        if shape != shapes[0]:
            raise RewriteError(node, f"adds {shapes[0]} and {shape}; the DLA does not broadcast")
    terms = [draft.read(node, i) for i in range(len(node.inputs))]
    if node.op == "Sub":
        if node.inputs[0] == node.inputs[1]:
            raise RewriteError(node, "is a map minus itself; leave it out")
        terms[1] = f"{node.outputs[0]}.negative"
        ones, zeros = np.ones(shapes[0][1]), np.zeros(shapes[0][1])
        _by_channel(draft, node, node.inputs[1], -ones, zeros, f"{node.name}_negative", terms[1])
    total = terms[0]
    for number, term in enumerate(terms[1:], start=1):
        last = number == len(terms) - 1
        output, name = (
            (node.outputs[0], node.name) if last else (f"{node.outputs[0]}.{number}", f"{node.name}_{number}")
        )
        draft.add(Step("Add", name, (total, term), output))
        total = output


def leaky_relu(draft: Draft, node: Node) -> None:
    """LeakyRelu and PRelu: a · x + relu((1 − a) · x), since the host engine has no slope of its own."""
    channels = draft.shape(node.inputs[0], node)[1]
    if node.op == "PRelu":
        slope = _a_channel(draft, node, draft.constant(node, 1, "slope"), node.inputs[0], channels)
    else:
        slope = np.full(channels, float(node.attributes.get("alpha", 0.01)))
    if not (slope <= 1).all():
        raise RewriteError(node, f"has a slope of {slope.max():g}; above 1 it bends the other way: take one up to 1")
    x, zeros, output = draft.read(node), np.zeros(channels), node.outputs[0]
    draft.add(channel_step(f"{node.name}_slope", x, f"{output}.slope", slope, zeros))
    draft.add(channel_step(f"{node.name}_rest", x, f"{output}.rest", 1 - slope, zeros))
    draft.add(Step("Relu", f"{node.name}_relu", (f"{output}.rest",), f"{output}.above"))
    draft.add(Step("Add", node.name, (f"{output}.slope", f"{output}.above"), output))


def _a_channel(draft: Draft, node: Node, value: Array, x: str, channels: int) -> Array:
    """A constant that is spread over x, as one value a channel."""
    rank = len(draft.network.shape(x) or ())
    aligned = value.reshape((1,) * (rank - value.ndim) + value.shape)
    if aligned.ndim != rank or any(size != 1 for axis, size in enumerate(aligned.shape) if axis != 1):
        raise RewriteError(node, f"its constant of shape {value.shape} differs within a channel; the DLA has none")
    return np.broadcast_to(aligned.reshape(-1).astype(np.float64), (channels,))


def split(draft: Draft, node: Node) -> None:
    """Channels apart: convolutions of 1×1 that select."""
    if node.attributes.get("axis", 0) % 4 != 1:
        raise RewriteError(node, "splits something else than channels: let the network end before it (--outputs)")
    begin = 0
    for output in node.outputs:
        channels = draft.shape(output, node)[1]
        if draft.readers.get(output):
            _select(draft, node, output, range(begin, begin + channels))
        begin += channels


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
    weight = np.eye(draft.shape(node.inputs[0], node)[1])[list(chosen)][:, :, None, None]
    name = node.name if len(node.outputs) == 1 else f"{node.name}_{node.outputs.index(output)}"
    draft.add(conv_step(name, draft.read(node), output, weight, np.zeros(len(weight))))


def relu(draft: Draft, node: Node) -> None:
    """Relu, as it is."""
    draft.step(node, "Relu", [draft.read(node)])


def clip(draft: Draft, node: Node) -> None:
    """Clip from 0 to a constant (ReLU6); without an upper end it is a Relu."""
    least, most = (_bound(draft, node, name, at) for name, at in (("min", 1), ("max", 2)))
    if least != 0 or (most is not None and most <= 0):
        raise RewriteError(node, f"clips to {least} … {most}; the DLA clips from 0 to something above")
    if most is None or most >= np.finfo(np.float32).max:
        relu(draft, node)
        return
    bounds = {"min": np.array(0, np.float32), "max": np.array(most, np.float32)}
    draft.add(Step("Clip", node.name, (draft.read(node),), node.outputs[0], constants=bounds))


def _bound(draft: Draft, node: Node, name: str, position: int) -> float | None:
    if len(node.inputs) > position and node.inputs[position]:
        return draft.number(node, position, name)
    value = node.attributes.get(name)
    return None if value is None else float(value)
