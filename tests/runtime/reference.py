"""Runs a `Network` in plain NumPy int32 and float32, operator by operator, as docs/integer-semantics.md reads."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from loadable_writer import Network, window_size

Int8 = npt.NDArray[np.int8]
Float16 = npt.NDArray[np.float16]


def round_half_away(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Ties away from zero; truncation and the remainder are exact in float32."""
    whole = np.trunc(values)
    return whole + np.where(np.abs(values - whole) >= 0.5, np.copysign(np.float32(1), values), np.float32(0))


def requantise(acc: npt.NDArray[np.int32], multiplier: Any, rounding: str, relu: bool) -> Int8:
    """clamp(round(float32(acc) · m)); acc: C×H×W, multiplier: float32, one or C×1×1."""
    product = acc.astype(np.float32) * multiplier
    rounded = np.rint(product) if rounding == "half-even" else round_half_away(product)
    return np.clip(rounded, 0 if relu else -128, 127).astype(np.int8)


def fp19(values: Any) -> Any:
    """float32 → the nearest with 11 significant bits, ties to even; by arithmetic, not by bits."""
    wide = np.asarray(values, np.float64)
    _, exponent = np.frexp(wide)
    step = np.ldexp(1.0, np.maximum(exponent, -125) - 11)
    with np.errstate(over="ignore"):
        return (np.rint(wide / step) * step).astype(np.float32)


def requantise_fp19(acc: npt.NDArray[np.int32], step: Any, addend: Any, scale: Any, rounding: str, relu: bool) -> Int8:
    """The FP19 pipeline; acc: C×H×W without bias, step: scale of acc, addend: real, both float32, one or C×1×1;
    scale: of the output."""
    with np.errstate(over="ignore"):
        x = fp19(fp19(acc.astype(np.float32)) * fp19(step))
        x = fp19(x + fp19(addend))
        x = fp19(np.maximum(x, np.float32(0)) if relu else x)
        x = fp19(x * fp19(np.float32(1) / scale))
    rounded = np.rint(x) if rounding == "half-even" else round_half_away(x)
    return np.clip(rounded, -128, 127).astype(np.int8)


def windows(padded: npt.NDArray[Any], op: dict[str, Any], dilation: list[int]) -> Any:
    """Yields (ky, kx, C×h×w view): what tap (ky, kx) sees for every output element."""
    _, height, width = padded.shape
    (kernel_y, kernel_x), (stride_y, stride_x) = op["kernel"], op["stride"]
    out_y = window_size(height, kernel_y, stride_y, 0, dilation[0])
    out_x = window_size(width, kernel_x, stride_x, 0, dilation[1])
    for ky in range(kernel_y):
        for kx in range(kernel_x):
            y, x = ky * dilation[0], kx * dilation[1]
            yield (
                ky,
                kx,
                padded[:, y : y + (out_y - 1) * stride_y + 1 : stride_y, x : x + (out_x - 1) * stride_x + 1 : stride_x],
            )


def pad(x: Int8, pads: list[int], value: int) -> npt.NDArray[np.int32]:
    top, left, bottom, right = pads
    return np.pad(x.astype(np.int32), ((0, 0), (top, bottom), (left, right)), constant_values=value)


def conv(x: Int8, op: dict[str, Any], rounding: str, fp19_scale: np.float32 | None) -> Int8:
    """fp19_scale: of the output, for FP19 arithmetic; None: float32."""
    weights = op["weights"].astype(np.int32)
    groups = op["groups"]
    grouped_weights = weights.reshape(groups, weights.shape[0] // groups, *weights.shape[1:])
    acc: Any = None
    for ky, kx, view in windows(pad(x, op["pads"], 0), op, op["dilation"]):
        grouped = view.reshape(groups, x.shape[0] // groups, *view.shape[1:])
        products = np.einsum("goi,gihw->gohw", grouped_weights[..., ky, kx], grouped, dtype=np.int32)
        acc = products if acc is None else acc + products
    acc = acc.reshape(weights.shape[0], *acc.shape[2:])
    bias, multiplier = op["bias"].reshape(-1, 1, 1), op["multiplier"].reshape(-1, 1, 1)
    assert acc.dtype == bias.dtype == np.int32 and multiplier.dtype == np.float32
    if fp19_scale is None:
        return requantise(acc + bias, multiplier, rounding, op["relu"])
    step = multiplier * fp19_scale
    return requantise_fp19(acc, step, bias.astype(np.float32) * step, fp19_scale, rounding, op["relu"])


def f16(values: Any) -> Float16:
    """The nearest FP16, ties to even (what NumPy does), at most 65504."""
    return np.clip(np.asarray(values, np.float32), -65504, 65504).astype(np.float16)


def float_conv(x: Int8 | Float16, op: dict[str, Any], scale: np.float32 | None, rounding: str) -> Int8 | Float16:
    """A promoted convolution, one product after the other; scale: of an int8 input, C×H×W as x."""
    with np.errstate(over="ignore"):
        real = x if scale is None else f16(x.astype(np.float32) * scale)
    top, left, bottom, right = op["pads"]
    padded = np.pad(real.astype(np.float32), ((0, 0), (top, bottom), (left, right)))
    weights, groups = op["weights"].astype(np.float32), op["groups"]
    outputs, depth = weights.shape[:2]
    first = np.arange(outputs) // (outputs // groups) * depth  # each output's first input channel
    views = {(ky, kx): view for ky, kx, view in windows(padded, op, op["dilation"])}
    acc = np.broadcast_to(op["bias"].reshape(-1, 1, 1) + np.float32(0), (outputs, *views[0, 0].shape[1:])).copy()
    for c in range(depth):
        for ky, kx in views:  # rows, then columns
            acc = acc + views[ky, kx][first + c] * weights[:, c, ky, kx].reshape(-1, 1, 1)
    assert acc.dtype == np.float32
    y = f16(np.maximum(acc, np.float32(0)) if op["relu"] else acc)
    if "inverse_scale_bits" not in op:
        return y
    inverse = np.float32(struct.unpack(">f", bytes.fromhex(op["inverse_scale_bits"]))[0])
    with np.errstate(over="ignore"):
        steps = np.clip(y.astype(np.float32) * inverse, -1000, 1000)
    rounded = np.rint(steps) if rounding == "half-even" else round_half_away(steps)
    return np.clip(rounded, -128, 127).astype(np.int8)


def add(
    a: Int8, b: Int8, op: dict[str, Any], scales: tuple[np.float32, np.float32], rounding: str, fp19_on: bool
) -> Int8:
    """scales: of the inputs and of the output."""
    if fp19_on:
        step = fp19(scales[0])
        real = b.astype(np.float32) * step
        return requantise_fp19(a.astype(np.int32), step, real, scales[1], rounding, op["relu"])
    multiplier = np.float32(struct.unpack(">f", bytes.fromhex(op["multiplier_bits"]))[0])
    return requantise(a.astype(np.int32) + b.astype(np.int32), multiplier, rounding, op["relu"])


def maxpool(x: Int8, op: dict[str, Any]) -> Int8:
    views = [view for _, _, view in windows(pad(x, op["pads"], -1000), op, [1, 1])]
    return np.maximum.reduce(views).astype(np.int8)


def avgpool(x: Int8, op: dict[str, Any], rounding: str) -> Int8:
    inside = np.ones_like(x)
    total, pixels = (sum(view for _, _, view in windows(pad(v, op["pads"], 0), op, [1, 1])) for v in (x, inside))
    mean = total.astype(np.float32) / pixels.astype(np.float32)
    assert mean.dtype == np.float32
    return (np.rint(mean) if rounding == "half-even" else round_half_away(mean)).astype(np.int8)


def mul(a: Int8, b: Int8, op: dict[str, Any], scales: tuple[np.float32, ...], rounding: str, fp19_on: bool) -> Int8:
    """scales: of both inputs and of the output; b: C×H×W as a, or C×1×1."""
    if not fp19_on:
        multiplier = np.float32(struct.unpack(">f", bytes.fromhex(op["multiplier_bits"]))[0])
        return requantise(a.astype(np.int32) * b.astype(np.int32), multiplier, rounding, False)
    with np.errstate(over="ignore"):
        real_a, real_b = (fp19(v.astype(np.float32) * fp19(s)) for v, s in zip((a, b), scales, strict=False))
        x = fp19(fp19(real_a * real_b) * fp19(np.float32(1) / scales[2]))
    rounded = np.rint(x) if rounding == "half-even" else round_half_away(x)
    return np.clip(rounded, -128, 127).astype(np.int8)


def bilinear_weights(pixels: int, factor: int, corner: str) -> npt.NDArray[np.int32]:
    """(pixels · factor) × pixels: what every input pixel of an axis adds to every output pixel."""
    weights = np.zeros((pixels * factor, pixels), np.int32)
    for i, row in enumerate(weights):
        p = 2 * i + 1 - factor if corner == "half_pixel" else 2 * i
        j, r = divmod(min(max(p, 0), 2 * factor * (pixels - 1)), 2 * factor)
        row[j] += 2 * factor - r
        row[min(j + 1, pixels - 1)] += r
    return weights


def bilinear(x: Int8, op: dict[str, Any], rounding: str) -> Int8:
    rows, columns = (bilinear_weights(n, f, op["corner"]) for n, f in zip(x.shape[1:], op["factor"], strict=True))
    total = rows @ x.astype(np.int32) @ columns.T
    assert total.dtype == np.int32
    multiplier = np.float32(struct.unpack(">f", bytes.fromhex(op["multiplier_bits"]))[0])
    return requantise(total, multiplier, rounding, False)


def depth_to_space(x: Int8, op: dict[str, Any], size: tuple[int, int]) -> Int8:
    """size: height and width of the output."""
    block_y, block_x = op["block"]
    channels = x.shape[0] // (block_y * block_x)
    out = np.empty((channels, *size), np.int8)
    for y, x_ in np.ndindex(*size):
        first = ((y % block_y) * block_x + x_ % block_x) * channels
        out[:, y, x_] = x[first : first + channels, y // block_y, x_ // block_x]
    return out


def run(
    network: Network, feeds: dict[str, Int8], rounding: str | None = None, pointwise: str = "fp32"
) -> dict[str, Int8 | Float16]:
    """feeds: int8 1×C×H×W a graph input. Returns the outputs likewise, float16 where they are."""
    rounding = rounding or network.rounding
    values: dict[str, Any] = {name: feeds[name][0] for name in network.inputs}
    for op in network.ops:
        xs = [values[name] for name in op["inputs"]]
        scale = None if network.is_float16(op["output"]) else network.scale(op["output"])
        match op["type"]:
            case "conv" if op.get("precision") == "float16":
                source = op["inputs"][0]
                result = float_conv(xs[0], op, None if network.is_float16(source) else network.scale(source), rounding)
            case "conv":
                result = conv(xs[0], op, rounding, scale if pointwise == "fp19" else None)
            case "relu":
                result = np.maximum(xs[0], np.int8(0))
            case "add":
                scales = (network.scale(op["inputs"][0]), scale)
                result = add(xs[0], xs[1], op, scales, rounding, pointwise == "fp19")
            case "concat":
                result = np.concatenate(xs)
            case "maxpool":
                result = maxpool(xs[0], op)
            case "resize":
                result = xs[0].repeat(op["factor"][0], axis=1).repeat(op["factor"][1], axis=2)
            case "table":
                result = op["table"][xs[0].astype(int) + 128]
            case "mul":
                factors = (*(network.scale(name) for name in op["inputs"]), scale)
                result = mul(xs[0], xs[1], op, factors, rounding, pointwise == "fp19")
            case "max":
                result = np.maximum(*xs)
            case "min":
                result = np.minimum(*xs)
            case "avgpool":
                result = avgpool(xs[0], op, rounding)
            case "bilinear":
                result = bilinear(xs[0], op, rounding)
            case "depthtospace":
                result = depth_to_space(xs[0], op, network.shape(op["output"])[1:])
            case other:
                raise ValueError(f"no operator {other}")
        values[op["output"]] = result
    return {name: values[name][None] for name in network.outputs}
