"""The networks of NVIDIA's published DLA figures, rebuilt from their public definitions: shapes only, no weights.

Weights are zeros that take no memory, since nothing here is ever run.
"""

import math

import numpy as np

from unina.dla.network import Array, Network, Node, TensorType

Shape = tuple[int, ...]


class Builder:
    """Operators one behind the other; every method returns the name of the tensor that it writes."""

    def __init__(self, height: int, width: int, images: int = 1) -> None:
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {"images": (images, 3, height, width)}
        self.constants: dict[str, Array] = {}

    def put(self, op: str, inputs: tuple[str, ...], shape: Shape, **attributes: object) -> str:
        name = f"{op.lower()}{len(self.nodes)}"
        self.shapes[f"{name}/out"] = shape
        self.nodes.append(Node(name, op, inputs, (f"{name}/out",), attributes))
        return f"{name}/out"

    def weight(self, *shape: int) -> str:
        name = f"weight{len(self.constants)}"
        self.constants[name] = np.broadcast_to(np.float32(0), shape)
        return name

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int = 3,
        stride: int = 1,
        groups: int = 1,
        act: str = "Relu",
        pad: int | None = None,
    ) -> str:
        """Padding of half a kernel unless given; `act` "Relu", "Clip", "SiLU" or ""."""
        images, c, h, w = self.shapes[x]
        pad = kernel // 2 if pad is None else pad
        rows, columns = ((size + 2 * pad - kernel) // stride + 1 for size in (h, w))
        weight = self.weight(channels, c // groups, kernel, kernel)
        geometry = {"strides": (stride, stride), "pads": (pad,) * 4, "group": groups, "kernel_shape": (kernel, kernel)}
        y = self.put("Conv", (x, weight), (images, channels, rows, columns), **geometry)
        if act == "SiLU":
            return self.put("Mul", (y, self.put("Sigmoid", (y,), self.shapes[y])), self.shapes[y])
        return self.put(act, (y,), self.shapes[y]) if act else y

    def relu(self, x: str) -> str:
        return self.put("Relu", (x,), self.shapes[x])

    def add(self, a: str, b: str) -> str:
        return self.put("Add", (a, b), self.shapes[a])

    def concat(self, *xs: str) -> str:
        images, _, h, w = self.shapes[xs[0]]
        return self.put("Concat", xs, (images, sum(self.shapes[x][1] for x in xs), h, w), axis=1)

    def pool(self, x: str, kernel: int = 3, stride: int = 2, pad: int = 1, op: str = "MaxPool") -> str:
        images, c, h, w = self.shapes[x]
        rows, columns = ((size + 2 * pad - kernel) // stride + 1 for size in (h, w))
        geometry = {"strides": (stride, stride), "pads": (pad,) * 4, "kernel_shape": (kernel, kernel)}
        return self.put(op, (x,), (images, c, rows, columns), **geometry)

    def double(self, x: str) -> str:
        images, c, h, w = self.shapes[x]
        return self.put("Resize", (x,), (images, c, 2 * h, 2 * w), mode="nearest")

    def classifier(self, x: str, classes: int) -> str:
        """Fully connected, over all that is left."""
        flat = self.put("Flatten", (x,), (self.shapes[x][0], math.prod(self.shapes[x][1:])))
        weight = self.weight(classes, self.shapes[flat][1])
        return self.put("Gemm", (flat, weight), (self.shapes[x][0], classes), transB=1)

    def network(self, *outputs: str) -> Network:
        tensors = {name: TensorType(shape, "float32") for name, shape in self.shapes.items()}
        return Network(tuple(self.nodes), ("images",), outputs, tensors, self.constants, 17)


def basic_block(net: Builder, x: str, channels: int, stride: int = 1) -> str:
    """ResNet-18/34 (arXiv 1512.03385): two 3×3."""
    y = net.conv(net.conv(x, channels, 3, stride), channels, act="")
    if net.shapes[x] != net.shapes[y]:
        x = net.conv(x, channels, 1, stride, act="")
    return net.relu(net.add(y, x))


def bottleneck(net: Builder, x: str, channels: int, outputs: int, stride: int = 1, groups: int = 1) -> str:
    """ResNet-50 v1.5 and ResNeXt (arXiv 1611.05431): 1×1, 3×3 (it strides), 1×1."""
    y = net.conv(net.conv(x, channels, 1), channels, 3, stride, groups)
    y = net.conv(y, outputs, 1, act="")
    if net.shapes[x] != net.shapes[y]:
        x = net.conv(x, outputs, 1, stride, act="")
    return net.relu(net.add(y, x))


def stem(net: Builder) -> str:
    return net.pool(net.conv("images", 64, 7, 2))


def resnet34_backbone(height: int = 768, width: int = 1280) -> Network:
    """Without pooling and classifier at the end."""
    net = Builder(height, width)
    x = stem(net)
    for channels, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            x = basic_block(net, x, channels, 2 if block == 0 and channels > 64 else 1)
    return net.network(x)


def resnet50(size: int = 224) -> Network:
    """With its average over 7×7 and its classifier."""
    net = Builder(size, size)
    x = stem(net)
    for channels, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            x = bottleneck(net, x, channels, 4 * channels, 2 if block == 0 and channels > 64 else 1)
    return net.network(net.classifier(net.pool(x, net.shapes[x][2], 1, 0, "AveragePool"), 1000))


def ssd_resnet34(size: int = 1200) -> Network:
    """MLPerf's (ssd_r34.py): the third stage keeps stride 8, the fourth is missing, five extra levels, 81 classes."""
    net = Builder(size, size)
    x = stem(net)
    for channels, blocks in ((64, 3), (128, 4), (256, 6)):
        for block in range(blocks):
            x = basic_block(net, x, channels, 2 if block == 0 and channels == 128 else 1)
    levels = [x]
    extra = ((256, 512, 2, 1), (256, 512, 2, 1), (128, 256, 2, 1), (128, 256, 2, 0), (128, 256, 1, 0))
    for inner, outer, stride, pad in extra:
        x = net.conv(net.conv(x, inner, 1), outer, 3, stride, pad=pad)
        levels.append(x)
    outputs = []
    for x, boxes in zip(levels, (4, 6, 6, 6, 4, 4), strict=True):  # every predictor strides by three
        outputs += [net.conv(x, boxes * values, 3, 3, act="") for values in (4, 81)]
    return net.network(*outputs)


def retinanet_resnext50(size: int = 800) -> Network:
    """MLPerf's: torchvision's RetinaNet on ResNeXt-50 32×4d, 264 classes of OpenImages, levels 3 to 7."""
    net = Builder(size, size)
    x = stem(net)
    levels = []
    for channels, blocks in ((128, 3), (256, 4), (512, 6), (1024, 3)):
        for block in range(blocks):
            x = bottleneck(net, x, channels, 2 * channels, 2 if block == 0 and channels > 128 else 1, groups=32)
        levels.append(x)
    laterals = [net.conv(level, 256, 1, act="") for level in levels[1:]]
    for i in (1, 0):
        laterals[i] = net.add(laterals[i], net.double(laterals[i + 1]))
    pyramid = [net.conv(lateral, 256, 3, act="") for lateral in laterals]
    pyramid.append(net.conv(pyramid[-1], 256, 3, 2, act=""))
    pyramid.append(net.conv(net.relu(pyramid[-1]), 256, 3, 2, act=""))
    outputs = []
    for level in pyramid:
        for values in (264, 4):
            x = level
            for _ in range(4):
                x = net.conv(x, 256)
            outputs.append(net.conv(x, 9 * values, act=""))
    return net.network(*outputs)


def ssd_mobilenet_v1(size: int = 300) -> Network:
    """MLPerf's, from TensorFlow's detection models: ReLU6, 1×1 predictors, 91 classes."""
    net = Builder(size, size)
    x = net.conv("images", 32, 3, 2, act="Clip")
    levels = []
    plan = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    for i, (channels, stride) in enumerate(plan):
        x = net.conv(x, net.shapes[x][1], 3, stride, groups=net.shapes[x][1], act="Clip")
        x = net.conv(x, channels, 1, act="Clip")
        if i in {10, 12}:
            levels.append(x)
    for inner, outer in ((256, 512), (128, 256), (128, 256), (64, 128)):
        x = net.conv(net.conv(x, inner, 1, act="Clip"), outer, 3, 2, act="Clip")
        levels.append(x)
    outputs = []
    for level, boxes in zip(levels, (3, 6, 6, 6, 6, 6), strict=True):
        outputs += [net.conv(level, boxes * values, 1, act="") for values in (4, 91)]
    return net.network(*outputs)


def yolov5s(size: int = 672) -> Network:
    """Version 6, up to the three predictors (85 values for each of three anchors)."""
    net = Builder(size, size)

    def conv(x: str, channels: int, kernel: int = 1, stride: int = 1, pad: int | None = None) -> str:
        return net.conv(x, channels, kernel, stride, act="SiLU", pad=pad)

    def c3(x: str, channels: int, count: int, shortcut: bool = True) -> str:
        y = conv(x, channels // 2)
        for _ in range(count):
            z = conv(conv(y, channels // 2), channels // 2, 3)
            y = net.add(y, z) if shortcut else z
        return conv(net.concat(y, conv(x, channels // 2)), channels)

    x = conv("images", 32, 6, 2, pad=2)
    features = []
    for channels, count in ((64, 1), (128, 2), (256, 3), (512, 1)):
        x = c3(conv(x, channels, 3, 2), channels, count)
        features.append(x)
    pools = [conv(x, 256)]
    for _ in range(3):
        pools.append(net.pool(pools[-1], 5, 1, 2))
    p5 = conv(conv(net.concat(*pools), 512), 256)
    p4 = conv(c3(net.concat(net.double(p5), features[2]), 256, 1, shortcut=False), 128)
    levels = [c3(net.concat(net.double(p4), features[1]), 128, 1, shortcut=False)]
    levels.append(c3(net.concat(conv(levels[0], 128, 3, 2), p4), 256, 1, shortcut=False))
    levels.append(c3(net.concat(conv(levels[1], 256, 3, 2), p5), 512, 1, shortcut=False))
    return net.network(*(net.conv(level, 255, 1, act="") for level in levels))
