"""More public architectures in plain torch: mobile, plain, detection, segmentation and attention networks.

Shortened where a stage only repeats itself; every kind of layer of the original is there.
"""

from collections.abc import Callable

import torch
from public_networks import Residual, basic_block, classifier, conv, resnet
from torch import Tensor, nn
from torch.nn import functional


def mobilenet_v1() -> nn.Module:
    """Howard et al., 2017: depthwise 3×3 and pointwise 1×1."""
    widths = ((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 512, 2), (512, 1024, 2))
    blocks = [nn.Sequential(conv(i, i, 3, s, groups=i), conv(i, o, 1)) for i, o, s in widths]
    return nn.Sequential(conv(3, 32, 3, 2), *blocks, classifier(1024))


class SqueezeExcite(nn.Module):
    """Hu et al., 2017."""

    def __init__(self, channels: int, inner: int, act: type[nn.Module], gate: type[nn.Module]) -> None:
        super().__init__()
        squeeze, excite = nn.Conv2d(channels, inner, 1), nn.Conv2d(inner, channels, 1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), squeeze, act(), excite, gate())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


def inverted(
    cin: int,
    cout: int,
    expand: int,
    stride: int,
    kernel: int = 3,
    act: type[nn.Module] = nn.ReLU6,
    gate: type[nn.Module] | None = None,
) -> nn.Module:
    """Sandler et al., 2018: 1×1 wide, depthwise, [squeeze and excite,] 1×1 narrow."""
    inner = cin * expand
    squeeze = [SqueezeExcite(inner, max(cin // 4, 8), nn.ReLU, gate)] if gate else []
    body = nn.Sequential(
        conv(cin, inner, 1, act=act),
        conv(inner, inner, kernel, stride, groups=inner, act=act),
        *squeeze,
        conv(inner, cout, 1, act=None),
    )
    return Residual(body, act=False) if stride == 1 and cin == cout else body


def mobilenet_v2() -> nn.Module:
    widths = ((32, 16, 1, 1), (16, 24, 6, 2), (24, 24, 6, 1), (24, 32, 6, 2), (32, 64, 6, 2), (64, 96, 6, 1))
    blocks = [inverted(*row) for row in widths]
    return nn.Sequential(conv(3, 32, 3, 2, act=nn.ReLU6), *blocks, conv(96, 1280, 1, act=nn.ReLU6), classifier(1280))


def mobilenet_v3() -> nn.Module:
    """Howard et al., 2019: hard swish, squeeze and excitation with a hard gate."""
    blocks = [
        inverted(16, 16, 1, 2, act=nn.ReLU, gate=nn.Hardsigmoid),
        inverted(16, 24, 4, 2, act=nn.ReLU),
        inverted(24, 40, 4, 2, 5, nn.Hardswish, nn.Hardsigmoid),
        inverted(40, 40, 6, 1, 5, nn.Hardswish, nn.Hardsigmoid),
    ]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(240, 1024), nn.Hardswish(), nn.Linear(1024, 1000)]
    return nn.Sequential(conv(3, 16, 3, 2, act=nn.Hardswish), *blocks, conv(40, 240, 1, act=nn.Hardswish), *head)


def efficientnet_b0() -> nn.Module:
    """Tan and Le, 2019: SiLU, squeeze and excitation."""
    rows = ((32, 16, 1, 1, 3), (16, 24, 6, 2, 3), (24, 24, 6, 1, 3), (24, 40, 6, 2, 5), (40, 80, 6, 2, 3))
    blocks = [inverted(*row, nn.SiLU, nn.Sigmoid) for row in rows]
    return nn.Sequential(conv(3, 32, 3, 2, act=nn.SiLU), *blocks, conv(80, 320, 1, act=nn.SiLU), classifier(320))


def vgg16() -> nn.Module:
    """Simonyan and Zisserman, 2014, for pictures of 64×64."""
    layers: list[nn.Module] = []
    cin = 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            layers += [nn.Conv2d(cin, width, 3, 1, 1), nn.ReLU()]
            cin = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Linear(512 * 2 * 2, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1000)]
    return nn.Sequential(*layers, nn.Flatten(), *head)


class RepVggBlock(nn.Module):
    """Ding et al., 2021, as trained: 3×3, 1×1 and identity in parallel, each with its normalisation."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.dense, self.point = conv(cin, cout, 3, stride, act=None), conv(cin, cout, 1, stride, act=None)
        self.identity = nn.BatchNorm2d(cin) if cin == cout and stride == 1 else None

    def forward(self, x: Tensor) -> Tensor:
        total = self.dense(x) + self.point(x)
        return functional.relu(total + self.identity(x) if self.identity else total)


def repvgg() -> nn.Module:
    """Before re-parameterisation, and ended by a pooling that fits maps of 4×4."""
    rows = ((3, 48, 2), (48, 48, 2), (48, 48, 1), (48, 96, 2), (96, 96, 1), (96, 192, 2))
    return nn.Sequential(*(RepVggBlock(*row) for row in rows), nn.AvgPool2d(4), nn.Conv2d(192, 1000, 1))


class C2f(nn.Module):
    """The split block of YOLOv8: half of the channels go through residual bottlenecks, all are joined."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        half = channels // 2
        self.first = conv(channels, channels, 1, act=nn.SiLU)
        self.blocks = nn.ModuleList(
            Residual(nn.Sequential(conv(half, half, act=nn.SiLU), conv(half, half, act=nn.SiLU)), act=False)
            for _ in range(blocks)
        )
        self.last = conv(half * (2 + blocks), channels, 1, act=nn.SiLU)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.first(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.last(torch.cat(parts, 1))


class Yolo(nn.Module):
    """YOLOv8's manner: SiLU, C2f, SPPF, a top-down neck, and boxes decoded inside the network."""

    def __init__(self, classes: int = 4, bins: int = 16) -> None:
        super().__init__()
        self.classes, self.bins = classes, bins
        self.stem = nn.Sequential(conv(3, 16, 3, 2, act=nn.SiLU), conv(16, 32, 3, 2, act=nn.SiLU), C2f(32, 1))
        self.p3 = nn.Sequential(conv(32, 64, 3, 2, act=nn.SiLU), C2f(64, 1))
        self.p4 = nn.Sequential(conv(64, 64, 3, 2, act=nn.SiLU), C2f(64, 1))
        self.sppf = conv(256, 64, 1, act=nn.SiLU)
        self.neck = conv(128, 64, 1, act=nn.SiLU)
        self.heads = nn.ModuleList(nn.Conv2d(64, 4 * bins + classes, 1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        p3 = self.p3(self.stem(x))
        pools = [self.p4(p3)]
        for _ in range(3):
            pools.append(functional.max_pool2d(pools[-1], 5, 1, 2))
        p4 = self.sppf(torch.cat(pools, 1))
        p3 = self.neck(torch.cat([functional.interpolate(p4, scale_factor=2.0), p3], 1))
        maps = [head(level).flatten(2) for head, level in zip(self.heads, (p3, p4), strict=True)]
        box, scores = torch.cat(maps, 2).split((4 * self.bins, self.classes), 1)
        count = box.shape[-1]
        box = box.view(1, 4, self.bins, count).transpose(1, 2).softmax(1)
        steps = torch.arange(self.bins, dtype=torch.float32).view(1, self.bins, 1, 1)
        return torch.cat([(box * steps).sum(1), scores.sigmoid()], 1)


class UNet(nn.Module):
    """Ronneberger et al., 2015, with padding; up by deconvolution with kernel = stride."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList(nn.Sequential(conv(i, o), conv(o, o)) for i, o in ((3, 16), (16, 32), (32, 64)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, i // 2, 2, 2) for i in (64, 32))
        self.join = nn.ModuleList(conv(i, i // 2) for i in (64, 32))
        self.last = nn.Conv2d(16, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
            x = functional.max_pool2d(x, 2)
        x = skips.pop()
        for up, join in zip(self.up, self.join, strict=True):
            x = join(torch.cat([up(x), skips.pop()], 1))
        return self.last(x)


class AttentionBlock(nn.Module):
    """A transformer encoder's layer, normalised first (Dosovitskiy et al., 2020)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        weights = (q @ k.transpose(-2, -1) / (width // self.heads) ** 0.5).softmax(-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(batch, tokens, width))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Dosovitskiy et al., 2020, for pictures of 64×64; tokens are averaged instead of led by a class token."""

    def __init__(self, width: int = 64, depth: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.position = nn.Parameter(torch.zeros(1, 16, width))
        self.blocks = nn.Sequential(*(AttentionBlock(width, 4) for _ in range(depth)))
        self.head = nn.Linear(width, 1000)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.blocks(tokens).mean(1))


class ConvNextBlock(nn.Module):
    """Liu et al., 2022: depthwise 7×7, then channels last."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, 1, 3, groups=width)
        self.norm, self.wide, self.narrow = (
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.narrow(functional.gelu(self.wide(y))).permute(0, 3, 1, 2)


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 64, 4, 4), ConvNextBlock(64), nn.Conv2d(64, 128, 2, 2), ConvNextBlock(128), classifier(128)
    )


class RetinaNet(nn.Module):
    """Lin et al., 2017, on ResNet-18: maps grow to the sizes of the finer ones; shared heads."""

    def __init__(self, anchors: int = 9, classes: int = 4) -> None:
        super().__init__()
        stages = list(resnet(basic_block, 1, (1, 1, 1, 1)).children())
        self.stages = nn.ModuleList([nn.Sequential(*stages[:3]), stages[3], stages[4]])
        self.lateral = nn.ModuleList(nn.Conv2d(c, 64, 1) for c in (128, 256, 512))
        self.tower = nn.Sequential(conv(64, 64), conv(64, 64))
        self.boxes, self.scores = nn.Conv2d(64, 4 * anchors, 3, 1, 1), nn.Conv2d(64, classes * anchors, 3, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        levels = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            levels.append(lateral(x))
        for fine in (1, 0):
            size = (levels[fine].shape[2], levels[fine].shape[3])
            levels[fine] = levels[fine] + functional.interpolate(levels[fine + 1], size=size)
        return tuple(head(self.tower(level)) for level in levels for head in (self.boxes, self.scores))


class ShuffleUnit(nn.Module):
    """Ma et al., 2018: half of the channels pass, both halves are shuffled."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv(half, half, 1), conv(half, half, 3, groups=half, act=None), conv(half, half, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        y = torch.cat([left, self.branch(right)], 1)
        batch, channels, height, width = y.shape
        y = y.view(batch, 2, channels // 2, height, width).transpose(1, 2)
        return y.reshape(batch, channels, height, width)


def shufflenet_v2() -> nn.Module:
    return nn.Sequential(
        conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1), ShuffleUnit(24), conv(24, 48, 3, 2), ShuffleUnit(48), classifier(48)
    )


class DenseLayer(nn.Module):
    """Huang et al., 2016: normalisation and activation before the convolution, its input kept."""

    def __init__(self, cin: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(cin), nn.ReLU(), nn.Conv2d(cin, growth, 3, 1, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet() -> nn.Module:
    """Pictures of 64×64; the last maps are 8×8, which a pooling of the DLA still averages."""
    return nn.Sequential(
        conv(3, 32, 7, 2),
        *(DenseLayer(32 + 16 * i, 16) for i in range(3)),
        conv(80, 40, 1),
        nn.AvgPool2d(4),
        *(DenseLayer(40 + 16 * i, 16) for i in range(3)),
        nn.AvgPool2d(8),
        nn.Conv2d(88, 1000, 1),
    )


BUILDERS: dict[str, Callable[[], nn.Module]] = {
    "MobileNetV1": mobilenet_v1,
    "MobileNetV2": mobilenet_v2,
    "MobileNetV3": mobilenet_v3,
    "EfficientNet-B0": efficientnet_b0,
    "VGG-16": vgg16,
    "RepVGG": repvgg,
    "YOLO": Yolo,
    "U-Net": UNet,
    "ViT": ViT,
    "ConvNeXt": convnext,
    "RetinaNet": RetinaNet,
    "ShuffleNetV2": shufflenet_v2,
    "DenseNet": densenet,
}
