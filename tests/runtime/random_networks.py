"""Random networks of every operator, in INT8 and FP16: chains and branches, odd sizes, groups, dilation, padding."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from loadable_writer import VERSION_3, Network

# The engine works in units of 4, 16 and 32 channels; sizes on both sides of them matter most.
CHANNELS = [1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 24, 31, 32, 33, 40, 48, 64, 68, 96, 100]
SCALES = [0.0078125, 0.05, 0.11, 1.0]
MAX_ELEMENTS = 30_000


def small_pair(draw: st.DrawFn, low: int, high: int) -> tuple[int, int]:
    return draw(st.integers(low, high)), draw(st.integers(low, high))


def add_conv(
    draw: st.DrawFn, rng: np.random.Generator, network: Network, source: str, output: str, *, may_promote: bool = False
) -> bool:
    channels, height, width = network.shape(source)
    kernel = draw(st.sampled_from([(1, 1), (1, 1), (3, 3), (3, 3), (3, 3), (2, 2), (5, 5), (1, 3), (4, 1), (7, 3)]))
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (1, 1), (2, 2), (1, 3)]))
    stride = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (2, 1), (3, 2)]))
    reach = [dilation[i] * (kernel[i] - 1) for i in (0, 1)]
    pads = tuple(draw(st.integers(0, reach[i % 2] + 1)) for i in range(4))
    if height + pads[0] + pads[2] <= reach[0] or width + pads[1] + pads[3] <= reach[1]:
        return False
    form = draw(st.sampled_from(["dense", "dense", "dense", "depthwise", "groups"]))
    if form == "dense":
        groups, outputs = 1, draw(st.sampled_from(CHANNELS))
    elif form == "depthwise":
        groups, outputs = channels, channels * draw(st.sampled_from([1, 1, 2]))
    else:
        groups = draw(st.sampled_from([g for g in (2, 3, 4, 5, 8) if channels % g == 0] or [1]))
        outputs = groups * draw(st.sampled_from([1, 3, 8, 16, 20, 32]))
    depth = channels // groups
    shape = (outputs, depth, *kernel)
    window = {"stride": stride, "pads": pads, "dilation": dilation, "groups": groups, "relu": draw(st.booleans())}
    if may_promote and (draw(st.integers(1, 4)) == 1 or network.is_float16(source)):
        add_promoted(draw, rng, network, source, output, shape, window)
        return True
    extreme = draw(st.sampled_from([False, False, False, True]))
    weights = rng.choice([-127, 127], shape) if extreme else rng.integers(-127, 128, shape)
    bias = rng.integers(-(2 ** draw(st.sampled_from([4, 12, 24, 30]))), 2**10, outputs)
    spread = 74.0 * 74.0 * np.sqrt(depth * kernel[0] * kernel[1])
    multiplier = rng.uniform(0.1, 3.0, outputs) * 60 / spread
    if draw(st.booleans()):  # powers of two make exact ties, where the two roundings differ
        multiplier = 2.0 ** np.round(np.log2(multiplier))
    network.conv(
        source, output, weights.astype(np.int8), bias.astype(np.int32), multiplier.astype(np.float32),
        scale=draw(st.sampled_from(SCALES)), **window,
    )  # fmt: skip
    return True


def add_promoted(
    draw: st.DrawFn,
    rng: np.random.Generator,
    network: Network,
    source: str,
    output: str,
    shape: tuple[int, ...],
    window: dict[str, Any],
) -> None:
    """A convolution in FP16, stored as int8 or float16; weights from subnormal to nearly infinite."""
    fan = shape[1] * shape[2] * shape[3]
    size = draw(st.sampled_from([1 / np.sqrt(fan)] * 4 + [2.0**-20, 2000.0]))
    weights = np.clip(rng.normal(0, size, shape), -65504, 65504)
    if draw(st.booleans()):  # whole numbers make exact ties
        weights = np.rint(weights * 2)
    bias = rng.normal(0, draw(st.sampled_from([0.0, 1.0, 1e5])), shape[0])
    scale = draw(st.sampled_from([None, None, *SCALES]))
    network.float_conv(source, output, weights.astype(np.float16), bias.astype(np.float32), scale=scale, **window)


def add_pool(draw: st.DrawFn, network: Network, source: str, output: str, kind: str) -> bool:
    """kind: maxpool or avgpool."""
    _, height, width = network.shape(source)
    kernel = small_pair(draw, 1, 5)
    pads = tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4))
    if kind == "avgpool" and draw(st.booleans()):  # of the whole picture
        kernel, pads = (height, width), (0, 0, 0, 0)
    if height + pads[0] + pads[2] < kernel[0] or width + pads[1] + pads[3] < kernel[1]:
        return False
    network.pool(kind, source, output, kernel, small_pair(draw, 1, 3), pads)
    return True


def add_enlargement(draw: st.DrawFn, network: Network, source: str, output: str, kind: str) -> bool:
    """kind: resize, bilinear or depthtospace."""
    channels, height, width = network.shape(source)
    if kind == "depthtospace":
        sizes = [(y, x) for y in range(1, 5) for x in range(1, 5) if y * x > 1 and channels % (y * x) == 0]
        block = draw(st.sampled_from(sizes or [(1, 1)]))
        network.depth_to_space(source, output, block, tuple(draw(st.integers(0, b - 1)) for b in block))  # type: ignore[arg-type]
        return True
    factor = small_pair(draw, 1, 3 if kind == "resize" else 5)
    if channels * height * width * factor[0] * factor[1] > MAX_ELEMENTS:
        return False
    if kind == "resize":
        network.resize(source, output, factor)
    else:
        corner, scale = draw(st.sampled_from(["half_pixel", "asymmetric"])), draw(st.sampled_from(SCALES))
        network.bilinear(source, output, factor, corner=corner, scale=scale)
    return True


def alike(network: Network, source: str, first_axis: int = 0) -> list[str]:
    """The int8 tensors, source among them, of its scale and of its shape from an axis on (0: channels)."""
    shape, scale = network.shape(source)[first_axis:], network.scale(source)
    names = [t["name"] for t in network.tensors if "scale_bits" in t]
    return [n for n in names if network.shape(n)[first_axis:] == shape and network.scale(n) == scale]


def partner(draw: st.DrawFn, rng: np.random.Generator, network: Network, source: str, output: str) -> str:
    """Another tensor of the same shape and scale, made with a table where there is none."""
    others = [name for name in alike(network, source) if name != source]
    if others and draw(st.booleans()):
        return draw(st.sampled_from(others))
    table = rng.integers(-128, 128, 256)
    return network.table(source, f"{output}_partner", table, scale=float(network.scale(source)))


def add_mul(draw: st.DrawFn, rng: np.random.Generator, network: Network, source: str, output: str) -> None:
    """By a tensor of the same shape, or by one factor a channel, which may be pooled first; of any scales."""
    shape = network.shape(source) if draw(st.booleans()) else (network.shape(source)[0], 1, 1)
    names = [t["name"] for t in network.tensors if "scale_bits" in t]
    others = [name for name in names if network.shape(name) == shape]
    if not others:
        others = [network.pool("avgpool", source, f"{output}_factors", network.shape(source)[1:])]
    scale = draw(st.sampled_from([*SCALES, 4.0, 17.0]))  # the last ones keep most products within int8
    network.mul(source, draw(st.sampled_from(others)), output, scale=scale)


OPERATORS = ["conv"] * 6 + ["relu", "add", "concat", "maxpool", "resize"] + sorted(VERSION_3)


def add_operator(draw: st.DrawFn, rng: np.random.Generator, network: Network, output: str) -> bool:
    """Appends one operator on tensors that are there already; False when the draw does not fit."""
    names = [tensor["name"] for tensor in network.tensors]
    source = names[-1] if draw(st.booleans()) else draw(st.sampled_from(names))
    # only promoted convolutions read float16
    kind = "conv" if network.is_float16(source) else draw(st.sampled_from(OPERATORS))
    match kind:
        case "conv":
            return add_conv(draw, rng, network, source, output, may_promote=True)
        case "maxpool" | "avgpool":
            return add_pool(draw, network, source, output, kind)
        case "resize" | "bilinear" | "depthtospace":
            return add_enlargement(draw, network, source, output, kind)
        case "relu":
            network.relu(source, output)
        case "table":
            network.table(source, output, rng.integers(-128, 128, 256), scale=draw(st.sampled_from(SCALES)))
        case "mul":
            add_mul(draw, rng, network, source, output)
        case "max" | "min":
            network.extreme(kind, source, partner(draw, rng, network, source, output), output)
        case "add":
            network.add(source, draw(st.sampled_from(alike(network, source))), output,
                        scale=draw(st.sampled_from(SCALES)), relu=draw(st.booleans()))  # fmt: skip
        case "concat":
            others = draw(st.lists(st.sampled_from(alike(network, source, 1)), min_size=1, max_size=3))
            network.concat([source, *others], output)
    return True


@st.composite
def networks(draw: st.DrawFn) -> tuple[Network, dict[str, np.ndarray]]:
    """A network of one to eight operators, and an input for it."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    network = Network(rounding=draw(st.sampled_from(["half-away", "half-even"])))
    for i in range(draw(st.sampled_from([1, 1, 1, 2]))):
        network.input(
            f"input{i}", draw(st.sampled_from(CHANNELS)), *small_pair(draw, 1, 17), draw(st.sampled_from(SCALES))
        )
    wanted = draw(st.integers(1, 8))
    for _ in range(3 * wanted):
        if len(network.ops) < wanted:
            add_operator(draw, rng, network, f"t{len(network.ops)}")
    if not network.ops:
        network.relu("input0", "t0")
    read = {name for op in network.ops for name in op["inputs"]}
    made = [op["output"] for op in network.ops]
    extra = draw(st.lists(st.sampled_from(made), max_size=2))
    network.outputs = [name for name in made if name not in read or name in extra]
    feeds = {}
    for name in network.inputs:
        shape = (1, *network.shape(name))
        feeds[name] = rng.integers(-128, 128, shape).astype(np.int8)
        if draw(st.sampled_from([False, False, True])):
            feeds[name] = rng.choice([-128, 127], shape).astype(np.int8)
    return network, feeds
