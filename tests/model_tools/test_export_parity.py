"""Parity: an exported graph that is not the trained network never becomes a bundle."""

import numpy as np
import onnx
import pytest
import torch
from export_small_graphs import every_operator, pictures
from torch import nn

from unina.compress.calibrate import calibrate
from unina.dla import read_graph
from unina.evaluate import OnnxMaps
from unina.export.lower import lower
from unina.export.parity import OutputParity, ParityError, measure_parity, require_onnx_parity, torch_maps
from unina.export.qdq import quantised_model


class Twin(nn.Module):
    """The ONNX graph behind a torch face, its first output moved by `shift`."""

    def __init__(self, model: onnx.ModelProto, shift: float) -> None:
        super().__init__()
        self.maps, self.shift = OnnxMaps(model), shift

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first, second = (torch.from_numpy(m) for m in self.maps(x.numpy()).values())
        return first + self.shift, second


def measure(shift: float) -> tuple[OutputParity, ...]:
    model = every_operator()
    inputs = pictures(model, 3)
    scales = calibrate(model, inputs)
    loadable = lower(read_graph(model), scales)
    qdq = quantised_model(model, scales)
    names = ("out0", "out1")
    return measure_parity(torch_maps(Twin(model, shift), names), names, model, qdq, loadable, scales, inputs)


def test_the_same_network_passes_and_int8_is_close() -> None:
    rows = measure(0.0)
    require_onnx_parity(rows)
    for row in rows:
        assert row.onnx_error == 0
        assert row.qdq_equal > 0.9 and row.qdq_within_one > 0.99
        assert row.host_snr_db > 25


@pytest.mark.parametrize("shift", [0.5, float("nan")])
def test_a_moved_output_is_named(shift: float) -> None:
    rows = measure(shift)
    np.testing.assert_allclose(rows[0].onnx_error, shift, rtol=1e-4)
    with pytest.raises(ParityError, match="output out0: torch and ONNX differ"):
        require_onnx_parity(rows)
    require_onnx_parity(rows[1:])
