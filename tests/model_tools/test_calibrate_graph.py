"""Calibration of a graph: exact ranges of every tensor, thresholds inside them, clear refusals."""

import numpy as np
import onnx
import pytest
from export_small_graphs import Builder, every_operator, pictures
from onnx.reference import ReferenceEvaluator

from unina.compress.calibrate import CalibrationError, Method, calibrate, passes
from unina.dla.graph_reader import read_graph
from unina.dla.scales import ScaleMap, measured_tensors, raw_map_amax


def every_tensor(model: onnx.ModelProto, x: np.ndarray) -> dict[str, np.ndarray]:
    """By onnx's NumPy evaluator: nothing shared with the code under test."""
    wanted = [name for node in model.graph.node for name in node.output]
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {value.name for value in copy.graph.output}
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in present)
    evaluator = ReferenceEvaluator(copy)
    return dict(zip(evaluator.output_names, evaluator.run(None, {"images": x}), strict=True))


def test_minmax_finds_the_largest_magnitude_of_every_tensor_over_all_pictures() -> None:
    model = every_operator()
    graph = read_graph(model)
    inputs = pictures(model, 3)
    amax = dict.fromkeys(measured_tensors(graph), 0.0)
    for x in inputs:
        tensors = every_tensor(model, x)
        amax = {name: max(value, float(np.abs(tensors[name]).max())) for name, value in amax.items()}
    expected = ScaleMap.from_amax(graph, amax)
    found = calibrate(model, inputs)
    assert found.keys() == expected.keys()
    for name in found:
        if name not in graph.outputs:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile", "mse"])
def test_a_raw_map_resolves_what_decides_and_not_what_lies_far_below(method: Method) -> None:
    model = every_operator()
    graph = read_graph(model)
    inputs = pictures(model, 3)
    found = calibrate(model, inputs, method)
    for name in graph.outputs:
        values = np.concatenate([every_tensor(model, x)[name].ravel() for x in inputs])
        wanted = min(float(np.abs(values).max()), max(float(values.max()), 8.0))
        np.testing.assert_allclose(found[name] * 127, wanted, rtol=1e-5, err_msg=name)


def test_the_amax_of_a_raw_map() -> None:
    assert raw_map_amax(2.8, 178.4) == 8.0  # a trained class map: scores of sigmoid(-8) and less need no steps
    assert raw_map_amax(-6.7, 178.4) == 8.0
    assert raw_map_amax(20.0, 178.4) == 20.0  # no score above a half is ever cut
    assert raw_map_amax(2.0, 3.0) == 3.0  # a map that stays near zero keeps all its steps


@pytest.mark.parametrize("method", ["entropy", "percentile", "mse"])
def test_the_others_clip_but_never_stretch(method: Method) -> None:
    model = every_operator()
    inputs = pictures(model, 3)
    minmax, clipped = calibrate(model, inputs), calibrate(model, inputs, method)
    assert all(clipped[name] <= minmax[name] * (1 + 1e-6) for name in minmax)
    if method != "percentile":  # of so few values the hundredth of a per cent is none
        assert any(clipped[name] < minmax[name] for name in minmax)
    assert clipped["images"] == 1.0
    for name in ("out0", "out1"):  # a logit cut short is a wrong score
        assert clipped[name] == minmax[name]


@pytest.mark.parametrize("method", ["minmax", "entropy", "percentile", "mse"])
def test_progress_is_told_once_a_picture_and_pass(method: Method) -> None:
    model = every_operator()
    told = []
    calibrate(model, pictures(model, 4), method, lambda: told.append(1))
    assert len(told) == 4 * passes(method)


def test_the_model_is_left_as_it_was() -> None:
    model = every_operator()
    before = model.SerializeToString()
    calibrate(model, pictures(model, 1))
    assert model.SerializeToString() == before


def test_no_pictures_are_refused() -> None:
    with pytest.raises(CalibrationError, match="no calibration pictures"):
        calibrate(every_operator(), [])


def test_a_tensor_that_never_changes_is_refused_by_name() -> None:
    b = Builder(0)
    dead = b.conv("images", 4, kernel=1)
    b.tensors[0].CopyFrom(onnx.numpy_helper.from_array(np.zeros((4, 3, 1, 1), np.float32), b.tensors[0].name))
    b.tensors[1].CopyFrom(onnx.numpy_helper.from_array(np.full(4, 0.25, np.float32), b.tensors[1].name))
    model = b.model(b.conv(dead, 2))
    with pytest.raises(CalibrationError, match=f"{dead} is 0.25 everywhere on all 2"):
        calibrate(model, pictures(model, 2))


def test_a_tensor_that_is_not_finite_is_refused_by_name_and_picture() -> None:
    model = every_operator()
    inputs = pictures(model, 3)
    inputs[1][0, 0, 3, 3] = np.nan
    with pytest.raises(CalibrationError, match=r"tensor n1/Relu_output is not finite on calibration picture 2"):
        calibrate(model, inputs)
