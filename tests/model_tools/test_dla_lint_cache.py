"""The cache linter says everything that is wrong with a calibration cache, where, and nothing about a right one."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from export_small_graphs import Builder, every_operator
from onnx import TensorProto, helper, numpy_helper

from unina.cli.dla import main
from unina.dla import ScaleMap, read_graph
from unina.dla.lint_cache import Finding, Kind, lint_cache, scaled_tensors
from unina.dla.network import Network, read_network
from unina.dla.scales import measured_tensors
from unina.dla.tensorrt import TensorRt
from unina.dla.ties import network_groups, tied_groups
from unina.export.cache import format_cache

JETPACK6 = TensorRt(10, 3)
SHIPPED = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"


@pytest.fixture(scope="module")
def network() -> Network:
    return read_network(every_operator())


@pytest.fixture(scope="module")
def cache() -> str:
    graph = read_graph(every_operator())
    amax = {name: 1.0 + i for i, name in enumerate(measured_tensors(graph))}
    return format_cache(ScaleMap.from_amax(graph, amax))


def lint(cache: str, network: Network, tensorrt: TensorRt = JETPACK6) -> list[tuple[Kind, int | None]]:
    return [(finding.kind, finding.line) for finding in lint_cache(cache, network, tensorrt)]


def test_what_the_export_writes_is_clean(cache: str, network: Network) -> None:
    assert lint_cache(cache, network, JETPACK6) == ()


def test_a_network_needs_the_same_scales_as_its_deploy_graph(network: Network) -> None:
    assert set(scaled_tensors(network)) == set(read_graph(every_operator()).shapes)


def test_a_network_has_the_ties_of_its_deploy_graph_but_for_the_relus() -> None:
    net = Builder(seed=0, channels=8)
    branches = [net.maxpool(net.conv("images", 8)), net.conv("images", 8), net.resize(net.conv("images", 8, stride=2))]
    model = net.model(net.concat(net.add(*branches[:2]), branches[2]))
    assert network_groups(read_network(model)) == tied_groups(read_graph(model))


@pytest.mark.parametrize("line", range(2, 12))
def test_a_missing_line_is_a_tensor_without_scale(cache: str, network: Network, line: int) -> None:
    lines = cache.splitlines()
    gone = lines.pop(line - 1).rpartition(":")[0]
    (finding,) = lint_cache("\n".join(lines), network, JETPACK6)
    assert (finding.kind, finding.value) == ("no scale", gone)


@pytest.mark.parametrize(
    ("bits", "what"),
    [
        ("7fc00000", "nan"),
        ("00000000", "zero"),
        ("00000001", "denormal"),
        ("7f800000", "inf"),
        ("bf800000", "negative"),
    ],
)
def test_a_scale_that_is_none_is_found_by_its_line(cache: str, network: Network, bits: str, what: str) -> None:
    lines = cache.splitlines()
    lines[3] = lines[3][:-8] + bits
    found = [finding for finding in lint_cache("\n".join(lines), network, JETPACK6) if finding.kind == "scale"]
    assert [finding.line for finding in found] == [4]
    assert what in found[0].message


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("images 3f800000", "malformed"),
        ("images: 3f80000g", "malformed"),
        ("images: 3f8000000", "malformed"),
        ("images:3f800000", "malformed"),  # trtexec would read f800000
        ("images: 0x3f800000", "malformed"),
        ("images:  3f800000", "malformed"),
        ("TRT-100300-EntropyCalibration2", "malformed"),
        ("images: 3f800000", "twice"),
        ("not/there: 3f800000", "unknown name"),
        ("not/there: d800000", "digits"),
    ],
)
def test_a_line_that_is_wrong_is_named(cache: str, network: Network, line: str, kind: Kind) -> None:
    text = cache + line + "\n"
    findings = [finding for finding in lint_cache(text, network, JETPACK6) if finding.kind == kind]
    assert [finding.line for finding in findings] == [len(text.splitlines())]
    assert line.split(":", maxsplit=1)[0].rpartition(" ")[0] in findings[0].text("c")


def test_a_digit_lost_to_nvidias_writer_is_put_back_before_the_scale_is_judged() -> None:
    net = Builder(seed=0)
    network = read_network(net.model(net.conv("images", 4)))
    text = "TRT-100300-EntropyCalibration2\nimages: 3f800000\nout0: d800000\n"
    (finding,) = lint_cache(text, network, JETPACK6)
    assert (finding.kind, finding.line) == ("digits", 3)
    assert "`out0: 0d800000`" in finding.fix


@pytest.mark.parametrize(
    ("header", "tensorrt", "clean"),
    [
        ("TRT-100300-EntropyCalibration2", "10.3", True),
        ("TRT-100300-EntropyCalibration2", "10.3.0.30", True),
        ("TRT-100300-EntropyCalibration2", "10.7", False),
        ("TRT-8602-EntropyCalibration2", "8.6", True),
        ("TRT-8502-EntropyCalibration2", "8.6", False),
        ("TRT-100300-MinMaxCalibration", "10.3", False),
        ("TRT-100300-EntropyCalibration", "10.3", False),
        ("# a comment", "10.3", False),
    ],
)
def test_the_header_must_be_of_this_tensorrt_and_of_its_calibrator_for_the_dla(
    cache: str, network: Network, header: str, tensorrt: str, clean: bool
) -> None:
    text = "\n".join([header, *cache.splitlines()[1:]])
    found = lint(text, network, TensorRt.parse(tensorrt))
    kind = "version" if header.endswith("EntropyCalibration2") else "header"
    assert (kind, 1) in found if not clean else not found


def test_every_tie_that_breaks_is_found_and_nothing_else(cache: str, network: Network) -> None:
    """Each tensor's scale is changed in turn: found exactly when the tensor shares a group with others."""
    broken = 0
    for line, text in enumerate(cache.splitlines()[1:], start=1):
        changed = cache.splitlines()
        name = text.rpartition(":")[0]
        changed[line] = f"{name}: 3f000000"
        group = next(group for group in network_groups(network) if name in group)
        found = lint("\n".join(changed), network)
        assert bool(found) == (len(group) > 1), (name, group, found)
        assert {kind for kind, _ in found} <= {"broken tie"}
        broken += bool(found)
    assert broken >= 7


def test_the_fix_of_a_broken_tie_mends_it() -> None:
    net = Builder(seed=0, channels=8)
    a, b = net.conv("images", 8), net.conv("images", 8)
    model = net.model(net.maxpool(net.add(a, b)))
    text = f"TRT-100300-EntropyCalibration2\nimages: 3f800000\n{a}: 3e000000\n{b}: 3d000000\n"
    text += "n2/Add_output: 3c000000\nout0: 3c000000\n"
    (finding,) = lint_cache(text, read_network(model), JETPACK6)
    assert (finding.kind, finding.line) == ("broken tie", 3)
    assert f"{a} 0.125 (line 3), {b} 0.03125 (line 4)" in finding.message
    assert "3e000000, to all 2 tensors" in finding.fix
    assert lint_cache(text.replace("3d000000", "3e000000"), read_network(model), JETPACK6) == ()


def test_nvidias_mark_for_a_sum_inside_a_convolution_is_no_broken_tie() -> None:
    """qdq_translator --add_unary_ew_scales_for_dla writes 1.0 there (DLA 3.13 and later)."""
    net = Builder(seed=0, channels=8)
    a, b = net.conv("images", 8), net.relu(net.conv("images", 8))
    model = net.model(net.add(a, b))
    text = f"TRT-100300-EntropyCalibration2\nimages: 3f800000\n{a}: 3f800000\n{b}: 3d000000\n"
    text += "n1/Conv_output: 3d000000\nout0: 3c000000\n"
    assert lint_cache(text, read_network(model), JETPACK6) == ()
    assert [kind for kind, _ in lint(text.replace(f"{a}: 3f8", f"{a}: 3e8"), read_network(model))] == ["broken tie"]


def test_a_name_that_was_changed_is_found_twice_and_the_two_are_put_together(cache: str, network: Network) -> None:
    text = cache.replace("n0/Conv_output:", "n0/Conv_output_0:")
    unknown, missing = lint_cache(text, network, JETPACK6)
    assert (unknown.kind, missing.kind) == ("unknown name", "no scale")
    assert missing.value == "n0/Conv_output"
    assert "n0/Conv_output has no scale" in unknown.fix


def test_constants_indices_and_shapes_need_no_scale() -> None:
    """Any network: a constant operand, a max pooling whose indices nobody reads, a reshape by a computed shape."""
    nodes = [
        helper.make_node("Mul", ["x", "two"], ["doubled"], "double"),
        helper.make_node("MaxPool", ["doubled"], ["pooled", "indices"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Shape", ["pooled"], ["sizes"], "sizes"),
        helper.make_node("Reshape", ["pooled", "sizes"], ["y"], "same"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4, 4, 4])],
        [numpy_helper.from_array(np.float32(2), "two")],
    )
    network = read_network(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    assert scaled_tensors(network) == ("x", "doubled", "pooled", "y")
    text = "TRT-8602-EntropyCalibration2\nx: 3c000000\ndoubled: 3c800000\npooled: 3c800000\ny: 3c800000\n"
    assert lint_cache(text, network, TensorRt(8, 6)) == ()
    assert lint(text.replace("pooled: 3c8", "pooled: 3d8"), network, TensorRt(8, 6)) == [("broken tie", 3)]


def test_a_finding_reads_as_file_line_value_what_and_fix() -> None:
    text = Finding("twice", 7, "a: 3f800000", "the tensor stands in line 3 already", "keep one").text("calib.cache")
    assert text == "calib.cache:7: a: 3f800000: the tensor stands in line 3 already; keep one"


def test_the_command_finds_the_shipped_cache_clean_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint-cache", str(SHIPPED)]) == 0
    assert "clean: 75 tensors" in capsys.readouterr().out


def test_the_command_exits_1_on_findings_and_2_when_it_cannot_read(
    tmp_path: Path, cache: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model, file = tmp_path / "m.onnx", tmp_path / "c"
    onnx.save(every_operator(), model)
    file.write_text(cache)
    assert main(["lint-cache", str(model), str(file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["findings"] == []
    assert main(["lint-cache", str(model), str(file), "--trt", "8.6", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["findings"][0]["kind"] == "version"
    file.write_bytes(b"TRT-100300\xff\xfe\x00")
    for arguments in (
        [str(model), str(file)],
        [str(model), str(tmp_path / "none")],
        [str(tmp_path / "none"), str(file)],
        [str(model)],
        [str(SHIPPED), "--trt", "11.4.1"],
        [str(SHIPPED), "--trt", "10.8"],
    ):
        assert main(["lint-cache", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith("unina-dla: ")
        assert len(error.splitlines()) == 1


def test_a_network_with_quantisation_nodes_wants_no_cache(cache: str) -> None:
    network = read_network(SHIPPED / "model.qdq.onnx")
    assert lint("TRT-100300-EntropyCalibration2\n", network) == [("quantised network", None)]
