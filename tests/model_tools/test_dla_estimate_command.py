"""`unina-dla estimate` says how long, how sure, what waits for what, and what is not on the DLA."""

import json
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from unina.cli.dla import main

BUNDLE = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"


def chain(path: Path, *ops: str, channels: int = 32, size: int = 32, images: int = 1) -> Path:
    """One operator behind the other, convolutions with weights of their own, from a picture."""
    weights, nodes, name, inputs = [], [], "images", 3
    for i, op in enumerate(ops):
        read = [name]
        if op == "Conv":
            value = np.ones((channels, inputs, 3, 3), np.float32)
            weights.append(numpy_helper.from_array(value, f"weight{i}"))
            read.append(f"weight{i}")
            inputs = channels
        elif op == "Concat":
            read *= 2
        attributes = {"Conv": {"pads": [1, 1, 1, 1]}, "Concat": {"axis": 1}}.get(op, {})
        nodes.append(helper.make_node(op, read, [f"t{i}"], f"node{i}", **attributes))
        name = f"t{i}"
    pictures = helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [images, 3, size, size])
    output = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "chain", [pictures], [output], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    assert main(["estimate", *words]) == code
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict:
    return json.loads(said(capsys, *words, "--json", code=code))


def test_the_shipped_model_takes_less_than_two_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, str(BUNDLE))
    assert found["mode"]["name"] == "MAXN" and found["not_estimated"] == [] and found["wide_for"] == []
    assert found["latency_ms"] <= 2.0
    wide = document(capsys, str(BUNDLE), "--size", "1280x384")
    assert wide["latency_ms"] <= 2.0 and wide["macs"] == pytest.approx(1.2 * found["macs"])


def test_the_document_adds_up(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, str(BUNDLE), "--power-mode", "30W")
    layers = found["layers"]
    assert sum(layer["latency_ms"] for layer in layers) == pytest.approx(found["latency_ms"])
    assert sum(layer["macs"] for layer in layers) == found["macs"]
    assert sum(layer["dram_bytes"] for layer in layers) == found["dram_bytes"]
    low, high = found["band_ms"]
    assert high - low == pytest.approx(2 * found["uncertainty"] * found["latency_ms"])
    assert found["effective_tops"] == pytest.approx(2 * found["macs"] / found["latency_ms"] / 1e9)
    assert 0 < found["roofline_share"] < 1
    assert all(layer["roofline_ms"] <= layer["latency_ms"] for layer in layers)
    assert found["energy"]["images_per_joule_over_gpu"] == [2.6, 3.4]


def test_the_text_has_total_band_energy_and_the_slowest_layers(capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, str(BUNDLE))
    text = said(capsys, str(BUNDLE), "--layers", "3")
    assert f"{found['latency_ms']:.2f} ms ±15% an image" in text
    assert "3.5 to 4.3 times as many images a joule as the GPU" in text
    slowest = sorted(found["layers"], key=lambda layer: -layer["latency_ms"])
    assert all(layer["name"] in text for layer in slowest[:3]) and slowest[3]["name"] not in text
    assert f"the 3 slowest of {len(found['layers'])} layers" in text
    every = said(capsys, str(BUNDLE), "--all")
    assert all(layer["name"] in every for layer in found["layers"])


def test_unknown_clocks_are_said_and_watts_never(capsys: pytest.CaptureFixture[str]) -> None:
    for platform in ("agx-orin-32gb", "orin-nx"):
        text = said(capsys, str(BUNDLE), "--platform", platform)
        assert "memory clock" in text and "joule" not in text
        assert "; the band is ±" in text
        found = document(capsys, str(BUNDLE), "--platform", platform)
        assert found["energy"] is None and found["wide_for"] == ["clocks"]
    assert "clocks:" not in said(capsys, str(BUNDLE))


def test_what_falls_back_is_named_with_its_rule_and_not_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = document(capsys, str(chain(tmp_path / "a.onnx", "Conv", "Relu")))
    path = str(chain(tmp_path / "b.onnx", "Conv", "Relu", "Erf", "Erf"))
    found = document(capsys, path, code=1)
    assert found["latency_ms"] == whole["latency_ms"] and whole["complete"] and whole["energy"]
    assert (found["complete"], found["uncertainty"], found["band_ms"], found["energy"]) == (False, None, None, None)
    assert [(one["name"], one["op"]) for one in found["not_estimated"]] == [("node2", "Erf"), ("node3", "Erf")]
    text = said(capsys, path, code=1)
    assert "the DLA's part only" in text and "±" not in text and "joule" not in text
    assert "2 operators are not estimated" in text and "2 Erf (node2, …): operator Erf (unary-function)" in text
    nothing = document(capsys, str(chain(tmp_path / "c.onnx", "Erf")), code=1)
    assert nothing["latency_ms"] == 0 and nothing["effective_tops"] == 0 and nothing["roofline_share"] == 0
    said(capsys, str(tmp_path / "c.onnx"), code=1)


def test_a_bundles_fp16_layers_are_slow_and_widen_the_band(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain(tmp_path / "model.onnx", "Conv", "Relu", "Conv")
    plain = document(capsys, str(tmp_path))
    (tmp_path / "layer_precisions.txt").write_text("node2:fp16\n")
    found = document(capsys, str(tmp_path))
    assert [layer["precision"] for layer in found["layers"]] == ["int8", "fp16"]
    assert found["latency_ms"] > 2 * plain["latency_ms"] and found["wide_for"] == ["FP16"]
    (tmp_path / "layer_precisions.txt").write_text("node2\n")
    assert main(["estimate", str(tmp_path)]) == 2
    assert "layer_precisions.txt: line 1: node2: not of the form layer:fp16" in capsys.readouterr().err


def test_precision_sparsity_and_batch_reach_the_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(chain(tmp_path / "a.onnx", "Conv", "Conv", "Conv", channels=256))
    plain = document(capsys, path)["latency_ms"]
    assert document(capsys, path, "--precision", "fp16")["latency_ms"] > 10 * plain
    assert document(capsys, path, "--sparse")["latency_ms"] < plain
    assert document(capsys, path, "--batch", "8")["latency_ms"] < plain


def test_the_graph_with_q_dq_is_estimated_like_the_one_without(capsys: pytest.CaptureFixture[str]) -> None:
    plain, quantised = (document(capsys, str(BUNDLE / name)) for name in ("model.onnx", "model.qdq.onnx"))
    assert [layer["kind"] for layer in quantised["layers"]] == [layer["kind"] for layer in plain["layers"]]
    assert quantised["latency_ms"] == plain["latency_ms"]


def test_a_plot_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(chain(tmp_path / "a.onnx", "Conv", "Relu", "Conv"))
    said(capsys, path, "--plot", str(tmp_path / "roofline.png"))
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")
    assert main(["estimate", path, "--plot", str(tmp_path / "none" / "roofline.png")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    said(capsys, str(chain(tmp_path / "b.onnx", "Relu")), "--plot", str(tmp_path / "no_multiplication.png"))
    assert main(["estimate", path, "--plot", str(tmp_path / "roofline.jpg")]) == 2
    assert "roofline.jpg: a plot is a PNG: name it .png" in capsys.readouterr().err


@pytest.mark.parametrize("op", ["Erf", "Concat"])
def test_where_nothing_takes_time_on_the_dla_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], op: str
) -> None:
    """Nothing there, or a concat alone, which is free."""
    path, plot = str(chain(tmp_path / "a.onnx", op)), tmp_path / "roofline.png"
    code = int(op == "Erf")
    found = document(capsys, path, code=code)
    assert found["latency_ms"] == 0 and found["energy"] is None
    said(capsys, path, "--all", code=code)
    assert main(["estimate", path, "--plot", str(plot)]) == 1
    error = capsys.readouterr().err
    assert "roofline.png: not written: nothing to draw: no operator takes time on the DLA" in error
    assert error.count("\n") == 1 and not plot.exists()


@pytest.mark.parametrize("batch", ["0", "4097", "9" * 5000, "1.5"])
def test_a_batch_that_the_dla_does_not_take_is_refused(batch: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["estimate", str(BUNDLE), "--batch", batch])
    assert left.value.code == 2 and "must be a whole number from 1 to 4096" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone.onnx"], "gone.onnx: no such file"),
        (["broken.onnx"], "broken.onnx: not an ONNX network"),
        (["broken.onnx", "--constants", "gone.json"], "gone.json"),
        (["flat.onnx", "--power-mode", "60W"], "agx-orin-64gb has no power mode 60W: its modes are MAXN, 50W"),
        (["flat.onnx", "--size", "64x64"], "node node1 (Flatten) is tied to the input size"),
        (["flat.onnx", "--constants", "broken.onnx"], "broken.onnx: not the constants"),
    ],
)
def test_what_cannot_be_read_takes_one_line_and_exit_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    chain(tmp_path / "flat.onnx", "Conv", "Flatten")
    (tmp_path / "broken.onnx").write_bytes(b"\x00\xffnot onnx")
    assert main(["estimate", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and error.startswith("unina-dla: ")


def test_five_hundred_nodes_are_checked_and_estimated_in_less_than_two_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = chain(tmp_path / "long.onnx", *["Conv", "Relu"] * 250)
    before = time.process_time()
    found = document(capsys, str(path))
    assert len(found["layers"]) == 250
    assert time.process_time() - before < 2
