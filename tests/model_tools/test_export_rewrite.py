"""Whatever torch writes into ONNX becomes the same function as a deploy graph, or is refused by name."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from unina.compress.calibrate import calibrate
from unina.dla.check import check
from unina.dla.graph_reader import read_graph
from unina.dla.network import read_network
from unina.evaluate import HostMaps, OnnxMaps
from unina.evaluate.raw_maps import dequantised
from unina.export.deploy_network import DeployNetwork
from unina.export.lower import lower
from unina.export.pixels import IMAGENET_MEAN, IMAGENET_STD, Normalisation
from unina.export.rewrite import RewriteError, before_decoding, deploy_network

SIDE = 16


class Function(nn.Module):
    """A stem of torch, and a function behind it."""

    def __init__(self, function: object, *layers: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList(layers)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.stem(x), *self.layers)  # type: ignore[operator]


def slopes() -> nn.PReLU:
    """A slope for each channel, below and above zero."""
    layer = nn.PReLU(8)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 1, 8))
    return layer


def steep() -> nn.PReLU:
    """A slope for each channel, one above 1."""
    layer = slopes()
    with torch.no_grad():
        layer.weight[3] = 1.5
    return layer


def scattered(network: nn.Module) -> nn.Module:
    """Weights and statistics as after a training."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.reset_parameters()  # the same whichever tests are chosen
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def file_of(network: nn.Module, folder: Path, opset: int = 17) -> Path:
    """Without torch's own folding, so that what is written is what the module says."""
    torch.onnx.export(
        scattered(network),
        (torch.zeros(1, 3, SIDE, SIDE),),
        folder / "network.onnx",
        dynamo=False,
        opset_version=opset,
        input_names=["x"],
        output_names=["y"],
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    return folder / "network.onnx"


def rewritten(file: Path) -> DeployNetwork:
    network = read_network(file)
    return deploy_network(network, before_decoding(network, network.outputs))


def x(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 3, SIDE, SIDE)).astype(np.float32)


FUNCTIONS: dict[str, Function] = {
    "batch norm behind a convolution": Function(lambda x, norm: norm(x).relu(), nn.BatchNorm2d(8)),
    "batch norm before one": Function(lambda x, n, c: c(n(x.relu()).relu()), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1)),
    "batch norm of a tensor that others read": Function(lambda x, norm: norm(x) + x, nn.BatchNorm2d(8)),
    "numbers added, subtracted, multiplied, divided": Function(lambda x: (3 - (x * 2 + 1) / 4).relu() - 0.5),
    "a number a channel": Function(lambda x: x.relu() * torch.arange(1.0, 9).reshape(1, 8, 1, 1) + 1),
    "relu6": Function(lambda x: F.relu6(x * 9)),
    "hardtanh from 0": Function(lambda x: F.hardtanh(x * 9, 0.0, 2.5)),
    "global average, linear": Function(lambda x, fc: fc(F.adaptive_avg_pool2d(x, 1).flatten(1)), nn.Linear(8, 5)),
    "mean, linear, relu, linear": Function(
        lambda x, a, b: b(a(x.mean((2, 3))).relu()), nn.Linear(8, 6), nn.Linear(6, 4)
    ),
    "mean that keeps its dimensions": Function(lambda x, c: c(x.mean((2, 3), keepdim=True)), nn.Conv2d(8, 4, 1)),
    "linear over a flattened map": Function(lambda x, p, fc: fc(p(x).flatten(1)), nn.MaxPool2d(4), nn.Linear(128, 5)),
    "linear without bias": Function(lambda x, fc: fc(x.mean((2, 3))), nn.Linear(8, 5, bias=False)),
    "view and squeeze": Function(lambda x, fc: fc(F.adaptive_avg_pool2d(x, 1).squeeze(3).squeeze(2)), nn.Linear(8, 5)),
    "average of more than there is": Function(lambda x, c: c(F.avg_pool2d(x, 99, ceil_mode=True)), nn.Conv2d(8, 8, 1)),
    "average of windows": Function(lambda x: F.avg_pool2d(x, 2)),
    "average with padding that counts": Function(lambda x: F.avg_pool2d(x, 3, 2, 1)),
    "max pool": Function(lambda x: F.max_pool2d(x, 3, 2, 1)),
    "zeros around a convolution": Function(lambda x, c: c(F.pad(x, (0, 1, 2, 0))), nn.Conv2d(8, 8, 3, 2, groups=4)),
    "nearest, by a factor": Function(lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest")),
    "nearest, to a size": Function(lambda x: F.interpolate(x, size=(48, 32), mode="nearest")),
    "concatenation and sum": Function(lambda x, c: torch.cat([x, c(x) + x], 1), nn.Conv2d(8, 8, 3, padding=1)),
    "dilated and grouped": Function(lambda x, c: c(x), nn.Conv2d(8, 16, 3, padding=2, dilation=2, groups=8)),
    "halves": Function(lambda x, c: torch.cat([c(x.chunk(2, 1)[1]), x.chunk(2, 1)[0]], 1), nn.Conv2d(4, 4, 1)),
    "unequal parts": Function(lambda x: torch.cat(x.split((1, 5, 2), 1)[::-1], 1)),
    "a range of channels": Function(lambda x: x[:, 2:7].relu() + x[:, -5:]),
    "difference": Function(lambda x, c: c(x).relu() - c(x.relu()), nn.Conv2d(8, 8, 1)),
    "difference of a tensor that others read": Function(lambda x: (x.relu() - x) + x),
    "max pool, rounded up": Function(lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)),
    "max pool with padding, rounded up": Function(lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True)),
    "global maximum": Function(lambda x, c: F.adaptive_max_pool2d(c(x), 1), nn.Conv2d(8, 8, (1, 4))),
    "maximum over height and width": Function(lambda x: x.amax((2, 3), keepdim=True)),
    "leaky relu": Function(lambda x: F.leaky_relu(x, 0.1)),
    "leaky relu, upwards": Function(lambda x: F.leaky_relu(x, -0.5)),
    "prelu": Function(lambda x, p: p(x), slopes()),
    "rows and columns cut off": Function(lambda x: x[:, :, 3:-2, 1:]),
    "every other pixel": Function(lambda x: x[:, :, 1::2, ::3]),
    "space to depth, by slices": Function(lambda x: torch.cat([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)),
    "channel shuffle": Function(
        lambda x, c: c(x.reshape(1, 2, 4, SIDE, SIDE).transpose(1, 2).flatten(1, 2)), nn.Conv2d(8, 4, 1)
    ),
    "channels apart, in other parts": Function(
        lambda x: x.reshape(1, 2, 2, 2, SIDE, SIDE).permute(0, 3, 1, 2, 4, 5).reshape(x.shape).relu()
    ),
    "dropout": Function(lambda x, d: d(x).relu(), nn.Dropout(0.5)),
    "sigmoid": Function(lambda x: x.sigmoid().relu()),
    "tanh": Function(lambda x: x.tanh() + x),
    "silu": Function(lambda x, c: F.silu(c(F.silu(x))), nn.Conv2d(8, 8, 3)),
    "size, sine, cosine, arc tangent": Function(lambda x: x.abs() + x.sin() + x.cos() + x.atan()),
    "hard sigmoid": Function(lambda x: F.hardsigmoid(x * 4)),
    "hard swish": Function(lambda x: F.hardswish(x * 4)),
    "leaky relu, steep": Function(lambda x: F.leaky_relu(x, 1.5)),
    "prelu of one slope": Function(lambda x, p: p(x), nn.PReLU()),
    "product of maps": Function(lambda x: x * x.relu()),
    "square": Function(lambda x: (x**2).relu()),
    "squeeze and excitation": Function(lambda x, c: x * c(x.mean((2, 3), keepdim=True)).sigmoid(), nn.Conv2d(8, 8, 1)),
    "gate first": Function(lambda x, c: c(x.mean((2, 3), keepdim=True)).sigmoid() * x, nn.Conv2d(8, 8, 1)),
    "a gate of every pixel": Function(lambda x, c: x * c(x).sigmoid(), nn.Conv2d(8, 1, 3, padding=1)),
    "a gate of everything": Function(lambda x, c: x * c(x.mean((2, 3), keepdim=True)), nn.Conv2d(8, 1, 1)),
    "broadcast sum": Function(lambda x: x + x.mean((2, 3), keepdim=True)),
    "broadcast difference": Function(lambda x: x - x.mean((2, 3), keepdim=True)),
    "difference from a broadcast": Function(lambda x: x.mean((2, 3), keepdim=True) - x),
    "larger and smaller": Function(lambda x, c: torch.maximum(x, c(x)) + torch.minimum(x, c(x)), nn.Conv2d(8, 8, 1)),
    "transposed convolution": Function(lambda x, c: c(x).relu(), nn.ConvTranspose2d(8, 6, 2, 2)),
    "transposed, overlapping": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 6, 3, 2)),
    "transposed, narrower than its stride": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 6, (2, 1), 3)),
    "transposed, with padding": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 6, 4, 2, 1)),
    "transposed, with output padding": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 6, 3, 2, 1, 1)),
    "transposed, cut above and left alone": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 6, 3, 3, 1, 2)),
    "a gate, spread before": Function(
        lambda x, c: x * c(x.mean((2, 3), keepdim=True)).sigmoid().expand_as(x), nn.Conv2d(8, 8, 1)
    ),
    "mean over channels": Function(lambda x: x * x.mean(1, keepdim=True).sigmoid()),
    "global average of a large map": Function(
        lambda x, c: c(F.interpolate(x, scale_factor=4.0).mean((2, 3), keepdim=True)), nn.Conv2d(8, 8, 1)
    ),
    "pooled, and bilinear to the whole": Function(
        lambda x, c: c(x) + F.interpolate(x.mean((2, 3), keepdim=True), size=(16, 16), mode="bilinear"),
        nn.Conv2d(8, 8, 1),
    ),
    "transposed, unequal": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 6, (5, 4), (3, 2), (1, 1), (0, 0))),
    "transposed, in groups": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 12, 4, 2, 1, groups=4)),
    "transposed, depthwise": Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 8, 2, 2, groups=8, bias=False)),
    "pixel shuffle": Function(lambda x: F.pixel_shuffle(x, 2)),
    "bilinear": Function(lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear")),
    "bilinear, to a size": Function(lambda x: F.interpolate(x, size=(64, 48), mode="bilinear")),
    "padded average": Function(lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    "rows apart": Function(lambda x: torch.cat(x.split((5, 5, 6), 2)[:2], 1)),
    "columns apart": Function(lambda x: torch.cat(x.chunk(2, 3), 1)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("opset", [11, 18])
def test_a_rewritten_network_is_the_same_function(name: str, opset: int, tmp_path: Path) -> None:
    file = file_of(FUNCTIONS[name], tmp_path, opset)
    model = rewritten(file).to_onnx()
    read_graph(model)  # raises unless it is a deploy graph
    expected, found = OnnxMaps(file)(x())["y"], OnnxMaps(model)(x())["y"]
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_what_can_be_folded_costs_no_layer(tmp_path: Path) -> None:
    for name in ("batch norm behind a convolution", "numbers added, subtracted, multiplied, divided"):
        ops = [step.op for step in rewritten(file_of(FUNCTIONS[name], tmp_path)).steps]
        assert ops == (["Conv", "Relu"] if "batch" in name else ["Conv", "Relu", "Conv"])


REFUSED: dict[str, tuple[Function, str]] = {
    "gelu": (Function(F.gelu), r"node /Div \(Div\)|node /Erf \(Erf\): does not run on the DLA"),
    "quotient of maps": (Function(lambda x: x / x.relu()), r"\(Div\): divides by a computed map"),
    "a number divided by a map": (Function(lambda x: 1 / x), r"\(Reciprocal\): does not run on the DLA"),
    "third power": (Function(lambda x: x**3), r"\(Pow\): takes the power 3"),
    "transposition": (
        Function(lambda x: x.permute(0, 2, 3, 1)),
        r"\(Transpose\): turns height or width into something else",
    ),
    "tokens": (
        Function(lambda x: x.flatten(2)),
        r"does more than flattening: let the network end before it",
    ),
    "pixels among channels": (
        Function(lambda x: x.reshape(1, 4, 2, SIDE, SIDE).permute(0, 1, 3, 2, 4).reshape(1, 4, 2 * SIDE, SIDE).relu()),
        r"\(Transpose\): turns height or width into something else",
    ),
    "a map with its channels on two axes": (
        Function(lambda x: x.reshape(1, 4, 2, SIDE, SIDE).relu()),
        r"reads .*, a map whose channels stand on several axes",
    ),
    "nothing of a map": (Function(lambda x: x + x.relu() * 0.0), r"multiplies its map by 0"),
    "mean over one axis": (Function(lambda x: x.mean(2, keepdim=True)), r"is no average over height and width"),
    "clip below zero": (Function(lambda x: x.clamp(-1, 1)), r"clips to -1.0 … 1.0; the DLA clips from 0"),
    "larger than a constant": (Function(lambda x: torch.minimum(x, torch.tensor(2.0))), r"compares with a constant"),
    "average, rounded up": (
        Function(lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True)),
        r"rounds its size up \(ceil_mode\)",
    ),
    "transposed and dilated": (Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 8, 2, 2, dilation=2)), r"is dilated"),
    "transposed to an odd size": (
        Function(lambda x, c: c(x), nn.ConvTranspose2d(8, 8, 3, 2, 1)),
        r"writes 31×31, no multiple of its stride",
    ),
    "slopes, one steep": (Function(lambda x, p: p(x), steep()), r"has a slope of 1.5; above 1"),
    "nothing left": (Function(lambda x: x - x), r"is a map minus itself"),
    "bilinear, aligned": (
        Function(lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)),
        r"resizes .*linear.*; take nearest, or linear with align_corners=False",
    ),
    "bilinear, far": (
        Function(lambda x: F.interpolate(x, scale_factor=8.0, mode="bilinear")),
        r"resizes .*linear.*up to 4 times",
    ),
    "bilinear, by one and a half": (
        Function(lambda x: F.interpolate(x, scale_factor=1.5, mode="bilinear")),
        r"by whole factors",
    ),
    "constant map": (Function(lambda x: x + torch.arange(SIDE * 1.0)), r"differs within a channel"),
    "one channel spread over a constant": (
        Function(lambda x, c: c(x) * torch.arange(1.0, 9).reshape(1, 8, 1, 1), nn.Conv2d(8, 1, 1)),
        r"spreads 1 channels over a constant's 8",
    ),
    "ones around": (
        Function(lambda x, c: c(F.pad(x, (1, 1, 1, 1), value=1)), nn.Conv2d(8, 8, 3)),
        r"with zeros around",
    ),
    "large padded average": (
        Function(lambda x: F.avg_pool2d(x, 9, 2, 1, count_include_pad=False)),
        r"leaves its padding out of an average over \(9, 9\)",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_is_refused_with_the_node_and_what_to_do(name: str, tmp_path: Path) -> None:
    network, message = REFUSED[name]
    file = file_of(network, tmp_path)
    with pytest.raises(RewriteError, match=message):
        rewritten(file)


def test_tensorflows_paddings_become_numbers() -> None:
    for how, pads in (("SAME_UPPER", [0, 0, 1, 1]), ("SAME_LOWER", [1, 1, 0, 0]), ("VALID", [0, 0, 0, 0])):
        weight = helper.make_tensor("w", TensorProto.FLOAT, (4, 3, 3, 3), np.arange(108.0))
        node = helper.make_node("Conv", ["x", "w"], ["y"], "n", auto_pad=how, strides=[2, 2])
        values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, SIDE, SIDE))]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        graph = helper.make_graph([node], "g", values, outputs, [weight])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        (step,) = deploy_network(read_network(model), ["y"]).steps
        assert step.attributes["pads"] == pads
        found = OnnxMaps(deploy_network(read_network(model), ["y"]).to_onnx())(x())["y"]
        np.testing.assert_allclose(found, OnnxMaps(model)(x())["y"], rtol=1e-5)


def test_what_torch_writes_otherwise_is_the_same_function_too() -> None:
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, SIDE, SIDE))]
    for nodes in (
        [helper.make_node("Relu", ["x"], ["r"], "a"), helper.make_node("Sum", ["r", "x", "r"], ["y"], "b")],
        [helper.make_node("SpaceToDepth", ["x"], ["y"], "a", blocksize=2)],
        [helper.make_node("GlobalMaxPool", ["x"], ["y"], "a")],
        [helper.make_node("Slice", ["x", "s", "e"], ["y"], "a")],
    ):
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
        bounds = {"s": np.array([0, 0, 2, -9]), "e": np.array([1, 3, 99, -1])}
        given = [
            numpy_helper.from_array(values, name) for name, values in bounds.items() if nodes[0].op_type == "Slice"
        ]
        graph = helper.make_graph(nodes, "g", values, outputs, given)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        found = OnnxMaps(deploy_network(read_network(model), ["y"]).to_onnx())(x())["y"]
        np.testing.assert_allclose(found, OnnxMaps(model)(x())["y"], rtol=1e-5, atol=1e-6)


def test_a_flattened_map_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"output y: is .*, a map, flattened; name that one \(--outputs\)"):
        rewritten(file_of(Function(lambda x: x.flatten(1)), tmp_path))


def test_a_factor_for_each_column_is_none_for_each_channel() -> None:
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 3, 3))]
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["a"], "a"),
        helper.make_node("Flatten", ["a"], ["b"], "b"),  # 1×3, which ONNX aligns with the columns
        helper.make_node("Mul", ["x", "b"], ["y"], "c"),
    ]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", values, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    with pytest.raises(RewriteError, match=r"node c \(Mul\): spreads"):
        deploy_network(read_network(model), ["y"])


def test_a_large_average_is_one_that_the_dla_runs(tmp_path: Path) -> None:
    network = rewritten(file_of(FUNCTIONS["global average of a large map"], tmp_path))
    kernels = [tuple(step.attributes["kernel_shape"]) for step in network.steps if step.op == "Conv"]
    assert kernels[1:3] == [(8, 8), (8, 8)]
    assert check(read_network(network.to_onnx())).on_dla


def test_names_are_such_as_a_list_of_layers_can_spell() -> None:
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, SIDE, SIDE))]
    nodes = [helper.make_node("Tanh", ["x"], ["a"], "n,5"), helper.make_node("Tanh", ["a"], ["y"], "n'5")]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "g", values, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    assert [step.name for step in deploy_network(read_network(model), ["y"]).steps] == ["n_5", "n_5_"]


def test_one_tensor_cannot_be_two_outputs_and_the_picture_none() -> None:
    images = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, SIDE, SIDE))
    nodes = [helper.make_node("Relu", ["x"], ["y"], "a"), helper.make_node("Identity", ["y"], ["z"], "b")]
    nodes.append(helper.make_node("Identity", ["x"], ["same"], "c"))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("y", "z", "same")]
    graph = helper.make_graph(nodes, "g", [images], values)
    network = read_network(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    with pytest.raises(ValueError, match="y, z: two of them are the same tensor"):
        deploy_network(network, ["y", "z"])
    with pytest.raises(ValueError, match="output same: is the picture itself"):
        deploy_network(network, ["same"])
    assert deploy_network(network, ["z"]).outputs == ("z",)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("stem", "exact"),
    [
        (nn.Conv2d(3, 8, 4, 4), True),
        (nn.Conv2d(3, 6, 3, 1, 0, groups=3), True),
        (nn.Conv2d(3, 8, 3, 2, 1), False),
        (nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(3, 8, 3, padding=1)), True),
    ],
    ids=["patches", "a group a colour", "padded", "pooled first"],
)
def test_pixels_are_normalised_by_the_first_layer(stem: nn.Module, exact: bool, tmp_path: Path) -> None:
    class Stem(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = stem

        def forward(self, x: Tensor) -> Tensor:
            return self.stem(x)

    network = rewritten(file_of(Stem(), tmp_path))
    normalisation = Normalisation(IMAGENET_MEAN, IMAGENET_STD)
    folded, notes = normalisation.fold(network)
    q = np.random.default_rng(0).integers(-128, 128, (1, 3, SIDE, SIDE)).astype(np.float32)
    pixels = (q + 128 - np.reshape(IMAGENET_MEAN, (1, 3, 1, 1))) / np.reshape(IMAGENET_STD, (1, 3, 1, 1))
    expected = OnnxMaps(network.to_onnx())(pixels.astype(np.float32))["y"]
    found = OnnxMaps(folded.to_onnx())(q)["y"]
    inner = slice(None) if exact else slice(1, -1)
    np.testing.assert_allclose(found[..., inner, inner], expected[..., inner, inner], rtol=1e-3, atol=1e-4)
    assert bool(notes) != exact
    assert all("its padding stands for pixel 128, where the network was trained with 123.675" in note for note in notes)
    assert np.allclose(found, expected, rtol=1e-3, atol=1e-4) == exact


def test_pixels_that_need_nothing_change_nothing() -> None:
    network = DeployNetwork("x", (1, 3, 8, 8), (), ("x",))
    assert Normalisation((128, 128, 128), (1, 1, 1)).fold(network) == (network, ())
    with pytest.raises(ValueError, match="each std is above zero"):
        Normalisation(std=(1, 0, 1))


def test_the_graph_is_opset_17_whatever_came(tmp_path: Path) -> None:
    model = rewritten(file_of(Function(lambda x: x.relu()), tmp_path, 11)).to_onnx()
    assert [entry.version for entry in model.opset_import] == [17]
    onnx.checker.check_model(model, full_check=True)


CAPPED: dict[str, tuple[Function, int]] = {
    "with what is not clipped": (Function(lambda x: F.relu6(x) + x), 2),
    "with another cap": (Function(lambda x: F.relu6(x) + F.hardtanh(x * 2, 0.0, 3.0)), 3),
    "with its like": (Function(lambda x: F.relu6(x) + F.relu6(x * 2)), 1),
    "joined after a pooling": (Function(lambda x: torch.cat([F.max_pool2d(F.relu6(x), 2), F.avg_pool2d(x, 2)], 1)), 2),
    "joined with its like": (
        Function(lambda x, c: torch.cat([F.relu6(x), F.relu6(x * 2)], 1) + c(x), nn.Conv2d(8, 16, 1)),
        2,
    ),
    "before a convolution": (Function(lambda x, c: c(F.relu6(x)), nn.Conv2d(8, 8, 1)), 0),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CAPPED)
def test_a_clipped_tensor_runs_in_int8_whatever_it_meets(name: str, tmp_path: Path) -> None:
    network, copies = CAPPED[name]
    file = file_of(network, tmp_path)
    steps = rewritten(file)
    assert sum("_for_" in step.output for step in steps.steps) == copies
    model, pixels = steps.to_onnx(), np.rint(10 * x()).astype(np.float32)
    expected, found = OnnxMaps(file)(pixels)["y"], OnnxMaps(model)(pixels)["y"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    scales = calibrate(model, [pixels], cut_raw_maps=False)
    host = HostMaps(lower(read_graph(model), scales))  # refuses a clipped tensor whose scale became wider
    integers = dequantised(host(pixels.astype(np.int8)), host.scales)["y"]
    assert np.abs(integers - expected).max() < 6 * scales["y"]
