"""The smallest bundle that is valid: one convolution a map, straight from the picture; written here by hand.

A level's kernel and stride are its stride, so that a cell sees its own square of pixels and NumPy can say in one
line what the network answers.
"""

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from loadable_writer import Network, loadable_bytes

HEIGHT, WIDTH = 32, 64
STRIDES = (8, 16)
REG_MAX = 4
CLASSES = ("blue_cone", "yellow_cone")
SCALE = 0.0625  # of every output


def bits(value: float) -> str:
    return struct.pack(">f", value).hex()


@dataclass
class Map:
    """One convolution: int8 O×3×s×s weights, int32 biases, one multiplier for all channels."""

    name: str
    stride: int
    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: np.float32

    def __call__(self, q: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
        """q: int8 3×H×W. Returns int8 O×h×w, after docs/integer-semantics.md (half-away)."""
        _, height, width = q.shape
        s = self.stride
        squares = q.reshape(3, height // s, s, width // s, s).astype(np.int64)
        sums = np.einsum("chyws,ocys->ohw", squares, self.weights.astype(np.int64)) + self.bias[:, None, None]
        product = sums.astype(np.float32) * self.multiplier
        rounded = np.trunc(product + np.copysign(np.float64(0.5), product))
        return np.clip(rounded, -128, 127).astype(np.int8)


@dataclass
class TinyBundle:
    path: Path
    maps: dict[str, Map]
    manifest: dict[str, Any] = field(default_factory=dict)

    def rewrite(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Changes manifest.json."""
        change(self.manifest)
        (self.path / "manifest.json").write_text(json.dumps(self.manifest))

    def seal(self) -> None:
        """Writes manifest.json anew for the files as they are."""
        files = [p for p in self.path.rglob("*") if p.is_file() and p.name != "manifest.json"]
        self.manifest["files"] = {
            str(p.relative_to(self.path)): {
                "sha256": hashlib.sha256(p.read_bytes()).hexdigest(),
                "bytes": p.stat().st_size,
            }
            for p in files
        }
        self.rewrite(lambda manifest: None)


def make_maps(seed: int) -> dict[str, Map]:
    """Random weights with outputs that use the whole of int8."""
    rng = np.random.default_rng(seed)
    maps = {}
    for stride in STRIDES:
        for kind, channels in (("class", len(CLASSES)), ("box", 4 * REG_MAX)):
            name = f"s{stride}_{kind}"
            weights = rng.integers(-127, 128, (channels, 3, stride, stride)).astype(np.int8)
            spread = 73 * 73 * np.sqrt(3 * stride * stride)  # deviation of the sum over noise
            maps[name] = Map(
                name, stride, weights, rng.integers(-999, 999, channels).astype(np.int32), np.float32(40 / spread)
            )
    return maps


def loadable(maps: dict[str, Map]) -> bytes:
    """host.loadable, version 1 (docs/bundle.md)."""
    data, ops = b"", []
    tensors = [{"name": "images", "shape": [1, 3, HEIGHT, WIDTH], "scale_bits": bits(1.0)}]
    for map_ in maps.values():
        offsets = {}
        channels = len(map_.bias)
        for key, array in (
            ("weights", map_.weights),
            ("bias", map_.bias.astype("<i4")),
            ("multiplier", np.full(channels, map_.multiplier, "<f4")),
        ):
            data += b"\0" * (-len(data) % 64)
            offsets[key] = len(data)
            data += array.tobytes()
        s = map_.stride
        tensors.append({"name": map_.name, "shape": [1, channels, HEIGHT // s, WIDTH // s], "scale_bits": bits(SCALE)})
        ops.append(
            {
                "type": "conv",
                "name": f"/{map_.name}/Conv",
                "inputs": ["images"],
                "output": map_.name,
                "kernel": [s, s],
                "stride": [s, s],
                "pads": [0, 0, 0, 0],
                "dilation": [1, 1],
                "groups": 1,
                "relu": False,
                **offsets,
            }
        )
    header = json.dumps(
        {
            "version": 1,
            "rounding": "half-away",
            "data_bytes": len(data),
            "tensors": tensors,
            "inputs": ["images"],
            "outputs": list(maps),
            "ops": ops,
        }
    ).encode()
    start = b"UNINAHL1" + struct.pack("<I", len(header)) + header
    return start + b"\0" * (-len(start) % 64) + data


def promote_class_maps(bundle: TinyBundle) -> Network:
    """Lets the class maps be written in FP16, with about the values that they had. Returns the network."""
    network = Network()
    network.input("images", 3, HEIGHT, WIDTH)
    for map_ in bundle.maps.values():
        window = {"stride": (map_.stride, map_.stride)}
        channels = len(map_.bias)
        if map_.name.endswith("class"):
            step = map_.multiplier * np.float32(SCALE)
            weights = (map_.weights * step).astype(np.float16)
            network.float_conv("images", map_.name, weights, (map_.bias * step).astype(np.float32), **window)
        else:
            multiplier = np.full(channels, map_.multiplier)
            network.conv("images", map_.name, map_.weights, map_.bias, multiplier, scale=SCALE, **window)
    network.outputs = list(bundle.maps)
    (bundle.path / "host.loadable").write_bytes(loadable_bytes(network))
    for tensor in bundle.manifest["tensors"]:
        if tensor["name"].endswith("class"):
            del tensor["scale"], tensor["scale_bits"]
            tensor.update(dtype="float16", format="chw16")
    bundle.seal()
    return network


def make_bundle(path: Path, seed: int = 0) -> TinyBundle:
    maps = make_maps(seed)
    path.mkdir()
    (path / "host.loadable").write_bytes(loadable(maps))
    (path / "labels.txt").write_text("".join(f"{name}\n" for name in CLASSES))

    def tensor(name: str, role: str, channels: int, stride: int, scale: float, layout: str) -> dict[str, Any]:
        return {
            "name": name,
            "role": role,
            "shape": [1, channels, HEIGHT // stride, WIDTH // stride],
            "dtype": "int8",
            "scale": scale,
            "scale_bits": bits(scale),
            "format": layout,
        }

    bundle = TinyBundle(path, maps)
    bundle.manifest = {
        "schema": 1,
        "name": "tiny",
        "classes": list(CLASSES),
        "input": {
            **{"name": "images", "height": HEIGHT, "width": WIDTH, "color": "rgb"},
            **{"letterbox_value": 128, "offset": 128, "scale": 1.0},
        },
        "levels": [{"stride": s, "class": f"s{s}_class", "box": f"s{s}_box"} for s in STRIDES],
        "reg_max": REG_MAX,
        "tensors": [
            tensor("images", "input", 3, 1, 1.0, "hwc4"),
            *(tensor(m.name, "output", len(m.bias), m.stride, SCALE, "chw32") for m in maps.values()),
        ],
        "thresholds": [0.9, 0.8],
        "max_detections": 300,
        "rounding": "half-away",
        "provenance": {},
        "accuracy": {},
    }
    bundle.seal()
    return bundle
