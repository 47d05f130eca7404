"""Public architectures in plain torch, written down from their papers; weights are zeros, only the graph matters."""

import io
import warnings
from collections.abc import Callable

import onnx
import torch
from torch import Tensor, nn


def onnx_of(build: Callable[[], nn.Module], height: int, width: int, opset: int = 17) -> onnx.ModelProto:
    """The network as ONNX over `images` 1×3×height×width, as PyTorch users export it."""
    with torch.device("meta"):  # no time is spent on random weights
        model = build().eval()
    model = model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.zero_()
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.zeros(1, 3, height, width),),
            file,
            dynamo=False,  # the tracer: a twentieth of the time
            opset_version=opset,
            input_names=["images"],
        )
    return onnx.load_model_from_string(file.getvalue())


def conv(
    cin: int, cout: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: type[nn.Module] | None = nn.ReLU
) -> nn.Sequential:
    """Convolution, batch normalisation and an activation."""
    layers: list[nn.Module] = [
        nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(cout),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


class Residual(nn.Module):
    """act(body(x) + shortcut(x)); `act` None for inverted residuals."""

    def __init__(self, body: nn.Module, shortcut: nn.Module | None = None, act: bool = True) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut or nn.Identity()
        self.act = nn.ReLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.body(x) + self.shortcut(x))


def basic_block(cin: int, channels: int, stride: int) -> Residual:
    """ResNet-18/34: two 3×3."""
    body = nn.Sequential(conv(cin, channels, 3, stride), conv(channels, channels, act=None))
    return Residual(body, conv(cin, channels, 1, stride, act=None) if cin != channels or stride > 1 else None)


def bottleneck(cin: int, channels: int, stride: int) -> Residual:
    """ResNet-50 v1.5: 1×1, 3×3 (it strides), 1×1 to four times the channels."""
    out = 4 * channels
    body = nn.Sequential(conv(cin, channels, 1), conv(channels, channels, 3, stride), conv(channels, out, 1, act=None))
    return Residual(body, conv(cin, out, 1, stride, act=None) if cin != out or stride > 1 else None)


def resnet_stem() -> nn.Sequential:
    return nn.Sequential(conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1))


def resnet(
    block: Callable[[int, int, int], Residual], expansion: int, blocks: tuple[int, ...] = (3, 4, 6, 3)
) -> nn.Sequential:
    """He et al., 2015, without classifier."""
    layers: list[nn.Module] = [resnet_stem()]
    cin = 64
    for stage, count in enumerate(blocks):
        channels = 64 << stage
        for i in range(count):
            layers.append(block(cin, channels, 2 if i == 0 and stage > 0 else 1))
            cin = channels * expansion
    return nn.Sequential(*layers)


def classifier(channels: int, classes: int = 1000) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def resnet34() -> nn.Module:
    return nn.Sequential(resnet(basic_block, 1), classifier(512))


def resnet50() -> nn.Module:
    return nn.Sequential(resnet(bottleneck, 4), classifier(2048))
