"""Arithmetic of two maps, or of a map and a constant a channel.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

from collections.abc import Callable, Sequence
from itertools import zip_longest

import numpy as np

from unina.dla.graph import Shape
from unina.dla.network import Node
from unina.export.deploy_network import Step, channel_step, conv_step, nearest_step
from unina.export.rewrite_channels import a_channel, by_channel
from unina.export.rewrite_draft import Draft, RewriteError

LARGEST_FACTOR = 32
"""of the DLA's nearest resize"""


def arithmetic(draft: Draft, node: Node) -> None:
    """Add, Sub, Mul and Div: of maps (Div alone not), or of a map and a constant a channel."""
    fixed = [name in draft.network.constants for name in node.inputs]
    if len(fixed) != 2 or fixed.count(True) != 1:
        if any(fixed):
            raise RewriteError(node, "reads more constants than one: fold them")
        _OF_MAPS[node.op](draft, node)
        return
    constant_first = fixed[0]
    x = node.inputs[1 if constant_first else 0]
    channels = draft.shape(x, node)[1]
    value = a_channel(draft, node, draft.network.constants[node.inputs[0 if constant_first else 1]], x, channels)
    if node.op == "Mul" and not value.any():
        raise RewriteError(node, "multiplies its map by 0: leave that branch out of the file")
    if node.op == "Div" and constant_first:
        _quotient(draft, node)
    ones, zeros = np.ones(channels), np.zeros(channels)
    scale, shift = {
        "Add": (ones, value),
        "Sum": (ones, value),
        "Sub": (-ones, value) if constant_first else (ones, -value),
        "Mul": (value, zeros),
        "Div": (1 / value, zeros) if node.op == "Div" else (ones, zeros),
    }[node.op]
    by_channel(draft, node, x, scale, shift)


def power(draft: Draft, node: Node) -> None:
    """Pow with the exponent 2: a product."""
    exponent = draft.number(node, 1, "exponent")
    if exponent != 2:
        raise RewriteError(node, f"takes the power {exponent:g}, and a square alone becomes a product")
    draft.add(Step("Mul", node.name, (draft.read(node), draft.read(node)), node.outputs[0]))


def extreme(draft: Draft, node: Node) -> None:
    """Max and Min of maps; Max with 0 is a Relu."""
    constants = [draft.network.constants[name] for name in node.inputs if name in draft.network.constants]
    if not constants:
        _chain(draft, node, node.op, [spread(draft, node, i) for i in range(len(node.inputs))])
        return
    maps = [i for i, name in enumerate(node.inputs) if name not in draft.network.constants]
    if node.op == "Min" or len(maps) != 1 or any(value.any() for value in constants):
        raise RewriteError(node, "compares with a constant; the DLA compares maps, and with 0 (Relu)")
    draft.step(node, "Relu", [draft.read(node, maps[0])])


def expand(draft: Draft, node: Node) -> None:
    """Expand, to more channels, rows or columns."""
    draft.same[node.outputs[0]] = spread(draft, node, 0)


def _sum(draft: Draft, node: Node) -> None:
    _chain(draft, node, "Add", [spread(draft, node, i) for i in range(len(node.inputs))])


def _difference(draft: Draft, node: Node) -> None:
    """A sum with the second one's negative."""
    x, output = node.inputs[1], node.outputs[0]
    if node.inputs[0] == x:
        raise RewriteError(node, "is a map minus itself; leave it out")
    name, negative = f"{node.name}_negative", f"{output}.negative"
    channels = draft.shape(output, node)[1]
    minus, zeros = np.full(channels, -1.0), np.zeros(channels)
    if draft.shape(x, node) == draft.shape(output, node):
        by_channel(draft, node, x, minus, zeros, name, negative)
    else:
        draft.add(channel_step(name, spread(draft, node, 1), negative, minus, zeros))
    draft.add(Step("Add", node.name, (spread(draft, node, 0), negative), output))


def _product(draft: Draft, node: Node) -> None:
    """Of two maps, or of a map and a computed factor a channel."""
    whole = draft.shape(node.outputs[0], node)
    order = (0, 1) if draft.shape(node.inputs[0], node) == whole else (1, 0)
    first = spread(draft, node, order[0])
    second = spread(draft, node, order[1], keep=(*whole[:2], 1, 1))
    draft.add(Step("Mul", node.name, (first, second), node.outputs[0]))


def _quotient(draft: Draft, node: Node) -> None:
    raise RewriteError(node, "divides by a computed map, which the host engine does not")


_OF_MAPS: dict[str, Callable[[Draft, Node], None]] = {
    "Add": _sum,
    "Sum": _sum,
    "Sub": _difference,
    "Mul": _product,
    "Div": _quotient,
}


def _chain(draft: Draft, node: Node, op: str, terms: Sequence[str]) -> None:
    """Two at a time."""
    total, output = terms[0], node.outputs[0]
    if len(terms) < 2:
        raise RewriteError(node, "has one input alone; leave it out")
    for number, term in enumerate(terms[1:], start=1):
        last = number == len(terms) - 1
        written, name = (output, node.name) if last else (f"{output}.{number}", f"{node.name}_{number}")
        draft.add(Step(op, name, (total, term), written))
        total = written


def spread(draft: Draft, node: Node, position: int, keep: Shape | None = None) -> str:
    """An input in the shape of the output: one channel by a convolution of ones, rows and columns by nearest resizes.

    Args:
        keep: a shape that needs nothing.
    """
    name, source, whole = node.inputs[position], draft.read(node, position), draft.shape(node.outputs[0], node)
    shape = draft.shape(name, node)
    ranks = {len(draft.network.shape(tensor) or ()) for tensor in (name, node.outputs[0])}
    if len(ranks) == 1 and shape in {whole, keep}:
        return source
    if keep is not None and shape[2:] == keep[2:]:
        whole = keep
    if ranks != {4} or any(size not in {1, most} for size, most in zip(shape, whole, strict=True)):
        raise RewriteError(node, f"spreads {shape} over {whole}, which the DLA does not")
    called, written = f"{node.name}_spread{position}", f"{node.outputs[0]}.spread{position}"
    if shape[1] < whole[1]:
        weight = np.ones((whole[1], 1, 1, 1))
        draft.add(conv_step(called, source, f"{written}.channels", weight, np.zeros(whole[1])))
        source = f"{written}.channels"
    factors = [_factors(node, most // size) for size, most in zip(shape[2:], whole[2:], strict=True)]
    for number, (height, width) in enumerate(zip_longest(*factors, fillvalue=1)):
        draft.add(nearest_step(f"{called}_{number}", source, f"{written}.{number}", (height, width)))
        source = f"{written}.{number}"
    return source


def _factors(node: Node, whole: int) -> list[int]:
    """Factors of the DLA's nearest resize that make a whole."""
    found = []
    while whole > 1:
        factor = max((part for part in range(2, LARGEST_FACTOR + 1) if whole % part == 0), default=0)
        if not factor:
            raise RewriteError(node, f"spreads one cell over {whole}, a prime above the DLA's largest resize")
        found.append(factor)
        whole //= factor
    return found
