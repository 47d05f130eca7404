"""The network that `engine.py` times unless told otherwise: the shape of a cone detector, random weights."""

from __future__ import annotations

import numpy as np
from loadable_writer import Network

SCALE = 0.05  # of every tensor: concatenations and additions then need no care


class Builder:
    """Adds convolutions whose outputs spread over int8 whatever their size."""

    def __init__(self) -> None:
        self.network = Network()
        self.random = np.random.default_rng(0)

    def conv(self, source: str, output: str, channels: int, kernel: int = 3, stride: int = 1, relu: bool = True) -> str:
        depth = self.network.shape(source)[0]
        weights = self.random.integers(-127, 128, (channels, depth, kernel, kernel))
        multiplier = self.random.uniform(0.5, 1.5, channels) / (73 * np.sqrt(depth * kernel * kernel))
        padding = kernel // 2
        return self.network.conv(
            source,
            output,
            weights.astype(np.int8),
            self.random.integers(-1000, 1000, channels).astype(np.int32),
            multiplier.astype(np.float32),
            stride=(stride, stride),
            pads=(padding, padding, padding, padding),
            relu=relu,
            scale=SCALE,
        )

    def chain(self, source: str, name: str, channels: int, count: int) -> str:
        for i in range(count):
            source = self.conv(source, f"{name}_{i}", channels)
        return source


def detector(height: int = 384, width: int = 640) -> Network:
    """Backbone of widths 32, 32, 64, 128, a top-down neck and heads at strides 4, 8 and 16: 2.5 GMAC at 640×384."""
    b = Builder()
    image = b.network.input("images", 3, height, width, SCALE)
    p1 = b.conv(image, "stem", 32, stride=2)
    p2 = b.chain(b.conv(p1, "p2", 32, stride=2), "p2", 32, 2)
    p3 = b.chain(b.conv(p2, "p3", 64, stride=2), "p3", 64, 3)
    p4 = b.chain(b.conv(p3, "p4", 128, stride=2), "p4", 128, 3)
    up3 = b.network.resize(b.conv(p4, "p4_reduced", 64, kernel=1), "p4_up", (2, 2))
    n3 = b.conv(b.network.concat([up3, p3], "p3_both"), "n3", 64)
    up2 = b.network.resize(b.conv(n3, "n3_reduced", 32, kernel=1), "n3_up", (2, 2))
    n2 = b.conv(b.network.concat([up2, p2], "p2_both"), "n2", 32)
    for level, features, channels in (("p2", n2, 32), ("p3", n3, 64), ("p4", p4, 128)):
        head = b.conv(features, f"{level}_head", channels)
        b.network.outputs.append(b.conv(head, f"{level}_class", 4, kernel=1, relu=False))
        b.network.outputs.append(b.conv(head, f"{level}_box", 64, kernel=1, relu=False))
    return b.network
