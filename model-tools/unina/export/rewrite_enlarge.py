"""What makes maps larger: resizes, transposed convolutions, depth to space.

Each function takes one node into the draft, and raises RewriteError where the node asks for more than it can become.
"""

import math

import numpy as np

from unina.dla.network import Node
from unina.export.deploy_network import Step, bilinear_step, conv_step, nearest_step
from unina.export.rewrite_draft import Array, Draft, RewriteError
from unina.export.rewrite_pairs import spread

LARGEST_BILINEAR = 4
"""factor, of the DLA"""


def resize(draft: Draft, node: Node) -> None:
    """Resize and Upsample by whole factors, nearest or bilinear."""
    before, after = (draft.shape(name, node) for name in (node.inputs[0], node.outputs[0]))
    given = node.attributes
    old = node.op == "Upsample" or draft.network.opset < 11
    corner = "asymmetric" if old else given.get("coordinate_transformation_mode", "half_pixel")
    mode = given.get("mode", "nearest")
    rounds = "floor" if old else given.get("nearest_mode", "round_prefer_floor")
    told = f"resizes {before} to {after} by {(mode, corner, rounds) if mode == 'nearest' else (mode, corner)}"
    if before[:2] != after[:2] or any(b % a for a, b in zip(before, after, strict=True)):
        raise RewriteError(node, f"{told}; the DLA enlarges height and width by whole factors")
    if before[2:] == (1, 1) and mode in {"nearest", "linear"}:  # constant, however it is computed
        draft.same[node.outputs[0]] = spread(draft, node, 0)
        return
    factor = after[2] // before[2], after[3] // before[3]
    x, output = draft.read(node), node.outputs[0]
    # With whole factors, half_pixel with round_prefer_floor picks the same cells as asymmetric with floor.
    if mode == "nearest" and (corner, rounds) in {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")}:
        draft.add(nearest_step(node.name, x, output, factor))
    elif mode == "linear" and corner in {"half_pixel", "pytorch_half_pixel", "asymmetric"}:
        if max(factor) > LARGEST_BILINEAR:
            raise RewriteError(node, f"{told}; bilinear, the DLA does so up to {LARGEST_BILINEAR} times: use nearest")
        # PyTorch's differs where a side becomes 1, which enlarging does to none.
        draft.add(bilinear_step(node.name, x, output, factor, corner.removeprefix("pytorch_")))
    else:
        raise RewriteError(node, f"{told}; take nearest, or linear with align_corners=False")


def deconv(draft: Draft, node: Node) -> None:
    """ConvTranspose: as it is, or without padding and groups, which the DLA has not, in two layers."""
    weight = draft.constant(node, 1, "weight")
    given = node.attributes
    group = int(given.get("group", 1))
    outputs = weight.shape[1] * group
    bias = draft.constant(node, 2, "bias") if len(node.inputs) > 2 and node.inputs[2] else np.zeros(outputs)
    strides = tuple(given.get("strides", (1, 1)))
    if weight.ndim != 4 or any(one != 1 for one in given.get("dilations", ())):
        raise RewriteError(node, "is dilated, or not 2-D; the DLA does neither")
    before, after = (draft.shape(name, node)[2:] for name in (node.inputs[0], node.outputs[0]))
    whole = tuple(s * (n - 1) + k for s, n, k in zip(strides, before, weight.shape[2:], strict=True))
    begin = _begin(draft, node, whole, after)
    if group == 1 and after == whole and begin == (0, 0):
        draft.add(_deconv_step(node.name, draft.read(node), node.outputs[0], weight, bias, strides))
    else:
        _by_phases(draft, node, weight, bias, strides, begin, group)


def _begin(draft: Draft, node: Node, whole: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns that are cut off above and on the left of what the windows reach."""
    how = node.attributes.get("auto_pad", "NOTSET") or "NOTSET"
    if how == "NOTSET" and not node.attributes.get("output_shape"):
        pads = node.attributes.get("pads", (0, 0, 0, 0))
        return int(pads[0]), int(pads[1])
    cut = [reach - size for reach, size in zip(whole, after, strict=True)]
    if min(cut) < 0 or how == "NOTSET":
        raise RewriteError(node, f"makes {after} of what reaches {whole}: give its padding as numbers")
    first = [total // 2 if how == "SAME_UPPER" else total - total // 2 for total in cut]
    return (first[0], first[1]) if how != "VALID" else (0, 0)


def _by_phases(
    draft: Draft, node: Node, weight: Array, bias: Array, strides: tuple[int, ...], begin: tuple[int, int], group: int
) -> None:
    """A convolution that writes a channel for each phase of the stride, and a ConvTranspose that puts those together.

    Output `s · u + r` is `Σ_m in[u + m] · w[r + begin − s · m]`, over the m for which w has such a tap.
    """
    sizes = draft.shape(node.inputs[0], node)[2:]
    after = draft.shape(node.outputs[0], node)[2:]
    if any(size % step for size, step in zip(after, strides, strict=True)):
        raise RewriteError(node, f"writes {after[0]}×{after[1]}, no multiple of its stride: pad it to one")
    inputs, outputs, *kernel = weight.shape
    first = [math.ceil((p - k + 1) / s) for p, k, s in zip(begin, kernel, strides, strict=True)]
    last = [(s - 1 + p) // s for p, s in zip(begin, strides, strict=True)]
    end = [b // s - 1 + m - (n - 1) for b, s, m, n in zip(after, strides, last, sizes, strict=True)]
    if max(first) > 0 or min(end) < 0:
        raise RewriteError(node, f"cuts off more than its window reaches: padding {begin} around {kernel}")
    taps = [high - low + 1 for low, high in zip(first, last, strict=True)]
    # group, row phase, column phase, output, input, taps
    apart = np.zeros((group, *strides, outputs, inputs // group, *taps))
    grouped = weight.reshape(group, inputs // group, outputs, *kernel)
    for row, column, y, x in np.ndindex(*strides, *taps):
        at = row + begin[0] - strides[0] * (y + first[0]), column + begin[1] - strides[1] * (x + first[1])
        if all(0 <= place < size for place, size in zip(at, kernel, strict=True)):
            apart[:, row, column, :, :, y, x] = grouped[..., at[0], at[1]].swapaxes(1, 2)
    phases, output = f"{node.outputs[0]}.phases", node.outputs[0]
    biases = np.broadcast_to(bias.reshape(group, 1, outputs), (group, math.prod(strides), outputs)).reshape(-1)
    pads = (-first[0], -first[1], end[0], end[1])
    convolution = apart.reshape(-1, inputs // group, *taps)
    source = draft.read(node)
    draft.add(conv_step(f"{node.name}_phases", source, phases, convolution, biases, pads=pads, group=group))
    # channel of `phases` → its output channel and phase
    together = np.zeros((group, *strides, outputs, group * outputs, *strides))
    for one, row, column, channel in np.ndindex(group, *strides, outputs):
        together[one, row, column, channel, one * outputs + channel, row, column] = 1
    _together(draft, node.name, phases, output, together.reshape(-1, *together.shape[4:]))


def depth_to_space(draft: Draft, node: Node) -> None:
    """DepthToSpace (pixel shuffle): a ConvTranspose of ones and zeros, whose window is the block."""
    block = int(node.attributes["blocksize"])
    channels = draft.shape(node.outputs[0], node)[1]
    columns_first = node.attributes.get("mode", "DCR") == "CRD"
    together = np.zeros((channels * block * block, channels, block, block))
    for row, column, channel in np.ndindex(block, block, channels):
        phase = row * block + column
        at = channel * block * block + phase if columns_first else phase * channels + channel
        together[at, channel, row, column] = 1
    _together(draft, node.name, draft.read(node), node.outputs[0], together)


def _together(draft: Draft, name: str, x: str, output: str, weight: Array) -> None:
    draft.add(_deconv_step(name, x, output, weight, np.zeros(weight.shape[1]), weight.shape[2:]))


def _deconv_step(name: str, x: str, output: str, weight: Array, bias: Array, strides: tuple[int, ...]) -> Step:
    """A ConvTranspose without padding; `weight` I×O×k_h×k_w, `bias` O."""
    attributes = {"kernel_shape": list(weight.shape[2:]), "strides": list(strides)}
    constants = {"weight": weight.astype(np.float32), "bias": bias.astype(np.float32)}
    return Step("ConvTranspose", name, (x,), output, attributes, constants)
