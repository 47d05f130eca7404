"""Activations: those that the DLA has, and those that become what it has.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

import numpy as np

from unina.dla.network import Node
from unina.export.deploy_network import Step, channel_step
from unina.export.rewrite_channels import a_channel, by_channel
from unina.export.rewrite_draft import Draft, RewriteError


def as_it_is(draft: Draft, node: Node) -> None:
    """Relu, Sigmoid, Tanh, and functions of one value that are no activation."""
    draft.step(node, node.op, [draft.read(node)])


def clip(draft: Draft, node: Node) -> None:
    """Clip from 0 to a constant (ReLU6); without an upper end it is a Relu."""
    least, most = (_bound(draft, node, name, at) for name, at in (("min", 1), ("max", 2)))
    if least != 0 or (most is not None and most <= 0):
        raise RewriteError(node, f"clips to {least} … {most}; the DLA clips from 0 to something above")
    if most is None or most >= np.finfo(np.float32).max:
        draft.step(node, "Relu", [draft.read(node)])
        return
    _clipped(draft, node.name, draft.read(node), node.outputs[0], most)


def _bound(draft: Draft, node: Node, name: str, position: int) -> float | None:
    if len(node.inputs) > position and node.inputs[position]:
        return draft.number(node, position, name)
    value = node.attributes.get(name)
    return None if value is None else float(value)


def leaky_relu(draft: Draft, node: Node) -> None:
    """LeakyRelu, as it is."""
    draft.step(node, "LeakyRelu", [draft.read(node)], alpha=float(node.attributes.get("alpha", 0.01)))


def prelu(draft: Draft, node: Node) -> None:
    """PRelu: a LeakyRelu where all channels have one slope, else a · x + relu((1 − a) · x)."""
    channels = draft.shape(node.inputs[0], node)[1]
    slope = a_channel(draft, node, draft.constant(node, 1, "slope"), node.inputs[0], channels)
    if (slope == slope[0]).all():
        draft.step(node, "LeakyRelu", [draft.read(node)], alpha=float(slope[0]))
        return
    if not (slope <= 1).all():
        raise RewriteError(node, f"has a slope of {slope.max():g}; above 1 it bends the other way: take one up to 1")
    x, zeros, output = draft.read(node), np.zeros(channels), node.outputs[0]
    draft.add(channel_step(f"{node.name}_slope", x, f"{output}.slope", slope, zeros))
    draft.add(channel_step(f"{node.name}_rest", x, f"{output}.rest", 1 - slope, zeros))
    draft.add(Step("Relu", f"{node.name}_relu", (f"{output}.rest",), f"{output}.above"))
    draft.add(Step("Add", node.name, (f"{output}.slope", f"{output}.above"), output))


def hard_sigmoid(draft: Draft, node: Node) -> None:
    """HardSigmoid: alpha · x + beta, clipped from 0 to 1."""
    channels, line = draft.shape(node.inputs[0], node)[1], f"{node.outputs[0]}.line"
    scale = np.full(channels, float(node.attributes.get("alpha", 0.2)))
    shift = np.full(channels, float(node.attributes.get("beta", 0.5)))
    by_channel(draft, node, node.inputs[0], scale, shift, f"{node.name}_line", line)
    _clipped(draft, node.name, line, node.outputs[0], 1)


def hard_swish(draft: Draft, node: Node) -> None:
    """HardSwish: x · clip(x / 6 + 1/2, 0, 1)."""
    x, output = draft.read(node), node.outputs[0]
    ones = np.ones(draft.shape(node.inputs[0], node)[1])
    draft.add(channel_step(f"{node.name}_line", x, f"{output}.line", ones / 6, ones / 2))
    _clipped(draft, f"{node.name}_gate", f"{output}.line", f"{output}.gate", 1)
    draft.add(Step("Mul", node.name, (x, f"{output}.gate"), output))


def _clipped(draft: Draft, name: str, x: str, output: str, most: float) -> None:
    """From 0 to `most`."""
    bounds = {"min": np.array(0, np.float32), "max": np.array(most, np.float32)}
    draft.add(Step("Clip", name, (x,), output, constants=bounds))
