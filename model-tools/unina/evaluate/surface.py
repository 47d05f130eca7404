"""Tensors as the bytes that lie in the DLA's buffers: the int8 formats of a bundle's inputs and outputs.

Layouts: NvInferRuntimeBase.h, TensorFormat (kDLA_HWC4, kCHW32), on Orin.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Int8 = npt.NDArray[np.int8]
LINEAR = "linear"
"""Channels × height × width without gaps: to be read by other tools, no format of the DLA (whose own pads its rows)."""
DEVICE_LAYOUTS = ("hwc4", "chw32")
"""What a bundle's inputs and outputs may be."""
ROW_ALIGNMENT = 64
"""Bytes; of rows of hwc4."""
BLOCK = 32
"""Channels that lie side by side in chw32."""


@dataclass(frozen=True)
class Surface:
    """One int8 tensor of batch 1 and how its bytes lie."""

    name: str
    role: str
    """input or output"""
    shape: tuple[int, int, int]
    """channels, height, width"""
    layout: str
    """LINEAR or of DEVICE_LAYOUTS"""
    scale_bits: str
    """float32, big-endian, eight hex digits; real = scale · int8"""

    @classmethod
    def of_manifest(cls, tensor: Mapping[str, Any]) -> "Surface":
        """From a tensor of a bundle's manifest. Raises ValueError for what is no int8 tensor of the DLA."""
        if tensor.get("dtype") == "float16":
            raise ValueError(
                f"tensor {tensor.get('name')}: float16; test vectors count in steps of int8, so export without "
                "promoted layers at the outputs"
            )
        try:
            name, (batch, *shape), bits = tensor["name"], tensor["shape"], tensor["scale_bits"]
            role, dtype, layout = tensor["role"], tensor["dtype"], tensor["format"]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"a tensor without name, shape, scale_bits, role, dtype or format ({error})") from error
        if (
            (batch, dtype, len(shape)) != (1, "int8", 3)
            or layout not in DEVICE_LAYOUTS
            or role not in {"input", "output"}
        ):
            raise ValueError(
                f"tensor {name}: {dtype} {layout} {tensor['shape']}; expected int8 in {', '.join(DEVICE_LAYOUTS)}"
            )
        if layout == "hwc4" and shape[0] > 4:
            raise ValueError(f"tensor {name}: hwc4 holds four channels at most, not {shape[0]}")
        return cls(name, role, (shape[0], shape[1], shape[2]), layout, bits)

    @property
    def file_name(self) -> str:
        """`NAME.LAYOUT.bin`, with nothing in it that a file system or a shell minds."""
        return f"{self.stem}.{self.layout}.bin"

    @property
    def stem(self) -> str:
        """The name as a part of file names."""
        return re.sub(r"[^A-Za-z0-9_.-]", "_", self.name)

    @property
    def row_bytes(self) -> int:
        """From one row to the next."""
        _, _, width = self.shape
        return {LINEAR: width, "hwc4": _round_up(4 * width, ROW_ALIGNMENT), "chw32": BLOCK * width}[self.layout]

    @property
    def buffer_bytes(self) -> int:
        """Of the whole buffer."""
        channels, height, _ = self.shape
        planes = {LINEAR: channels, "hwc4": 1, "chw32": -(-channels // BLOCK)}[self.layout]
        return planes * height * self.row_bytes

    def pack(self, values: Int8) -> bytes:
        """int8 C×H×W to the bytes of the buffer; what no channel or pixel fills is zero.

        Raises ValueError for another shape or type.
        """
        channels, height, width = self.shape
        if values.shape != self.shape or values.dtype != np.int8:
            raise ValueError(f"tensor {self.name} is int8 {self.shape}, not {values.dtype} {values.shape}")
        if self.layout == LINEAR:
            return values.tobytes()
        if self.layout == "hwc4":
            rows = np.zeros((height, self.row_bytes // 4, 4), np.int8)
            rows[:, :width, :channels] = values.transpose(1, 2, 0)
            return rows.tobytes()
        padded = np.zeros((_round_up(channels, BLOCK), height, width), np.int8)
        padded[:channels] = values
        return padded.reshape(-1, BLOCK, height, width).transpose(0, 2, 3, 1).tobytes()

    def unpack(self, content: bytes) -> Int8:
        """The bytes of the buffer to int8 C×H×W. Raises ValueError when there are too few or too many."""
        channels, height, width = self.shape
        if len(content) != self.buffer_bytes:
            raise ValueError(f"{len(content)} bytes; {self.layout} {channels}×{height}×{width} has {self.buffer_bytes}")
        flat = np.frombuffer(content, np.int8)
        if self.layout == LINEAR:
            return flat.reshape(self.shape)
        if self.layout == "hwc4":
            return np.ascontiguousarray(flat.reshape(height, -1, 4)[:, :width, :channels].transpose(2, 0, 1))
        blocks = flat.reshape(-1, height, width, BLOCK).transpose(0, 3, 1, 2).reshape(-1, height, width)
        return np.ascontiguousarray(blocks[:channels])


def surfaces_of(manifest: Mapping[str, Any], path: Path) -> tuple[Surface, ...]:
    """Inputs and outputs of a bundle. Raises ValueError naming the manifest."""
    try:
        found = tuple(Surface.of_manifest(tensor) for tensor in manifest["tensors"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    if len({surface.stem for surface in found}) != len(found):
        raise ValueError(f"{path}: two tensors whose names differ only in signs that file names can't hold")
    return found


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple
