"""Builds host.loadable bytes (docs/bundle.md, versions 1 to 3) out of NumPy arrays.

A `Network` is the JSON header of a loadable with arrays where the file has offsets. The engine reads the bytes, the
reference in `reference.py` reads the network itself.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

ARRAY_TYPES = {"weights": "<i1", "bias": "<i4", "multiplier": "<f4", "table": "<i1"}
FLOAT_ARRAY_TYPES = {"weights": "<f2", "bias": "<f4"}
"""Of a promoted convolution."""
VERSION_3 = {"table", "mul", "max", "min", "avgpool", "bilinear", "depthtospace"}
"""Operators that versions 1 and 2 do not have."""


def array_types(op: dict[str, Any]) -> dict[str, str]:
    """The arrays of an operator in the data block."""
    return FLOAT_ARRAY_TYPES if op.get("precision") == "float16" else ARRAY_TYPES


def float_bits(value: float) -> str:
    """The eight hex digits of a float32, most significant first."""
    return struct.pack(">f", value).hex()


def conv_multiplier(input_scale: float, weight_scales: npt.NDArray[np.float32], output_scale: float) -> Any:
    """float32(float32(s_in · s_w[k]) / s_out), every step in float32 (docs/integer-semantics.md)."""
    return (np.float32(input_scale) * weight_scales.astype(np.float32)) / np.float32(output_scale)


@dataclass
class Network:
    """Tensors in order of definition and operators in order of execution."""

    rounding: str = "half-away"
    tensors: list[dict[str, Any]] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    ops: list[dict[str, Any]] = field(default_factory=list)

    def tensor(self, name: str, channels: int, height: int, width: int, scale: float | None = 1.0) -> str:
        """scale: None for float16."""
        stored = {"type": "float16"} if scale is None else {"scale_bits": float_bits(scale)}
        self.tensors.append({"name": name, "shape": [1, channels, height, width], **stored})
        return name

    def is_float16(self, name: str) -> bool:
        return next(t.get("type") == "float16" for t in self.tensors if t["name"] == name)

    def shape(self, name: str) -> tuple[int, int, int]:
        """Channels, height and width."""
        _, channels, height, width = next(t["shape"] for t in self.tensors if t["name"] == name)
        return channels, height, width

    def scale(self, name: str) -> np.float32:
        bits = next(t["scale_bits"] for t in self.tensors if t["name"] == name)
        return np.float32(struct.unpack(">f", bytes.fromhex(bits))[0])

    def input(self, name: str, channels: int, height: int, width: int, scale: float = 1.0) -> str:
        self.inputs.append(self.tensor(name, channels, height, width, scale))
        return name

    def conv(
        self,
        source: str,
        output: str,
        weights: npt.NDArray[np.int8],
        bias: npt.NDArray[np.int32],
        multiplier: npt.NDArray[np.float32],
        *,
        stride: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        relu: bool = False,
        scale: float = 1.0,
    ) -> str:
        """weights: O × I/groups × k_h × k_w; pads: top, left, bottom, right."""
        _, height, width = self.shape(source)
        kernel = weights.shape[2:]
        self.tensor(
            output,
            weights.shape[0],
            window_size(height, kernel[0], stride[0], pads[0] + pads[2], dilation[0]),
            window_size(width, kernel[1], stride[1], pads[1] + pads[3], dilation[1]),
            scale,
        )
        self.ops.append(
            {
                "type": "conv",
                "name": f"/{output}/Conv",
                "inputs": [source],
                "output": output,
                "kernel": list(kernel),
                "stride": list(stride),
                "pads": list(pads),
                "dilation": list(dilation),
                "groups": groups,
                "relu": relu,
                "weights": np.asarray(weights, np.int8),
                "bias": np.asarray(bias, np.int32),
                "multiplier": np.asarray(multiplier, np.float32),
            }
        )
        return output

    def float_conv(
        self,
        source: str,
        output: str,
        weights: npt.NDArray[np.float16],
        bias: npt.NDArray[np.float32],
        *,
        scale: float | None = None,
        **window: Any,
    ) -> str:
        """A promoted convolution; scale: of the int8 output, None: float16; window: as of `conv`."""
        self.conv(source, output, np.zeros(weights.shape, np.int8), np.zeros(0), np.zeros(0), **window)
        channels, height, width = self.shape(output)
        del self.tensors[-1]
        self.tensor(output, channels, height, width, scale)
        op = self.ops[-1]
        del op["multiplier"]
        op |= {"precision": "float16", "weights": np.asarray(weights, np.float16), "bias": np.asarray(bias, np.float32)}
        if scale is not None:
            op["inverse_scale_bits"] = float_bits(np.float32(1) / np.float32(scale))
        return output

    def relu(self, source: str, output: str) -> str:
        self.tensor(output, *self.shape(source), self.scale(source))
        self.ops.append({"type": "relu", "name": "", "inputs": [source], "output": output})
        return output

    def add(self, a: str, b: str, output: str, *, scale: float = 1.0, relu: bool = False) -> str:
        self.tensor(output, *self.shape(a), scale)
        bits = float_bits(self.scale(a) / np.float32(scale))
        op = {"type": "add", "name": "", "inputs": [a, b], "output": output, "multiplier_bits": bits, "relu": relu}
        self.ops.append(op)
        return output

    def concat(self, sources: list[str], output: str) -> str:
        _, height, width = self.shape(sources[0])
        self.tensor(output, sum(self.shape(s)[0] for s in sources), height, width, self.scale(sources[0]))
        self.ops.append({"type": "concat", "name": "", "inputs": list(sources), "output": output})
        return output

    def pool(
        self,
        kind: str,
        source: str,
        output: str,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> str:
        """kind: maxpool or avgpool."""
        channels, height, width = self.shape(source)
        self.tensor(
            output,
            channels,
            window_size(height, kernel[0], stride[0], pads[0] + pads[2]),
            window_size(width, kernel[1], stride[1], pads[1] + pads[3]),
            self.scale(source),
        )
        op = {"type": kind, "name": "", "inputs": [source], "output": output}
        self.ops.append(op | {"kernel": list(kernel), "stride": list(stride), "pads": list(pads)})
        return output

    def resize(self, source: str, output: str, factor: tuple[int, int]) -> str:
        channels, height, width = self.shape(source)
        self.tensor(output, channels, height * factor[0], width * factor[1], self.scale(source))
        self.ops.append({"type": "resize", "name": "", "inputs": [source], "output": output, "factor": list(factor)})
        return output

    def table(self, source: str, output: str, table: npt.NDArray[np.int8], *, scale: float = 1.0) -> str:
        """table: 256 values, for the inputs -128 to 127."""
        self.tensor(output, *self.shape(source), scale)
        values = np.asarray(table, np.int8)
        self.ops.append({"type": "table", "name": "", "inputs": [source], "output": output, "table": values})
        return output

    def mul(self, a: str, b: str, output: str, *, scale: float = 1.0) -> str:
        """b: like a, or C×1×1."""
        self.tensor(output, *self.shape(a), scale)
        bits = float_bits(self.scale(a) * self.scale(b) / np.float32(scale))
        self.ops.append({"type": "mul", "name": "", "inputs": [a, b], "output": output, "multiplier_bits": bits})
        return output

    def extreme(self, kind: str, a: str, b: str, output: str) -> str:
        """kind: max or min."""
        self.tensor(output, *self.shape(a), self.scale(a))
        self.ops.append({"type": kind, "name": "", "inputs": [a, b], "output": output})
        return output

    def bilinear(
        self, source: str, output: str, factor: tuple[int, int], *, corner: str = "half_pixel", scale: float = 1.0
    ) -> str:
        channels, height, width = self.shape(source)
        self.tensor(output, channels, height * factor[0], width * factor[1], scale)
        multiplier = self.scale(source) / np.float32(scale) / np.float32(4 * factor[0] * factor[1])
        op = {"type": "bilinear", "name": "", "inputs": [source], "output": output}
        self.ops.append(op | {"factor": list(factor), "corner": corner, "multiplier_bits": float_bits(multiplier)})
        return output

    def depth_to_space(self, source: str, output: str, block: tuple[int, int], cut: tuple[int, int] = (0, 0)) -> str:
        """cut: rows and columns that the output ends early."""
        channels, height, width = self.shape(source)
        height, width = height * block[0] - cut[0], width * block[1] - cut[1]
        self.tensor(output, channels // (block[0] * block[1]), height, width, self.scale(source))
        op = {"type": "depthtospace", "name": "", "inputs": [source], "output": output, "block": list(block)}
        self.ops.append(op)
        return output


def window_size(size: int, kernel: int, stride: int, pads: int, dilation: int = 1) -> int:
    """Output size of a conv or pooling on one axis."""
    return (size + pads - dilation * (kernel - 1) - 1) // stride + 1


def header_and_data(network: Network) -> tuple[dict[str, Any], bytes]:
    """The header with offsets in place of arrays, and the data block that they point into."""
    data = bytearray()
    ops = []
    for op in network.ops:
        written = dict(op)
        for key, dtype in array_types(op).items():
            if key not in op:
                continue
            data.extend(bytes(-len(data) % 64))
            written[key] = len(data)
            data.extend(np.ascontiguousarray(op[key], dtype).tobytes())
        ops.append(written)
    version = 2 if any(op.get("precision") == "float16" for op in network.ops) else 1
    if any(op["type"] in VERSION_3 for op in network.ops):
        version = 3
    header = {
        "version": version,
        "rounding": network.rounding,
        "data_bytes": len(data),
        "tensors": network.tensors,
        "inputs": network.inputs,
        "outputs": network.outputs,
        "ops": ops,
    }
    return header, bytes(data)


def container(header: Any, data: bytes) -> bytes:
    """The file around a header and a data block; neither is checked."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    prefix = b"UNINAHL1" + struct.pack("<I", len(text)) + text
    return prefix + bytes(-len(prefix) % 64) + data


def loadable_bytes(network: Network) -> bytes:
    """The whole file."""
    return container(*header_and_data(network))


def read_loadable(content: bytes) -> Network:
    """The network of a well-formed file; the engine is what checks files.

    Raises:
        ValueError: it is no host.loadable at all.
    """
    if content[:8] != b"UNINAHL1":
        raise ValueError("not a host.loadable: it does not begin with UNINAHL1")
    (length,) = struct.unpack_from("<I", content, 8)
    header = json.loads(content[12 : 12 + length])
    data = content[12 + length + (-(12 + length) % 64) :]
    network = Network(header["rounding"], header["tensors"], header["inputs"], header["outputs"], header["ops"])
    for op in network.ops:
        if op["type"] == "table":
            op["table"] = np.frombuffer(data, np.int8, 256, op["table"])
        if op["type"] != "conv":
            continue
        channels_out = network.shape(op["output"])[0]
        shape = (channels_out, network.shape(op["inputs"][0])[0] // op["groups"], *op["kernel"])
        counts = {"weights": int(np.prod(shape)), "bias": channels_out, "multiplier": channels_out}
        for key, count in counts.items():
            if key in op:
                op[key] = np.frombuffer(data, array_types(op)[key], count, op[key])
        op["weights"] = op["weights"].reshape(shape)
    return network
