"""Small deploy graphs for the tests: one made by hand with every operator, and random ones."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Writes ONNX nodes one behind the other and keeps the shape of every tensor."""

    def __init__(self, seed: int, channels: int = 3, height: int = 16, width: int = 24) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self.shapes = {"images": (1, channels, height, width)}

    def _node(self, kind: str, inputs: list[str], shape: tuple[int, ...], **attributes: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [f"{name}/{kind}_output"], f"{name}/{kind}", **attributes))
        self.shapes[f"{name}/{kind}_output"] = shape
        return f"{name}/{kind}_output"

    def constant(self, values: np.ndarray) -> str:
        name = f"c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x: str, channels: int, *, kernel=3, stride=1, pads=None, dilation=1, groups=1, gain=1.0) -> str:
        _, c, h, w = self.shapes[x]
        pads = pads or (dilation * (kernel // 2),) * 4
        fan = c // groups * kernel * kernel
        weight = self.random.normal(0, gain / np.sqrt(fan), (channels, c // groups, kernel, kernel)).astype(np.float32)
        weight *= self.random.uniform(0.2, 3, (channels, 1, 1, 1)).astype(np.float32)  # scales differ a channel
        bias = self.random.normal(0, 0.3, channels).astype(np.float32)
        span = dilation * (kernel - 1)
        size = ((h + pads[0] + pads[2] - span - 1) // stride + 1, (w + pads[1] + pads[3] - span - 1) // stride + 1)
        return self._node(
            "Conv",
            [x, self.constant(weight), self.constant(bias)],
            (1, channels, *size),
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=list(pads),
            dilations=[dilation] * 2,
            group=groups,
        )

    def relu(self, x: str) -> str:
        return self._node("Relu", [x], self.shapes[x])

    def add(self, a: str, b: str) -> str:
        return self._node("Add", [a, b], self.shapes[a])

    def concat(self, *xs: str) -> str:
        _, _, h, w = self.shapes[xs[0]]
        return self._node("Concat", list(xs), (1, sum(self.shapes[x][1] for x in xs), h, w), axis=1)

    def maxpool(self, x: str, kernel=3, stride=1, pad=1) -> str:
        _, c, h, w = self.shapes[x]
        size = ((h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
        return self._node(
            "MaxPool", [x], (1, c, *size), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4
        )

    def resize(self, x: str, fh=2, fw=2) -> str:
        _, c, h, w = self.shapes[x]
        return self._node(
            "Resize",
            [x, "", self.constant(np.array([1, 1, fh, fw], np.float32))],
            (1, c, h * fh, w * fw),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )

    def deconv(self, x: str, channels: int, *, kernel=2, stride=2, gain=1.0) -> str:
        _, c, h, w = self.shapes[x]
        fan = c * kernel * kernel / stride / stride
        weight = self.random.normal(0, gain / np.sqrt(fan), (c, channels, kernel, kernel)).astype(np.float32)
        weight *= self.random.uniform(0.2, 3, (1, channels, 1, 1)).astype(np.float32)
        bias = self.random.normal(0, 0.3, channels).astype(np.float32)
        size = ((h - 1) * stride + kernel, (w - 1) * stride + kernel)
        inputs = [x, self.constant(weight), self.constant(bias)]
        return self._node(
            "ConvTranspose", inputs, (1, channels, *size), kernel_shape=[kernel] * 2, strides=[stride] * 2
        )

    def unary(self, kind: str, x: str, **attributes: float) -> str:
        """Sigmoid, Tanh, LeakyRelu, Abs, Sin, Cos, Atan."""
        return self._node(kind, [x], self.shapes[x], **attributes)

    def silu(self, x: str) -> str:
        return self.pair("Mul", x, self.unary("Sigmoid", x))

    def pair(self, kind: str, a: str, b: str) -> str:
        """Mul, Max, Min."""
        return self._node(kind, [a, b], self.shapes[a])

    def average(self, x: str, kernel=3, stride=1, pad=1) -> str:
        _, c, h, w = self.shapes[x]
        size = ((h + 2 * pad - kernel) // stride + 1, (w + 2 * pad - kernel) // stride + 1)
        return self._node(
            "AveragePool", [x], (1, c, *size), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4
        )

    def whole(self, x: str) -> str:
        """The largest value of each channel."""
        _, c, h, w = self.shapes[x]
        return self._node("MaxPool", [x], (1, c, 1, 1), kernel_shape=[h, w], strides=[1, 1], pads=[0] * 4)

    def bilinear(self, x: str, fh=2, fw=2, corner="half_pixel") -> str:
        _, c, h, w = self.shapes[x]
        scales = self.constant(np.array([1, 1, fh, fw], np.float32))
        shape = (1, c, h * fh, w * fw)
        return self._node("Resize", [x, "", scales], shape, mode="linear", coordinate_transformation_mode=corner)

    def model(self, *outputs: str) -> onnx.ModelProto:
        """The graph with the outputs renamed out0, out1, …"""
        rename = {name: f"out{i}" for i, name in enumerate(outputs)}
        for node in self.nodes:
            node.input[:] = [rename.get(name, name) for name in node.input]
            node.output[:] = [rename.get(name, name) for name in node.output]
        values = [helper.make_tensor_value_info(rename[n], TensorProto.FLOAT, self.shapes[n]) for n in outputs]
        images = helper.make_tensor_value_info("images", TensorProto.FLOAT, self.shapes["images"])
        graph = helper.make_graph(self.nodes, "small", [images], values, self.tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model


def every_operator(seed: int = 0, height: int = 16, width: int = 24) -> onnx.ModelProto:
    """Every operator, adds with and without ReLU, groups, dilation and strides; two outputs."""
    b = Builder(seed, height=height, width=width)
    stem = b.relu(b.conv("images", 8, stride=2, gain=1 / 64))
    down = b.relu(b.conv(stem, 16, stride=2))
    residual = b.relu(b.add(b.conv(down, 16), b.conv(down, 16, kernel=1, dilation=1)))
    pooled = b.maxpool(residual)
    joined = b.concat(b.resize(pooled), b.relu(b.conv(stem, 8, groups=4, dilation=2)))
    plain_sum = b.add(b.conv(joined, 8, kernel=1), stem)
    return b.model(b.conv(plain_sum, 4, kernel=1), b.conv(joined, 8))


def every_later_operator(seed: int = 0, height: int = 16, width: int = 24) -> onnx.ModelProto:
    """Those of version 3 of the loadable: gates, transposed convolutions, averages, extremes, bilinear resizes."""
    b = Builder(seed, height=height, width=width)
    stem = b.silu(b.conv("images", 8, stride=2, gain=1 / 64))
    down = b.unary("LeakyRelu", b.conv(stem, 12, stride=2), alpha=0.1)
    middle = b.conv(down, 12)
    gate = b.unary("Sigmoid", b.conv(b.whole(down), 12, kernel=1))
    excited = b.pair("Mul", middle, gate)
    larger = b.pair("Max", excited, middle)
    smaller = b.pair("Min", larger, b.average(down))
    up = b.relu(b.deconv(smaller, 8))
    overlapping = b.deconv(smaller, 5, kernel=3)
    enlarged = b.bilinear(b.unary("Tanh", middle))
    asymmetric = b.bilinear(larger, 1, 3, "asymmetric")
    product = b.pair("Mul", up, stem)
    return b.model(
        b.conv(product, 4, kernel=1), b.conv(overlapping, 4), b.conv(enlarged, 4, kernel=1), b.conv(asymmetric, 4)
    )


def random_graph(seed: int, *, later: bool = False) -> onnx.ModelProto:
    """Three to eight random operators, each on any earlier tensor; outputs: convolutions of two of them.

    Args:
        later: with those of version 3 of the loadable.
    """
    b = Builder(seed, height=2 * (4 + seed % 5), width=2 * (3 + seed % 7))
    r = b.random
    tensors = [b.relu(b.conv("images", int(r.choice([4, 8])), stride=int(r.choice([1, 2])), gain=1 / 64))]
    for _ in range(int(r.integers(3, 9))):
        x = tensors[int(r.integers(len(tensors)))]
        _, c, h, w = b.shapes[x]
        alike = [t for t in tensors if b.shapes[t] == b.shapes[x]]
        level = [t for t in tensors if b.shapes[t][2:] == (h, w)]
        if later and r.integers(2):
            tensors.append(_later_operator(b, x, alike[int(r.integers(len(alike)))]))
            continue
        match int(r.integers(6)):
            case 0:
                tensors.append(b.relu(b.conv(x, int(r.choice([4, 8, 12])), kernel=int(r.choice([1, 3])))))
            case 1:
                tensors.append(b.conv(x, c, groups=int(r.choice([g for g in (1, 2, 4) if c % g == 0]))))
            case 2:
                total = b.add(x, alike[int(r.integers(len(alike)))])
                tensors.append(b.relu(total) if r.integers(2) else total)
            case 3 if len(level) > 1:
                tensors.append(b.concat(*level[:3]))
            case 4:
                tensors.append(b.maxpool(x, kernel=int(r.choice([2, 3])), stride=1, pad=int(r.integers(2))))
            case _ if h * w < 600:
                tensors.append(b.resize(x, int(r.integers(1, 3)), int(r.integers(1, 3))))
            case _:
                tensors.append(b.relu(x))
    return b.model(b.conv(tensors[-1], 4, kernel=1), b.conv(tensors[len(tensors) // 2], 4, kernel=1))


def _later_operator(b: Builder, x: str, other: str) -> str:
    """`other`: of the shape of x, perhaps x itself."""
    r, (_, c, h, w) = b.random, b.shapes[x]
    small = h * w < 600
    match int(r.integers(9)):
        case 0:
            return b.silu(x)
        case 1:
            return b.unary(str(r.choice(["Sigmoid", "Tanh", "Abs", "Sin", "Cos", "Atan"])), x)
        case 2:
            return b.unary("LeakyRelu", x, alpha=float(r.choice([0.01, 0.2, -0.3])))
        case 3:
            return b.pair("Mul", x, b.unary("Sigmoid", b.conv(b.whole(other), c, kernel=1)))
        case 4:
            return b.pair("Mul", x, other)
        case 5:
            return b.pair(str(r.choice(["Max", "Min"])), x, other)
        case 6 if small:
            return b.deconv(x, int(r.choice([4, 5, 8])), kernel=int(r.choice([1, 2, 3, 4])), stride=2)
        case 7 if small:
            corner = str(r.choice(["half_pixel", "asymmetric"]))
            return b.bilinear(x, int(r.integers(1, 4)), int(r.integers(1, 4)), corner)
        case _:
            return b.average(x, kernel=int(r.choice([2, 3])), pad=1)


def pictures(model: onnx.ModelProto, count: int, seed: int = 0) -> list[np.ndarray]:
    """Smooth random network inputs, float32 1×C×H×W of whole numbers in [−128, 127]."""
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    random = np.random.default_rng(seed)
    blocks = random.integers(-128, 128, (count, 1, shape[1], shape[2] // 2, shape[3] // 2))
    noise = random.integers(-8, 9, (count, *shape))
    return list(np.clip(blocks.repeat(2, -1).repeat(2, -2) + noise, -128, 127).astype(np.float32))
