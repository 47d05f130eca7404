"""What slides a window over a map: convolutions, fully connected layers, pooling.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

import math
from collections.abc import Sequence

import numpy as np

from unina.dla.network import Node
from unina.dla.rules.convolution import CBUF_BANKS, cbuf_banks
from unina.export.deploy_network import Step, conv_step
from unina.export.rewrite_draft import Draft, RewriteError

LARGEST_KERNEL = 32
LARGEST_POOL = 8
"""of the DLA, in each direction"""


def conv(draft: Draft, node: Node) -> None:
    """Conv, with its own padding and that of a Pad before it."""
    weight = draft.constant(node, 1, "weight")
    bias = draft.constant(node, 2, "bias") if len(node.inputs) > 2 and node.inputs[2] else np.zeros(len(weight))
    if weight.ndim != 4:
        raise RewriteError(node, f"is a {weight.ndim - 2}-D convolution; the DLA runs 2-D ones")
    strides = tuple(node.attributes.get("strides", (1, 1)))
    dilations = tuple(node.attributes.get("dilations", (1, 1)))
    source, around = draft.padding(node)
    extent = tuple((kernel - 1) * one + 1 for kernel, one in zip(weight.shape[2:], dilations, strict=True))
    pads = tuple(a + b for a, b in zip(draft.pads(node, extent, strides), around, strict=True))
    group = int(node.attributes.get("group", 1))
    draft.add(
        conv_step(
            node.name,
            source,
            node.outputs[0],
            weight,
            bias,
            strides=strides,
            pads=pads,
            dilations=dilations,
            group=group,
        )
    )


def dense(draft: Draft, node: Node) -> None:
    """Gemm, and MatMul by a constant: a convolution whose window is the whole map."""
    given = node.attributes
    weight = draft.constant(node, 1, "weight")
    if given.get("transA") or weight.ndim != 2:
        raise RewriteError(node, "is no fully connected layer: its weight must be a matrix behind the map")
    weight = weight if given.get("transB") else weight.T
    if node.op == "Gemm":
        weight = weight * np.float32(given.get("alpha", 1.0))
    bias = np.zeros(len(weight))
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = draft.constant(node, 2, "bias") * np.float32(given.get("beta", 1.0))
    flat = draft.flat.get(node.inputs[0])
    source = flat.source if flat else draft.read(node)
    _, channels, height, width = flat.shape if flat else draft.shape(node.inputs[0], node)
    if weight.shape[1] != channels * height * width:
        raise RewriteError(node, f"its weight of {weight.shape} does not span a map of {channels}×{height}×{width}")
    bias = np.broadcast_to(bias.reshape(-1), (len(weight),))
    weight = weight.reshape(-1, channels, height, width)
    draft.add(conv_step(node.name, source, node.outputs[0], weight, bias))


def max_pool(draft: Draft, node: Node) -> None:
    """MaxPool, without indices and dilation."""
    kernel, strides, pads = _window(draft, node, rounds_up=True)
    if len([name for name in node.outputs if name]) > 1 or any(d != 1 for d in node.attributes.get("dilations", ())):
        raise RewriteError(node, "with indices or dilation does not run on the DLA")
    source = draft.read(node)
    draft.step(node, "MaxPool", [source], kernel_shape=list(kernel), strides=list(strides), pads=list(pads))


def global_max(draft: Draft, node: Node) -> None:
    """GlobalMaxPool: pools of 8×8 at most, which is what the DLA has, one after the other."""
    name, sizes = draft.read(node), list(draft.shape(node.inputs[0], node)[2:])
    number = 0
    while True:
        kernel = [_share(size) for size in sizes]
        sizes = [size // one for size, one in zip(sizes, kernel, strict=True)]
        output = node.outputs[0] if sizes == [1, 1] else f"{node.outputs[0]}.{number}"
        called = node.name if number == 0 else f"{node.name}_{number}"
        attributes = {"kernel_shape": kernel, "strides": kernel, "pads": [0] * 4}
        draft.add(Step("MaxPool", called, (name,), output, attributes))
        if sizes == [1, 1]:
            return
        name, number = output, number + 1


def _share(size: int) -> int:
    """The largest part of a side that the DLA pools at once; the whole, where no part divides it."""
    return max((part for part in range(2, LARGEST_POOL + 1) if size % part == 0), default=size)


def reduce_max(draft: Draft, node: Node) -> None:
    """ReduceMax over height and width: the same."""
    _require_both_axes(draft, node, "maximum", "becomes a pooling")
    global_max(draft, node)


def _window(
    draft: Draft, node: Node, *, rounds_up: bool = False
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, strides and pads of a pooling; where it `rounds_up` its size, with the padding that this takes."""
    kernel = tuple(node.attributes["kernel_shape"])
    strides = tuple(node.attributes.get("strides", (1, 1)))
    pads = draft.pads(node, kernel, strides)
    sizes = draft.shape(node.inputs[0], node)[2:]
    after = draft.shape(node.outputs[0], node)[2:]
    floor = [(n + a + b - k) // s + 1 for n, a, b, k, s in zip(sizes, pads[:2], pads[2:], kernel, strides, strict=True)]
    if list(after) == floor:
        return kernel, strides, pads
    end = [(m - 1) * s + k - n - a for n, a, m, k, s in zip(sizes, pads[:2], after, kernel, strides, strict=True)]
    if not rounds_up or any(more >= k for more, k in zip(end, kernel, strict=True)):
        raise RewriteError(node, "rounds its size up (ceil_mode), which the DLA does not: pad its input, or use 0")
    return kernel, strides, (*pads[:2], *(max(more, 0) for more in end))


def average_pool(draft: Draft, node: Node) -> None:
    """AveragePool: a depthwise convolution of equal weights; as it is, where it leaves padding out."""
    sizes, after = (draft.shape(name, node)[2:] for name in (node.inputs[0], node.outputs[0]))
    spans = all(k >= size for k, size in zip(node.attributes["kernel_shape"], sizes, strict=True))
    if spans and after == (1, 1) and not any(node.attributes.get("pads", ())):
        global_average(draft, node)
        return
    kernel, strides, pads = _window(draft, node)
    if any(pads) and not node.attributes.get("count_include_pad"):
        if max(kernel) > LARGEST_POOL:
            raise RewriteError(node, f"leaves its padding out of an average over {kernel}; the DLA does so up to 8×8")
        attributes = {"kernel_shape": list(kernel), "strides": list(strides), "pads": list(pads)}
        draft.step(node, "AveragePool", [draft.read(node)], **attributes)
        return
    source, around = draft.padding(node)
    channels, whole = draft.shape(node.inputs[0], node)[1], tuple(a + b for a, b in zip(pads, around, strict=True))
    draft.add(_average_step(node.name, source, node.outputs[0], channels, kernel, strides, whole))


def global_average(draft: Draft, node: Node) -> None:
    """GlobalAveragePool: the same with a window as large as the map; several behind each other for a large one."""
    name, (_, channels, *sizes) = draft.read(node), draft.shape(node.inputs[0], node)
    number = 0
    while not _fits(channels, sizes) and (kernel := [_share(size) for size in sizes]) != sizes:
        output, called = f"{node.outputs[0]}.{number}", f"{node.name}_{number}"
        draft.add(_average_step(called, name, output, channels, kernel, kernel))
        sizes = [size // one for size, one in zip(sizes, kernel, strict=True)]
        name, number = output, number + 1
    draft.add(_average_step(node.name, name, node.outputs[0], channels, sizes))


def _fits(channels: int, sizes: Sequence[int]) -> bool:
    """Whether the DLA convolves with a window as large as the map."""
    banks = cbuf_banks(channels, sizes[1], (sizes[0], sizes[1]), 1, 1)
    return max(sizes) <= LARGEST_KERNEL and banks <= CBUF_BANKS


def reduce_mean(draft: Draft, node: Node) -> None:
    """ReduceMean over height and width: the same; over channels a convolution to one."""
    rank = len(draft.network.shape(node.inputs[0]) or ())
    if rank == 4 and _axes(draft, node) == [1] and node.attributes.get("keepdims", 1):
        channels = draft.shape(node.inputs[0], node)[1]
        weight = np.full((1, channels, 1, 1), 1 / channels)
        draft.add(conv_step(node.name, draft.read(node), node.outputs[0], weight, np.zeros(1)))
        return
    _require_both_axes(draft, node, "average", "becomes a convolution")
    global_average(draft, node)


def _require_both_axes(draft: Draft, node: Node, what: str, why: str) -> None:
    if len(draft.network.shape(node.inputs[0]) or ()) != 4 or _axes(draft, node) != [2, 3]:
        raise RewriteError(
            node, f"is no {what} over height and width, which {why}: let the network end before it (--outputs)"
        )


def _axes(draft: Draft, node: Node) -> list[int]:
    """Of a reduction, counted from the first; none: all of them."""
    given = node.attributes.get("axes")
    axes = draft.constant(node, 1, "axes").tolist() if given is None and len(node.inputs) > 1 else given
    rank = len(draft.network.shape(node.inputs[0]) or ())
    return sorted(axis % rank for axis in axes or ())


def _average_step(
    name: str,
    x: str,
    output: str,
    channels: int,
    kernel: Sequence[int],
    strides: Sequence[int] = (1, 1),
    pads: tuple[int, ...] = (0, 0, 0, 0),
) -> Step:
    """Equal weights, which INT8 holds exactly: 127 steps of 1 / (127 · k_h · k_w)."""
    weight = np.full((channels, 1, *kernel), 1 / math.prod(kernel))
    return conv_step(name, x, output, weight, np.zeros(channels), strides=tuple(strides), pads=pads, group=channels)
