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


class Loadable:
    """A parsed loadable that runs operator by operator."""

    def __init__(self, loadable: bytes) -> None:
        self.header, self.data = header_and_data(loadable)
        self.scales = {t["name"]: _float32(t["scale_bits"]) for t in self.header["tensors"]}
        self.shapes = {t["name"]: tuple(t["shape"]) for t in self.header["tensors"]}

    def run(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Every tensor that the loadable writes, int8 1×C×H×W."""
        tensors = dict(inputs)
        for op in self.header["ops"]:
            assert op["output"] not in tensors
            tensors[op["output"]] = self.apply(op, tensors)
        assert tensors.keys() == self.shapes.keys()
        return tensors

    def apply(self, op: dict, tensors: dict[str, np.ndarray]) -> np.ndarray:
        """The output of one operator on the tensors that it reads."""
        inputs = [tensors[name] for name in op["inputs"]]
        x, name = inputs[0], op["output"]
        scales = {self.scales[t] for t in op["inputs"]}
        match op["type"]:
            case "conv":
                out = self.shapes[name][1]
                weights = self._array(op["weights"], "<i1", out, x.shape[1] // op["groups"], *op["kernel"])
                bias = self._array(op["bias"], "<i4", out).astype(np.int64)
                multiplier = self._array(op["multiplier"], "<f4", out)
                acc = conv(x.astype(np.int64), weights.astype(np.int64), op) + bias[None, :, None, None]
                y = self._requantise(acc, multiplier[None, :, None, None], op["relu"])
            case "add":
                assert len(scales) == 1
                multiplier = _float32(op["multiplier_bits"])
                assert multiplier == scales.pop() / self.scales[name]
                y = self._requantise(x.astype(np.int64) + inputs[1], multiplier, op["relu"])
            case "table":
                y = self._array(op["table"], "<i1", 256)[x.astype(int) + 128]
            case "mul":
                first, second = (self.scales[t] for t in op["inputs"])
                multiplier = _float32(op["multiplier_bits"])
                assert multiplier == np.float32(first * second) / self.scales[name]
                y = self._requantise(x.astype(np.int64) * inputs[1], multiplier, False)
            case "avgpool":
                assert scales == {self.scales[name]}
                total, count = (windowed_sum(values, op) for values in (x, np.ones_like(x)))
                y = self._round(total.astype(np.float32) / count.astype(np.float32))
            case "bilinear":
                multiplier, divisor = _float32(op["multiplier_bits"]), np.float32(4 * np.prod(op["factor"]))
                assert multiplier == np.float32(scales.pop() / self.scales[name]) / divisor
                y = self._requantise(interpolate(x.astype(np.int64), op), multiplier, False)
            case other:
                assert scales == {self.scales[name]}
                y = COPIES[other](inputs, op)[:, :, : self.shapes[name][2], : self.shapes[name][3]]
        assert y.shape == self.shapes[name], (name, y.shape, self.shapes[name])
        return y

    def _array(self, offset: int, dtype: str, *shape: int) -> np.ndarray:
        assert offset % 64 == 0
        return np.frombuffer(self.data, dtype, int(np.prod(shape)), offset).reshape(shape)

    def _requantise(self, acc: np.ndarray, multiplier: np.ndarray, cut: bool) -> np.ndarray:
        assert np.abs(acc).max() < 2**31
        q = self._round(acc.astype(np.int32).astype(np.float32) * multiplier)
        return np.maximum(q, 0) if cut else q

    def _round(self, real: np.ndarray) -> np.ndarray:
        assert real.dtype == np.float32
        exact = real.astype(np.float64)  # + 0.5 is exact here
        away = np.copysign(np.floor(np.abs(exact) + 0.5), exact)
        return np.clip(away if self.header["rounding"] == "half-away" else np.rint(exact), -128, 127).astype(np.int8)


def _float32(bits: str) -> np.float32:
    return np.float32(struct.unpack(">f", bytes.fromhex(bits))[0])


def relu(inputs: list[np.ndarray], op: dict) -> np.ndarray:
    return np.maximum(inputs[0], 0)


def concat(inputs: list[np.ndarray], op: dict) -> np.ndarray:
    return np.concatenate(inputs, axis=1)


def resize(inputs: list[np.ndarray], op: dict) -> np.ndarray:
    return inputs[0].repeat(op["factor"][0], axis=2).repeat(op["factor"][1], axis=3)


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


def maxpool(inputs: list[np.ndarray], op: dict) -> np.ndarray:
    """int8 1×C×H×W; padding never wins."""
    top, left, bottom, right = op["pads"]
    padded = np.pad(
        inputs[0].astype(np.int64), ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=-(10**6)
    )
    (kh, kw), (sh, sw) = op["kernel"], op["stride"]
    h, w = (padded.shape[2] - kh) // sh + 1, (padded.shape[3] - kw) // sw + 1
    windows = [
        padded[:, :, i : i + sh * (h - 1) + 1 : sh, j : j + sw * (w - 1) + 1 : sw] for i in range(kh) for j in range(kw)
    ]
    return np.max(windows, axis=0).astype(np.int8)


def windowed_sum(x: np.ndarray, op: dict) -> np.ndarray:
    """int8 1×C×H×W, zeros around it."""
    ones = np.ones((x.shape[1], 1, *op["kernel"]), np.int64)
    return conv(x.astype(np.int64), ones, op | {"dilation": (1, 1), "groups": x.shape[1]})


def interpolate(x: np.ndarray, op: dict) -> np.ndarray:
    """int64 1×C×H×W; sums of products with weights whose whole is 2·f on each axis."""
    for axis, factor in zip((2, 3), op["factor"], strict=True):
        size = x.shape[axis]
        columns = []
        for i in range(size * factor):
            place = 2 * i + 1 - factor if op["corner"] == "half_pixel" else 2 * i
            place = min(max(place, 0), 2 * factor * (size - 1))
            first, rest = divmod(place, 2 * factor)
            second = min(first + 1, size - 1)
            columns.append(x.take(first, axis) * (2 * factor - rest) + x.take(second, axis) * rest)
        x = np.stack(columns, axis)
    return x


def depth_to_space(inputs: list[np.ndarray], op: dict) -> np.ndarray:
    """Blocks of channels become blocks of pixels; cropped by the caller."""
    (x,), (height, width) = inputs, op["block"]
    _, c, h, w = x.shape
    apart = x.reshape(height, width, c // (height * width), h, w)
    return apart.transpose(2, 3, 0, 4, 1).reshape(1, c // (height * width), h * height, w * width)


COPIES = {
    "relu": relu,
    "concat": concat,
    "maxpool": maxpool,
    "resize": resize,
    "max": lambda inputs, _: np.maximum(*inputs),
    "min": lambda inputs, _: np.minimum(*inputs),
    "depthtospace": depth_to_space,
}
