"""What treats every pixel alike: normalisation and arithmetic by channel, sums, activations.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

from dataclasses import replace

import numpy as np

from unina.dla.network import Node
from unina.export.deploy_network import Step, channel_step, conv_step
from unina.export.rewrite_draft import Array, Draft, RewriteError


def batch_norm(draft: Draft, node: Node) -> None:
    """BatchNormalization with frozen statistics: `x · s / √(v + ε) + (b − m · s / √(v + ε))`, a channel."""
    scale, shift, mean, variance = (draft.constant(node, i, "statistics").astype(np.float64) for i in range(1, 5))
    factor = scale / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    _by_channel(draft, node, node.inputs[0], factor, shift - mean * factor)


def _by_channel(draft: Draft, node: Node, x: str, scale: Array, shift: Array) -> None:
    """scale · x + shift: into the convolution that wrote x, if nothing else reads it."""
    before = draft.steps.get(x)
    if before is None or before.op != "Conv" or draft.readers[x] != 1:
        draft.add(channel_step(node.name, draft.read(node, node.inputs.index(x)), node.outputs[0], scale, shift))
        return
    del draft.steps[x]
    weight = before.weight * scale.reshape(-1, 1, 1, 1)
    constants = {"weight": weight.astype(np.float32), "bias": (before.bias * scale + shift).astype(np.float32)}
    draft.add(replace(before, output=node.outputs[0], constants=constants))


def arithmetic(draft: Draft, node: Node) -> None:
    """Add, Sub, Mul and Div: of two maps (Add alone), or of a map and a constant a channel."""
    fixed = [name in draft.network.constants for name in node.inputs]
    if len(fixed) != 2 or fixed.count(True) != 1:
        if node.op not in {"Add", "Sum"} or len(fixed) != 2 or any(fixed):
            raise RewriteError(node, "of two computed maps does not run in the host engine; only an Add of two does")
        first, second = (draft.shape(name, node) for name in node.inputs)
        if first != second:
            raise RewriteError(node, f"adds {first} and {second}; the DLA does not broadcast")
        draft.step(node, "Add", [draft.read(node, 0), draft.read(node, 1)])
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
    """ONNX's Slice, of channels."""
    what = [_bounds(draft, node, name, at) for at, name in enumerate(("starts", "ends", "axes", "steps"), start=1)]
    starts, ends, axes, steps = what
    if (axes, steps or [1]) not in (([1], [1]), ([-3], [1])) or len(draft.network.shape(node.inputs[0]) or ()) != 4:
        raise RewriteError(node, "slices something else than channels: let the network end before it (--outputs)")
    _select(draft, node, node.outputs[0], range(draft.shape(node.inputs[0], node)[1])[starts[0] : ends[0]])


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
