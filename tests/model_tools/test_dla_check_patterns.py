"""The check's advice: patterns go by the names that modellers use, and what is advised computes the same."""

import io

import pytest
import torch
from dla_rule_pairs import MAPS
from torch import nn

from unina.dla.check import Report, check
from unina.dla.network import read_network


def same(model: nn.Module, advised: nn.Module, *shape: int) -> None:
    x = torch.randn(*shape)
    assert torch.allclose(model(x).flatten(), advised(x).flatten(), atol=1e-5)


def advice_for(model: nn.Module, *shape: int) -> Report:
    file = io.BytesIO()
    torch.onnx.export(model.eval(), (torch.zeros(*shape),), file, dynamo=False, opset_version=17)
    return check(read_network(file.getvalue()))


def test_the_advice_on_global_averages_computes_the_same() -> None:
    average = nn.Sequential(nn.Conv2d(3, 8, 1), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 4, 1))
    for size, text, pools in (
        (7, "AveragePool of 7×7 ", [7]),
        (20, "AveragePool 5×5, then 4×4 ", [5, 4]),
        (26, "", []),
    ):
        report = advice_for(average, 1, 3, size, size)
        assert text in report.fixes[0].text
        if pools:
            advised = nn.Sequential(average[0], *map(nn.AvgPool2d, pools), average[2])
            same(average, advised, 1, 3, size, size)
            assert advice_for(advised, 1, 3, size, size).on_dla
        else:
            assert "depthwise convolution of 26×26" in report.fixes[0].text


def test_the_advice_on_linear_layers_computes_the_same() -> None:
    linear = nn.Linear(8 * 3 * 5, 4)
    window = nn.Conv2d(8, 4, (3, 5))
    window.weight.data, window.bias.data = linear.weight.data.view(4, 8, 3, 5), linear.bias.data
    model = nn.Sequential(nn.ReLU(), nn.Flatten(), linear)
    assert "a convolution of 3×5" in advice_for(model, 1, 8, 3, 5).fixes[0].text
    same(model, nn.Sequential(nn.ReLU(), window), 1, 8, 3, 5)
    assert advice_for(nn.Sequential(nn.ReLU(), window), 1, 8, 3, 5).on_dla


def test_the_advice_on_pixel_shuffles_computes_the_same() -> None:
    shuffle = nn.PixelShuffle(2)
    deconv = nn.ConvTranspose2d(8, 2, 2, 2, bias=False)
    deconv.weight.data.zero_()
    for channel in range(8):
        deconv.weight.data[channel, channel // 4, channel % 4 // 2, channel % 2] = 1
    assert "ConvTranspose with kernel = stride" in advice_for(shuffle, 1, 8, 3, 5).fixes[0].text
    same(shuffle, deconv, 1, 8, 3, 5)
    assert advice_for(deconv, 1, 8, 3, 5).on_dla


@pytest.mark.parametrize(
    ("model", "text"),
    [
        (nn.Mish(), "Mish: use ReLU"),
        (nn.Hardswish(), "HardSwish: use ReLU"),
        (nn.SiLU(), "SiLU: use ReLU"),
        (nn.GELU(), "GELU: use ReLU"),
        (nn.InstanceNorm2d(8, affine=True), "use BatchNorm"),
        (nn.Sequential(nn.ConstantPad2d(1, 0.0), nn.Conv2d(8, 8, 3)), "give the padding to the convolution"),
        (nn.Conv2d(8, 8, 9, 9, 4), "patches of 9×9"),
        (nn.Sequential(nn.Flatten(2), nn.Softmax(-1)), "end at its raw maps"),
        (nn.Upsample(size=(9, 9)), "choose sizes whose ratio is whole"),
        (nn.Upsample(size=(12, 18)), "export scales 2×3"),
    ],
)
def test_patterns_are_called_by_the_names_that_modellers_use(model: nn.Module, text: str) -> None:
    fixes = advice_for(model, 1, 8, 6, 6).fixes
    assert len(fixes) == 1 and text in fixes[0].text, [fix.text for fix in fixes]


def test_hard_swish_in_pieces_needs_no_advice_where_all_its_pieces_run() -> None:
    class Pieces(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * torch.clamp(x + 3, 0, 6) / 6

    assert advice_for(Pieces(), *MAPS).on_dla
