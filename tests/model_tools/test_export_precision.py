"""`unina-export` with convolutions in FP16: chosen or listed, in every file of the bundle, and no bundle without."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from export_small_graphs import every_operator, pictures, random_graph
from test_export_command import NAMES, manifest_of, refused, write_checkpoint, write_data

import unina_runtime
from unina.cli import dla
from unina.cli.export import main
from unina.compress.calibrate import calibrate
from unina.dla.estimate import estimate
from unina.dla.graph import Conv
from unina.dla.graph_reader import read_graph
from unina.dla.network import read_network
from unina.dla.precision import float16_tensors
from unina.dla.trtexec import layer_names
from unina.evaluate import HostMaps, OnnxMaps
from unina.evaluate.raw_maps import dequantised
from unina.export import exporter
from unina.export.cache import read_cache
from unina.export.lower import lower
from unina.export.qdq import quantised_model

LIST = "layer_precisions.txt"


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """An untrained checkpoint and pictures, as the command line takes them."""
    folder = tmp_path_factory.mktemp("given")
    data = write_data(folder / "data")
    return str(write_checkpoint(folder / "checkpoint.pt")), "--data", str(data), "--calibration-images", "3"


def losing(*drops: float) -> Callable[[object, object], float]:
    """Stands for what the accuracy says: these drops one after the other, then the last for ever."""
    left = list(drops)
    return lambda exact, integers: left.pop(0) if len(left) > 1 else left[0]


@pytest.fixture(scope="module")
def promoted(words: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose INT8 lost 1 point, and a tenth of one with the first layers in FP16."""
    output = tmp_path_factory.mktemp("out") / "mixed.unina"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "_drop", losing(1.0, 0.8, 0.1, 1.0, 1.0, 0.1))
        assert main([*words, "--output", str(output), "--precision", "auto", "--max-drop", "0.25", "--json"]) == 0
    return output


def test_the_chosen_layers_stand_in_every_file(promoted: Path) -> None:
    manifest, report = manifest_of(promoted), json.loads((promoted / "report.json").read_text())
    graph = read_graph(onnx.load(promoted / "model.onnx"))
    names = layer_names((promoted / LIST).read_text())
    assert names and LIST in manifest["files"]
    told = manifest["precision"]
    assert [layer["name"] for layer in told["fp16_layers"]] == list(names)
    assert (told["max_drop"], told["drop"]) == (0.25, 0.1)
    assert all(layer["error_removed"] > 0 for layer in told["fp16_layers"])
    half = float16_tensors(graph, names)
    assert {tensor["name"] for tensor in manifest["tensors"] if tensor["dtype"] == "float16"} == half & {*graph.outputs}
    assert set(read_cache(promoted / "calibration.cache").scales) == set(graph.shapes), "the cache stays whole"
    qdq = onnx.load(promoted / "model.qdq.onnx")
    rounded = {node.input[0].removesuffix("_raw") for node in qdq.graph.node if node.op_type == "QuantizeLinear"}
    assert not rounded & half
    trials = report["precision"]["trials"]
    assert trials[0] == {"fp16_layers": [], "drop": 1.0} and len(trials) > 2
    assert {"fp16_layers": sorted(names), "drop": 0.1} in [
        trial | {"fp16_layers": sorted(trial["fp16_layers"])} for trial in trials
    ]
    assert len(report["precision"]["sensitivity"]["layers"]) == sum(isinstance(op, Conv) for op in graph.ops)
    page = (promoted / "report.html").read_text()
    assert "INT8 and FP16" in page and all(name in page for name in names)
    assert f"{len(names)} convolution" in page and "loses 0.10 points" in page


def test_the_price_is_that_of_the_estimate_and_the_dla_commands_agree(
    promoted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest, report = manifest_of(promoted), json.loads((promoted / "report.json").read_text())
    names = [layer["name"] for layer in manifest["precision"]["fp16_layers"]]
    network = read_network(promoted / "model.onnx")
    expected = estimate(network, fp16_layers=names).latency_ms
    assert report["dla"]["estimated_ms"]["MAXN"] == pytest.approx(expected, abs=1e-3)
    assert manifest["precision"]["price_ms"] == pytest.approx(expected - estimate(network).latency_ms, abs=1e-4)
    capsys.readouterr()
    assert dla.main(["estimate", str(promoted), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["latency_ms"] == pytest.approx(expected)
    assert dla.main(["check", str(promoted), "--json"]) == 0
    verdicts = json.loads(capsys.readouterr().out)["verdicts"]
    assert [one["node"] for one in verdicts if one["rule"] == "layer-precision"] == names
    devices = report["dla"]["nodes"]
    assert {name for name, device in devices.items() if device == "DLA in FP16"} >= set(names), devices
    assert dla.main(["command", str(promoted)]) == 0
    line = capsys.readouterr().out
    assert "--layerPrecisions=" + ",".join(f"{name}:fp16" for name in names) in line.replace("'", "")


def test_the_runtime_opens_it_and_it_is_still_the_same_network(promoted: Path) -> None:
    detector = unina_runtime.Detector(str(promoted), accelerator="host")
    assert tuple(detector.classes) == NAMES
    for row in manifest_of(promoted)["parity"]:
        assert row["onnx_relative"] < 1e-5 and row["host_snr_db"] > 20, row


def test_int8_that_is_good_enough_is_left_alone(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "_drop", losing(0.2))
    assert main([*words, "--output", str(tmp_path / "x.unina"), "--precision", "auto"]) == 0
    shown = capsys.readouterr().out
    assert "most sensitive of" in shown and "Everything in INT8; the host engine loses 0.20 points" in shown
    assert not (tmp_path / "x.unina" / LIST).exists()
    told = manifest_of(tmp_path / "x.unina")["precision"]
    assert told == {"fp16_layers": [], "price_ms": 0.0, "max_drop": 0.3, "drop": 0.2}


def test_where_no_set_is_enough_the_best_is_told_and_nothing_is_written(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "_drop", losing(3.0, 2.0, 2.5))
    assert main([*words, "--output", str(tmp_path / "x.unina"), "--precision", "auto"]) == 1
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("unina-export: ")]
    assert (
        len(lines) == 1
        and "sets that were tried loses 2.00, with " in lines[0]
        and lines[0].endswith("nothing was written")
    )
    assert "most sensitive of" in captured.out
    assert list(tmp_path.iterdir()) == []


def test_layers_can_be_listed(words: tuple[str, ...], promoted: Path, tmp_path: Path) -> None:
    graph = read_graph(onnx.load(promoted / "model.onnx"))
    last = [op.name for op in graph.ops if isinstance(op, Conv)][-2:]
    (tmp_path / "list.txt").write_text(f'"{last[1]}":fp16,{last[0]}:fp16\n')
    output = tmp_path / "x.unina"
    flags = ["--output", str(output), "--fp16-layers", str(tmp_path / "list.txt"), "--no-accuracy", "--json"]
    assert main([*words, *flags]) == 0
    assert layer_names((output / LIST).read_text()) == tuple(last), "in the order of the graph"
    told = manifest_of(output)["precision"]
    assert [layer["name"] for layer in told["fp16_layers"]] == last
    assert told["max_drop"] is None and told["drop"] is None
    assert [layer["error_removed"] for layer in told["fp16_layers"]] == [None, None]


def test_a_wrong_list_or_options_that_do_not_go_together_are_refused(
    words: tuple[str, ...], promoted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, listed = tmp_path / "x.unina", tmp_path / "list.txt"
    graph = read_graph(onnx.load(promoted / "model.onnx"))
    other = next(op for op in graph.ops if not isinstance(op, Conv)).name
    conv = next(op for op in graph.ops if isinstance(op, Conv)).name
    for text, said in (
        ("nowhere:fp16\n", "nowhere is no node of the network; only convolutions"),
        (f"{other}:fp16\n", f"{other} is a Relu, not a convolution"),
        (f"{conv}:fp16\n{conv}:fp16\n", f"{conv} is there twice"),
        (f"{conv}:fp16\n", f"{conv} reads the picture"),
        (f"{conv}:int8\n", "line 1: "),
        ("\n", "names no layer"),
    ):
        listed.write_text(text)
        assert said in refused(capsys, *words, "--output", output, "--fp16-layers", listed)
    listed.unlink()
    assert "No such file" in refused(capsys, *words, "--output", output, "--fp16-layers", listed)
    assert "--max-drop" in refused(capsys, *words, "--output", output, "--max-drop", 0.5)
    auto = (*words, "--output", output, "--precision", "auto")
    assert "--max-drop -1.0" in refused(capsys, *auto, "--max-drop", -1)
    assert "--max-drop nan" in refused(capsys, *auto, "--max-drop", "nan")
    assert "--fp16-layers" in refused(capsys, *auto, "--fp16-layers", listed)
    assert "--no-accuracy" in refused(capsys, *auto, "--no-accuracy")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("seed", range(8))
def test_the_qdq_graph_computes_what_the_host_engine_computes(seed: int) -> None:
    """Any convolutions in FP16: the maps lie within a tenth of an INT8 step, where nothing else tells them apart."""
    model = every_operator() if seed == 0 else random_graph(seed)
    graph, inputs = read_graph(model), pictures(model, 2)
    scales = calibrate(model, inputs)
    convolutions = [op.name for op in graph.ops if isinstance(op, Conv)]
    chosen = [name for name in convolutions if np.random.default_rng(seed).random() < 0.5] or convolutions[-1:]
    host, qdq = HostMaps(lower(graph, scales, promoted=chosen)), OnnxMaps(quantised_model(model, scales, chosen))
    for x in inputs:
        integers = host(x.astype(np.int8))
        real = dequantised(integers, host.scales)
        for name, expected in qdq(x).items():
            steps = np.abs(real[name] - expected) / float(scales[name])
            assert (integers[name].dtype == np.float16) == (name in float16_tensors(graph, chosen))
            assert (steps <= 1.01).mean() > 0.98 and steps.mean() < 0.1, (name, steps.mean())


def test_a_promoted_layer_is_float16_from_cast_to_cast() -> None:
    model = every_operator()
    graph = read_graph(model)
    scales = calibrate(model, pictures(model, 1))
    fused = next(op for op in graph.ops if isinstance(op, Conv) and graph.fused_relu(op))
    relu = graph.fused_relu(fused)
    assert relu is not None
    qdq = quantised_model(model, scales, [fused.name])
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in qdq.graph.initializer}
    made = {name: node for node in qdq.graph.node for name in node.output}
    node = next(node for node in qdq.graph.node if node.name == fused.name)
    np.testing.assert_array_equal(values[node.input[1]], fused.weight.astype(np.float16), strict=True)
    np.testing.assert_array_equal(values[node.input[2]], fused.bias.astype(np.float16), strict=True)
    before = made[node.input[0]]
    assert before.op_type == "Cast" and made[before.input[0]].op_type == "DequantizeLinear"
    inside = next(one for one in qdq.graph.node if one.name == relu.name)
    assert inside.input[0] == node.output[0], "no Q/DQ between convolution and ReLU"
    assert made[relu.output].op_type == "Cast" and made[relu.output].input[0] == inside.output[0]
    with pytest.raises(ValueError, match="nowhere"):
        quantised_model(model, scales, ["nowhere"])
