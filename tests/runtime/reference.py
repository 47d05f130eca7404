"""Runs a `Network` in plain NumPy int32, operator by operator, as docs/integer-semantics.md reads."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from loadable_writer import Network, window_size

Int8 = npt.NDArray[np.int8]


def round_half_away(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Ties away from zero; truncation and the remainder are exact in float32."""
    whole = np.trunc(values)
    return whole + np.where(np.abs(values - whole) >= 0.5, np.copysign(np.float32(1), values), np.float32(0))


def requantise(acc: npt.NDArray[np.int32], multiplier: Any, rounding: str, relu: bool) -> Int8:
    """clamp(round(float32(acc) · m)); acc: C×H×W, multiplier: float32, one or C×1×1."""
    product = acc.astype(np.float32) * multiplier
    rounded = np.rint(product) if rounding == "half-even" else round_half_away(product)
    return np.clip(rounded, 0 if relu else -128, 127).astype(np.int8)


def windows(padded: npt.NDArray[np.int32], op: dict[str, Any], dilation: list[int]) -> Any:
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


def conv(x: Int8, op: dict[str, Any], rounding: str) -> Int8:
    weights = op["weights"].astype(np.int32)
    groups = op["groups"]
    grouped_weights = weights.reshape(groups, weights.shape[0] // groups, *weights.shape[1:])
    acc: Any = None
    for ky, kx, view in windows(pad(x, op["pads"], 0), op, op["dilation"]):
        grouped = view.reshape(groups, x.shape[0] // groups, *view.shape[1:])
        products = np.einsum("goi,gihw->gohw", grouped_weights[..., ky, kx], grouped, dtype=np.int32)
        acc = products if acc is None else acc + products
    acc = acc.reshape(weights.shape[0], *acc.shape[2:]) + op["bias"].reshape(-1, 1, 1)
    assert acc.dtype == np.int32
    return requantise(acc, op["multiplier"].reshape(-1, 1, 1), rounding, op["relu"])


def maxpool(x: Int8, op: dict[str, Any]) -> Int8:
    views = [view for _, _, view in windows(pad(x, op["pads"], -1000), op, [1, 1])]
    return np.maximum.reduce(views).astype(np.int8)


def run(network: Network, feeds: dict[str, Int8], rounding: str | None = None) -> dict[str, Int8]:
    """feeds: int8 1×C×H×W a graph input. Returns the outputs likewise."""
    rounding = rounding or network.rounding
    values = {name: feeds[name][0] for name in network.inputs}
    for op in network.ops:
        xs = [values[name] for name in op["inputs"]]
        match op["type"]:
            case "conv":
                result = conv(xs[0], op, rounding)
            case "relu":
                result = np.maximum(xs[0], np.int8(0))
            case "add":
                total = xs[0].astype(np.int32) + xs[1].astype(np.int32)
                multiplier = np.float32(struct.unpack(">f", bytes.fromhex(op["multiplier_bits"]))[0])
                result = requantise(total, multiplier, rounding, op["relu"])
            case "concat":
                result = np.concatenate(xs)
            case "maxpool":
                result = maxpool(xs[0], op)
            case "resize":
                result = xs[0].repeat(op["factor"][0], axis=1).repeat(op["factor"][1], axis=2)
            case other:
                raise ValueError(f"no operator {other}")
        values[op["output"]] = result
    return {name: values[name][None] for name in network.outputs}
