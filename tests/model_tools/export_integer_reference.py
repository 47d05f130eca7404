"""docs/integer-semantics.md in NumPy, word for word and slowly: what a `host.loadable` must compute."""

import json
import struct

import numpy as np


def header_and_data(loadable: bytes) -> tuple[dict, bytes]:
    """The JSON header and the data block, after the checks that docs/bundle.md allows."""
    assert loadable[:8] == b"UNINAHL1"
    (length,) = struct.unpack("<I", loadable[8:12])
    header = json.loads(loadable[12 : 12 + length])
    start = -(-(12 + length) // 64) * 64
    assert not any(loadable[12 + length : start])
    assert len(loadable) == start + header["data_bytes"]
    return header, loadable[start:]


def run(loadable: bytes, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor that the loadable writes, int8 1×C×H×W."""
    header, data = header_and_data(loadable)
    scales = {t["name"]: struct.unpack(">f", bytes.fromhex(t["scale_bits"]))[0] for t in header["tensors"]}
    shapes = {t["name"]: tuple(t["shape"]) for t in header["tensors"]}
    tensors = dict(inputs)

    def array(offset: int, dtype: str, *shape: int) -> np.ndarray:
        assert offset % 64 == 0
        return np.frombuffer(data, dtype, int(np.prod(shape)), offset).reshape(shape)

    def requantise(acc: np.ndarray, multiplier: np.ndarray, relu: bool) -> np.ndarray:
        assert np.abs(acc).max() < 2**31
        product = acc.astype(np.int32).astype(np.float32) * multiplier
        assert product.dtype == np.float32
        exact = product.astype(np.float64)  # + 0.5 is exact here
        away = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
        q = np.clip(away if header["rounding"] == "half-away" else np.rint(exact), -128, 127).astype(np.int8)
        return np.maximum(q, 0) if relu else q

    for op in header["ops"]:
        x = tensors[op["inputs"][0]]
        name = op["output"]
        match op["type"]:
            case "conv":
                out = shapes[name]
                weights = array(op["weights"], "<i1", out[1], x.shape[1] // op["groups"], *op["kernel"])
                bias = array(op["bias"], "<i4", out[1]).astype(np.int64)
                multiplier = array(op["multiplier"], "<f4", out[1])
                acc = conv(x.astype(np.int64), weights.astype(np.int64), op) + bias[None, :, None, None]
                y = requantise(acc, multiplier[None, :, None, None], op["relu"])
            case "relu":
                assert scales[op["inputs"][0]] == scales[name]
                y = np.maximum(x, 0)
            case "add":
                other = tensors[op["inputs"][1]]
                assert scales[op["inputs"][0]] == scales[op["inputs"][1]]
                multiplier = np.float32(struct.unpack(">f", bytes.fromhex(op["multiplier_bits"]))[0])
                assert multiplier == np.float32(scales[op["inputs"][0]]) / np.float32(scales[name])
                y = requantise(x.astype(np.int64) + other, multiplier, op["relu"])
            case "concat":
                assert {scales[t] for t in op["inputs"]} == {scales[name]}
                y = np.concatenate([tensors[t] for t in op["inputs"]], axis=1)
            case "maxpool":
                assert scales[op["inputs"][0]] == scales[name]
                y = maxpool(x, op)
            case "resize":
                assert scales[op["inputs"][0]] == scales[name]
                y = x.repeat(op["factor"][0], axis=2).repeat(op["factor"][1], axis=3)
        assert y.shape == shapes[name], (name, y.shape, shapes[name])
        assert name not in tensors
        tensors[name] = y
    assert tensors.keys() == shapes.keys()
    return tensors


def conv(x: np.ndarray, weights: np.ndarray, op: dict) -> np.ndarray:
    """int64 1×C×H×W ⋆ O×(C/groups)×k_h×k_w."""
    top, left, bottom, right = op["pads"]
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (sh, sw), (dh, dw), groups = op["stride"], op["dilation"], op["groups"]
    outputs, per_group, kh, kw = weights.shape
    h = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    w = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    acc = np.zeros((1, outputs, h, w), np.int64)
    for o in range(outputs):
        first = o // (outputs // groups) * per_group
        for c in range(per_group):
            for i in range(kh):
                for j in range(kw):
                    window = x[0, first + c, i * dh : i * dh + sh * h : sh, j * dw : j * dw + sw * w : sw]
                    acc[0, o] += window[:h, :w] * weights[o, c, i, j]
    return acc


def maxpool(x: np.ndarray, op: dict) -> np.ndarray:
    """int8 1×C×H×W; padding never wins."""
    top, left, bottom, right = op["pads"]
    padded = np.pad(x.astype(np.int64), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=-(10**6))
    (kh, kw), (sh, sw) = op["kernel"], op["stride"]
    h, w = (padded.shape[2] - kh) // sh + 1, (padded.shape[3] - kw) // sw + 1
    windows = [
        padded[:, :, i : i + sh * (h - 1) + 1 : sh, j : j + sw * (w - 1) + 1 : sw] for i in range(kh) for j in range(kw)
    ]
    return np.max(windows, axis=0).astype(np.int8)
