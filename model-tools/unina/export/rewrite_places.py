"""What moves values and changes none: concatenation, padding, cutting, reshaping.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from onnx import TensorProto

from unina.dla.network import Node
from unina.export.deploy_network import conv_step, select_step
from unina.export.rewrite_draft import Arranged, Draft, Flat, RewriteError


def concat(draft: Draft, node: Node) -> None:
    """Concat along the channels."""
    rank = len(draft.network.shape(node.outputs[0]) or ())
    if rank != 4 or node.attributes.get("axis", 0) % rank != 1:
        raise RewriteError(node, "joins something else than channels: let the network end before it (--outputs)")
    draft.step(node, "Concat", [draft.read(node, i) for i in range(len(node.inputs))], axis=1)


def pad(draft: Draft, node: Node) -> None:
    """Pad with zeros around height and width, which the window after it takes over."""
    given = node.attributes.get("pads")
    pads = list(draft.constant(node, 1, "pads") if given is None else given)
    value = node.attributes.get("value", 0.0)
    if len(node.inputs) > 2 and node.inputs[2]:
        value = draft.number(node, 2, "value")
    fine = node.attributes.get("mode", "constant") == "constant" and value == 0 and len(node.inputs) < 4
    if not fine or len(pads) != 8 or any((*pads[:2], *pads[4:6])) or min(pads) < 0:
        raise RewriteError(node, "the DLA pads convolutions with zeros around height and width, and nothing else")
    around = (int(pads[2]), int(pads[3]), int(pads[6]), int(pads[7]))
    if any(around):
        draft.padded[node.outputs[0]] = (draft.read(node), around)
    else:
        draft.same[node.outputs[0]] = draft.read(node)


def spatial_slice(draft: Draft, node: Node, bounds: Mapping[int, slice]) -> None:
    """Rows and columns, every one or every n-th: a depthwise convolution whose window is one 1 among zeros.

    Args:
        bounds: for axis 2, 3 or both what of it remains; steps are positive.
    """
    _, channels, *sizes = draft.shape(node.inputs[0], node)
    kernel, strides, places = [], [], []
    for axis, size in zip((2, 3), sizes, strict=True):
        begin, end, step = bounds.get(axis, slice(None)).indices(size)
        count = len(range(begin, end, step))
        if not count:
            raise RewriteError(node, "leaves nothing of its map")
        kernel.append(max(begin + 1, size - count * step + 1))  # so long that as many windows fit as remain
        strides.append(step)
        places.append(begin)
    weight = np.zeros((channels, 1, *kernel))
    weight[:, 0, places[0], places[1]] = 1
    source, output = draft.read(node), node.outputs[0]
    draft.add(conv_step(node.name, source, output, weight, np.zeros(channels), strides=tuple(strides), group=channels))


def space_to_depth(draft: Draft, node: Node) -> None:
    """SpaceToDepth: a convolution of stride and window as large as the block, which takes every pixel of it apart."""
    block = int(node.attributes["blocksize"])
    channels = draft.shape(node.inputs[0], node)[1]
    apart = np.zeros((block, block, channels, channels, block, block))
    for row, column, channel in np.ndindex(block, block, channels):
        apart[row, column, channel, channel, row, column] = 1
    weight = apart.reshape(-1, channels, block, block)
    bias = np.zeros(len(weight))
    draft.add(conv_step(node.name, draft.read(node), node.outputs[0], weight, bias, strides=(block, block)))


def reshape(draft: Draft, node: Node) -> None:
    """Reshape, Flatten, Squeeze and Unsqueeze: of a 1×1 map nothing, of a larger one what a dense layer may read.

    Channels may be put on several axes and back, with a Transpose in between.
    """
    name, output = node.inputs[0], node.outputs[0]
    after = draft.network.shape(output)
    if after is None or len(after) < 2 or after[0] != 1:
        raise RewriteError(node, "does more than flattening: let the network end before it (--outputs)")
    if name in draft.arranged or (len(after) > 4 and name not in draft.flat):
        _arrange(draft, node, after)
        return
    if name in draft.flat:
        flat = draft.flat[name]
        source, (_, channels, height, width) = flat.source, flat.shape
    else:
        source, (_, channels, height, width) = draft.read(node), draft.shape(name, node)
    if after[1] == channels and tuple((*after[2:], 1, 1)[:2]) == (height, width):
        draft.same[output] = source
    elif after[1] == channels * height * width:
        draft.flat[output] = Flat(source, (1, channels, height, width))
    else:
        raise RewriteError(node, "does more than flattening: let the network end before it (--outputs)")


def _arrange(draft: Draft, node: Node, after: tuple[int, ...]) -> None:
    """Channels onto several axes, or onto one again."""
    name, output = node.inputs[0], node.outputs[0]
    now = draft.arranged.get(name)
    if now is None:
        shape = draft.shape(name, node)
        now = Arranged(draft.read(node), shape, np.arange(shape[1]))
    if after[-2:] != now.shape[2:] or math.prod(after[1:-2]) != now.shape[1]:
        raise RewriteError(node, "does more than arranging channels: let the network end before it (--outputs)")
    channels = now.channels.reshape(after[1:-2])
    if channels.ndim == 1:
        draft.add(select_step(node.name, now.source, output, len(channels), channels.tolist()))
    else:
        draft.arranged[output] = replace(now, channels=channels)


def transpose(draft: Draft, node: Node) -> None:
    """Transpose of axes that channels were put on (a channel shuffle)."""
    now = draft.arranged.get(node.inputs[0])
    rank = len(draft.network.shape(node.outputs[0]) or ())
    order = tuple(node.attributes.get("perm", range(rank)[::-1]))
    if now is None or order[0] != 0 or order[-2:] != (rank - 2, rank - 1):
        raise RewriteError(node, "turns height or width into something else: let the network end before it (--outputs)")
    channels = now.channels.transpose([axis - 1 for axis in order[1:-2]])
    draft.arranged[node.outputs[0]] = replace(now, channels=channels)


def cast(draft: Draft, node: Node) -> None:
    """Cast between floats, which vanishes."""
    if node.attributes.get("to") not in {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE}:
        raise RewriteError(node, "makes integers; let the network end before it (--outputs)")
    nothing(draft, node)


def nothing(draft: Draft, node: Node) -> None:
    """What changes no value at inference: Identity, Dropout."""
    name, output = node.inputs[0], node.outputs[0]
    if name in draft.flat:
        draft.flat[output] = draft.flat[name]
    elif name in draft.padded:
        draft.padded[output] = draft.padded[name]
    else:
        draft.same[output] = draft.read(node)
