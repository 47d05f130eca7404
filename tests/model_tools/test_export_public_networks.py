"""Public architectures, whole: as deploy graphs the same function, in integers what the Q/DQ graph says, or refused."""

import io
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from export_onnxruntime import run
from public_networks_more import BUILDERS
from torch import nn

from unina.compress.calibrate import calibrate
from unina.dla.check import check
from unina.dla.graph_reader import read_graph
from unina.dla.network import read_network
from unina.dla.precision import smooth_layers
from unina.evaluate import HostMaps
from unina.export.lower import lower
from unina.export.qdq import quantised_model
from unina.export.rewrite import RewriteError, before_decoding, deploy_network

SIDE = 64
ENDS = {"YOLO": ("/heads.0/Conv_output_0", "/heads.1/Conv_output_0")}
"""In front of what the DLA does not run."""
REFUSED = {
    "ConvNeXt": r"\(LayerNormalization\): does not run on the DLA",
    "ViT": r"\(LayerNormalization\): does not run on the DLA",
}

pytestmark = pytest.mark.filterwarnings("ignore")


def file_of(build: Callable[[], nn.Module]) -> onnx.ModelProto:
    """With random weights, and statistics that fit them."""
    torch.manual_seed(0)
    network = build()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    shape = (1, 3, SIDE, SIDE)  # the detectors' decoding knows a batch of 1 alone
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        with torch.no_grad():
            for _ in range(10):
                network.train()(40 * torch.randn(shape))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (torch.zeros(shape),), file, dynamo=False, opset_version=17, input_names=["images"]
        )
    return onnx.load_model_from_string(file.getvalue())


def ending_at(model: onnx.ModelProto, names: tuple[str, ...]) -> onnx.ModelProto:
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return model


@pytest.mark.parametrize("name", [name for name in BUILDERS if name not in REFUSED])
def test_a_public_network_is_the_same_function_and_runs_in_integers(name: str) -> None:
    file = file_of(BUILDERS[name])
    network = read_network(file)
    ends = before_decoding(network, ENDS.get(name, network.outputs))
    model = deploy_network(network, ends).to_onnx()
    noise = np.random.default_rng(0).normal(0, 40, (3, 1, 3, SIDE, SIDE))
    pictures = list(noise.round().clip(-128, 127).astype(np.float32))
    expected, found = run(ending_at(file, ends), pictures[0]), run(model, pictures[0])
    for end in ends:
        largest = np.abs(expected[end]).max()
        np.testing.assert_allclose(found[end].reshape(expected[end].shape), expected[end], atol=1e-4 * largest)

    scales, graph = calibrate(model, pictures, cut_raw_maps=False), read_graph(model)
    integers = HostMaps(lower(graph, scales, "half-even"))(pictures[0].astype(np.int8))
    quantised = run(quantised_model(model, scales), pictures[0])  # optimised: its integer kernels
    for end in ends:
        apart = np.abs(integers[end] - np.rint(quantised[end] / scales[end]))
        assert (apart <= 1).mean() > 0.95, end
        if not smooth_layers(graph):  # where a value was rounded to FP16, everything behind it may be a step away
            assert (apart == 0).mean() > 0.99, end
    assert check(read_network(model)).on_dla


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_for_the_dla_is_refused_by_name(name: str) -> None:
    network = read_network(file_of(BUILDERS[name]))
    with pytest.raises(RewriteError, match=REFUSED[name]):
        deploy_network(network, before_decoding(network, network.outputs))
