"""`unina-dla command`: the line of a real bundle, what it announces, and what it refuses in one line."""

import json
import shutil
from pathlib import Path

import onnx
import pytest
from test_dla_trtexec import words

from unina.cli.dla import main
from unina.dla.network import read_network
from unina.dla.tensorrt import TensorRt
from unina.dla.trtexec import IoTensor

SHIPPED = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"
IMAGE = IoTensor("images", 3, "int8", "dla_hwc4")
MAPS = IoTensor("p2_class", 4, "int8", "chw32")
MIB = 1 << 20


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["command", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_shipped_bundle_compiles_whole_in_int8(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, str(SHIPPED))
    assert code == 0
    assert words(out)[4:] == [
        "--buildDLAStandalone",
        "--inputIOFormats=int8:dla_hwc4",
        "--outputIOFormats=" + ",".join(["int8:chw32"] * 6),
        "--memPoolSize=dlaSRAM:1",
        "--int8",
        f"--calib={SHIPPED}/calibration.cache",
    ]
    assert "has not run it on a Jetson" in err


def test_the_line_in_the_docs_is_the_one_that_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "dla.md").read_text()
    assert run(capsys, str(SHIPPED))[1].replace(f"{SHIPPED}", "cones.unina") in page


def test_the_header_of_the_cache_is_compared_with_the_tensorrt(capsys: pytest.CaptureFixture[str]) -> None:
    assert "TRT-8602-EntropyCalibration2" in run(capsys, str(SHIPPED), "--trt", "8.6.2")[2]
    assert "its first line" not in run(capsys, str(SHIPPED))[2]


def bundle_with_cache(folder: Path, text: str) -> Path:
    """The shipped bundle with another cache."""
    bundle = folder / "b"
    shutil.copytree(SHIPPED, bundle)
    (bundle / "calibration.cache").write_text(text)
    return bundle


CACHE = (SHIPPED / "calibration.cache").read_text().splitlines()
INNER = CACHE[5].rpartition(":")[0]
POOLED = next(line for line in CACHE if "MaxPool_output" in line)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "not a header"),
        (CACHE[:1], "without a scale"),
        (CACHE[1:], "not a header"),
        ([CACHE[0].replace("Entropy", "MinMax"), *CACHE[1:]], "of the calibrator"),
        ([line for line in CACHE if not line.startswith("p2_box:")], "p2_box: an output of the network without"),
        ([line for line in CACHE if not line.startswith("images:")], "images: an input of the network without"),
        ([line for line in CACHE if not line.startswith(f"{INNER}:")], f"{INNER}: no scale"),
        ([*CACHE[:-1], CACHE[-1][:-8] + "00000000"], "the scale is zero"),
        ([*CACHE, CACHE[-1]], "stands in line"),
        ([line[:-8] + "3e000000" if line is POOLED else line for line in CACHE], "need one scale"),
    ],
)
def test_a_cache_that_the_build_would_trip_over_is_refused(
    tmp_path: Path, lines: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundle_with_cache(tmp_path, "\n".join(lines))
    code, out, err = run(capsys, str(bundle))
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert says in err and "calibration.cache" in err
    assert run(capsys, str(bundle), "--trt", "11.4.1")[0] == 0  # reads no cache


def test_a_tensor_of_an_fp16_layer_may_lack_its_scale_and_a_stranger_is_only_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = [line for line in CACHE if not line.startswith(f"{INNER}:")]
    bundle = bundle_with_cache(tmp_path, "\n".join([*kept, "a/stranger: 3f800000"]))
    network = read_network(SHIPPED / "model.onnx")
    (bundle / "layer_precisions.txt").write_text(f"{network.producers[INNER].name}:fp16\n")
    code, _, err = run(capsys, str(bundle))
    assert code == 0
    assert "a/stranger: the network has no such tensor" in err and f"{INNER}: no scale" in err
    (bundle / "layer_precisions.txt").unlink()
    assert run(capsys, str(bundle))[0] == 1
    assert run(capsys, str(bundle), "--engine", "--gpu-fallback")[0] == 0


@pytest.mark.parametrize("version", ["11.4.2", "11.5", "12.0"])
def test_what_is_newer_than_the_facts_is_said_to_be_unknown(version: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, str(SHIPPED), "--trt", version)
    assert code == 0
    assert f"TensorRT {version}: nothing is known of it here, the facts end at 11.4.1" in err
    assert "nothing is known of it" not in run(capsys, str(SHIPPED), "--trt", "11.4.1")[2]


def test_a_version_is_printed_as_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert TensorRt.parse("10.3.0.30") == TensorRt.parse("10.3") == TensorRt(10, 3)
    assert "-trt10.3.0.30-" in run(capsys, str(SHIPPED), "--trt", "10.3.0.30")[1]
    assert "-trt10.3-" in run(capsys, str(SHIPPED))[1]
    assert "TensorRT 11.4.0 has no DLA" in run(capsys, str(SHIPPED), "--trt", "11.4.0")[2]
    assert main(["check", str(SHIPPED), "--trt", "11.4.0"]) == 1
    assert "TensorRT 11.4.0" in capsys.readouterr().out


def test_json_holds_the_arguments_as_a_list_and_the_notes(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, str(SHIPPED), "--trt", "11.4.1", "--engine", "--gpu-fallback", "--json")
    document = json.loads(out)
    assert (code, err) == (0, "")
    assert document["arguments"][0] == "trtexec"
    assert f"--onnx={SHIPPED}/model.qdq.onnx" in document["arguments"]
    assert "--allowGPUFallback" in document["arguments"]
    assert any("not confirmed" in note for note in document["notes"])
    assert any("without a word" in note for note in document["notes"])


def test_an_output_in_float16_crosses_the_border_as_fp16_in_the_formats_of_the_dla(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = bundle_with_cache(tmp_path, "\n".join(CACHE))
    manifest = json.loads((bundle / "manifest.json").read_text())
    entry = next(tensor for tensor in manifest["tensors"] if tensor["role"] == "output")
    del entry["scale"], entry["scale_bits"]
    entry.update(dtype="float16", format="chw16")
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (bundle / "layer_precisions.txt").write_text(
        f"{read_network(SHIPPED / 'model.onnx').producers[entry['name']].name}:fp16\n"
    )
    code, out, err = run(capsys, str(bundle))
    assert code == 0, err
    assert "--outputIOFormats=" + ",".join(["fp16:chw16"] + ["int8:chw32"] * 5) in words(out)
    assert {"--fp16", "--int8"} <= set(words(out))


def test_layers_that_stay_fp16_are_taken_from_the_bundle_and_must_be_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "cones.unina"
    bundle.mkdir()
    for name in ("manifest.json", "model.onnx", "calibration.cache", "model.qdq.onnx"):
        shutil.copy(SHIPPED / name, bundle)
    file = bundle / "layer_precisions.txt"
    file.write_text("/backbone/stem/conv/Conv:fp16\n")
    assert "--layerPrecisions=/backbone/stem/conv/Conv:fp16" in words(run(capsys, str(bundle))[1])
    code, out, err = run(capsys, str(bundle), "--trt", "11.4.1")
    assert code == 0
    assert not any(word.startswith("--layerPrecisions") for word in words(out))
    assert "layer_precisions.txt is for TensorRT up to 10.7" in err
    file.write_text("/backbone/stem/Conv:fp16\n")
    code, _, err = run(capsys, str(bundle))
    assert (code, "has no such node" in err) == (2, True)


def test_nodes_that_the_dla_does_not_run_are_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SHIPPED, tmp_path / "b")
    model = onnx.load(SHIPPED / "model.onnx")
    model.graph.node[1].op_type = "HardSwish"
    onnx.save(model, tmp_path / "b" / "model.onnx")
    assert "1 of 74 nodes are not for the DLA and stop the build" in run(capsys, str(tmp_path / "b"))[2]
    assert "not for the DLA" not in run(capsys, str(SHIPPED))[2]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--trt", "10.9"], 1),
        (["--gpu-fallback"], 1),
        (["--sram", "0.75"], 1),
        (["--sram", "nan"], 1),
        (["--local-dram", "1024"], 0),
        (["--loadables", "17"], 1),
        (["--output", ""], 1),
        (["--output", "cones.bin"], 0),
    ],
)
def test_what_does_not_go_together_is_a_no_in_one_line(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    found, out, err = run(capsys, str(SHIPPED), *arguments)
    assert found == code
    assert bool(out) == (code == 0)
    assert code == 0 or len(err.splitlines()) == 1


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"tensors": [{"role": "input"}], "name": "x"}'])
def test_what_is_no_bundle_cannot_be_said_anything_of(
    tmp_path: Path, manifest: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    code, out, err = run(capsys, str(tmp_path))
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1


def test_a_picture_format_is_refused_where_no_convolution_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(SHIPPED, tmp_path / "b")
    model = onnx.load(SHIPPED / "model.onnx")
    first = model.graph.node[0]
    before = onnx.helper.make_node("Relu", [first.input[0]], ["before"], name="/before/Relu")
    first.input[0] = "before"
    model.graph.node.insert(0, before)
    onnx.save(model, tmp_path / "b" / "model.onnx")
    code, out, err = run(capsys, str(tmp_path / "b"))
    assert (code, out) == (1, "") and "Relu reads an input in dla_hwc4" in err and "[format-hwc4]" in err
