"""Networks of known latency as deploy graphs without weights: NVIDIA's benchmarks and plain detectors."""

import numpy as np

from unina.dla.graph import Add, Concat, Conv, Graph, MaxPool, Op, Relu, Resize, Shape


class Network:
    """Operators one behind the other, as data; weights are zeros that take no memory."""

    def __init__(self, height: int, width: int) -> None:
        self.ops: list[Op] = []
        self.shapes: dict[str, Shape] = {"images": (1, 3, height, width)}

    def _put(self, shape: Shape) -> tuple[str, str]:
        name = f"n{len(self.ops)}"
        self.shapes[f"{name}/out"] = shape
        return name, f"{name}/out"

    def conv(self, x: str, channels: int, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True) -> str:
        _, c, h, w = self.shapes[x]
        pad = kernel // 2
        size = ((h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
        name, out = self._put((1, channels, *size))
        weight = np.broadcast_to(np.float32(0), (channels, c // groups, kernel, kernel))
        pads = (pad, pad, pad, pad)
        bias = np.zeros(channels, np.float32)
        self.ops.append(Conv(name, (x,), out, weight, bias, name, (stride, stride), pads, (1, 1), groups))
        return self.relu(out) if relu else out

    def relu(self, x: str) -> str:
        name, out = self._put(self.shapes[x])
        self.ops.append(Relu(name, (x,), out))
        return out

    def add(self, a: str, b: str) -> str:
        name, out = self._put(self.shapes[a])
        self.ops.append(Add(name, (a, b), out))
        return out

    def concat(self, *xs: str) -> str:
        _, _, h, w = self.shapes[xs[0]]
        name, out = self._put((1, sum(self.shapes[x][1] for x in xs), h, w))
        self.ops.append(Concat(name, xs, out))
        return out

    def maxpool(self, x: str) -> str:
        _, c, h, w = self.shapes[x]
        name, out = self._put((1, c, (h - 1) // 2 + 1, (w - 1) // 2 + 1))
        self.ops.append(MaxPool(name, (x,), out, (3, 3), (2, 2), (1, 1, 1, 1)))
        return out

    def double(self, x: str) -> str:
        _, c, h, w = self.shapes[x]
        name, out = self._put((1, c, 2 * h, 2 * w))
        self.ops.append(Resize(name, (x,), out, (2, 2)))
        return out

    def graph(self, *outputs: str) -> Graph:
        return Graph(tuple(self.ops), ("images",), outputs, self.shapes)


def basic_block(net: Network, x: str, channels: int, stride: int = 1) -> str:
    """ResNet-18/34: two 3×3."""
    y = net.conv(net.conv(x, channels, 3, stride), channels, relu=False)
    if net.shapes[x] != net.shapes[y]:
        x = net.conv(x, channels, 1, stride, relu=False)
    return net.relu(net.add(y, x))


def bottleneck(net: Network, x: str, channels: int, stride: int = 1) -> str:
    """ResNet-50 v1.5: 1×1, 3×3 (it strides), 1×1 to four times the channels."""
    y = net.conv(net.conv(net.conv(x, channels, 1), channels, 3, stride), 4 * channels, 1, relu=False)
    if net.shapes[x] != net.shapes[y]:
        x = net.conv(x, 4 * channels, 1, stride, relu=False)
    return net.relu(net.add(y, x))


def stem(net: Network) -> str:
    return net.maxpool(net.conv("images", 64, 7, 2))


def resnet34_backbone(height: int = 768, width: int = 1280) -> Graph:
    """Without pooling and classifier at the end."""
    net = Network(height, width)
    x = stem(net)
    for channels, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            x = basic_block(net, x, channels, 2 if block == 0 and channels > 64 else 1)
    return net.graph(x)


def resnet50(size: int = 224) -> Graph:
    """The classifier is a convolution at the one cell that is left; the average before it is left out."""
    net = Network(size, size)
    x = stem(net)
    for channels, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            x = bottleneck(net, x, channels, 2 if block == 0 and channels > 64 else 1)
    return net.graph(x)


def ssd_resnet34(size: int = 1200) -> Graph:
    """MLPerf's: the third stage at stride 8, the fourth missing, five extra levels, strided heads, 81 classes."""
    net = Network(size, size)
    x = stem(net)
    for channels, blocks in ((64, 3), (128, 4), (256, 6)):
        for block in range(blocks):
            x = basic_block(net, x, channels, 2 if block == 0 and channels == 128 else 1)
    levels = [x]
    for inner, outer, stride in ((256, 512, 2), (256, 512, 2), (128, 256, 2), (128, 256, 2), (128, 256, 1)):
        x = net.conv(net.conv(x, inner, 1), outer, 3, stride)
        levels.append(x)
    outputs = []
    for x, boxes, stride in zip(levels, (4, 6, 6, 6, 4, 4), (3, 3, 2, 2, 2, 2), strict=True):
        outputs += [net.conv(x, boxes * values, 3, stride, relu=False) for values in (4, 81)]
    return net.graph(*outputs)


def detector(
    widths: tuple[int, ...],
    neck: int,
    first: int = 2,
    height: int = 640,
    width: int = 640,
    blocks: tuple[int, ...] = (2, 3, 4, 2),
    outputs: tuple[int, int] = (4, 4),
) -> Graph:
    """Stem of 32, stages of 3×3 from stride 4, PAN of one width, two branches of two 3×3 and a 1×1 a level."""
    net = Network(height, width)
    x = net.conv("images", 32, 3, 2)
    features = []
    for channels, count in zip(widths, blocks, strict=False):
        x = net.conv(x, channels, 3, 2)
        for _ in range(count - 1):
            x = net.conv(x, channels)
        features.append(x)
    maps = [net.conv(feature, neck, 1) for feature in features[first - 2 :]]
    for i in range(len(maps) - 2, -1, -1):
        maps[i] = net.conv(net.concat(net.double(maps[i + 1]), maps[i]), neck)
    for i in range(len(maps) - 1):
        maps[i + 1] = net.conv(net.concat(net.conv(maps[i], neck, 3, 2), maps[i + 1]), neck)
    ends = [
        net.conv(net.conv(net.conv(level, neck), neck), values, 1, relu=False) for level in maps for values in outputs
    ]
    return net.graph(*ends)
