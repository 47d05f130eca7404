"""The check: verdicts on public architectures, regions that can be cut so, advice that is true, errors in a line."""

import json
import shutil
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from dla_rule_pairs import MAPS, conv, network, one, ones
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from public_networks import onnx_of, resnet34, resnet50
from public_networks_more import BUILDERS

from unina.cli import dla
from unina.dla.check import Device, check
from unina.dla.check_partition import partition
from unina.dla.network import Network, NetworkError, Node, TensorType, read_network
from unina.dla.rules import Context
from unina.dla.tensorrt import TensorRt

BUNDLE = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"

POOLED_HEAD = {("GlobalAveragePool", "reduce-average"): 1, ("Flatten", "rank"): 1}
EXPECTED: dict[str, tuple[dict[tuple[str, str], int], int, int, tuple[str, ...]]] = {
    # on AGX Orin with TensorRT 10.3, ResNet-50 is cut just so: a public log shows these two on the GPU, two regions
    "ResNet-34": (POOLED_HEAD, 2, 2, ("AveragePool of 2×2", "convolution of 1×1")),
    "ResNet-50": (POOLED_HEAD, 2, 2, ("AveragePool of 2×2", "convolution of 1×1")),
    "MobileNetV1": (POOLED_HEAD, 2, 2, ("AveragePool of 2×2",)),
    "MobileNetV2": (POOLED_HEAD, 2, 2, ("AveragePool of 4×4",)),
    "MobileNetV3": (
        {
            ("HardSwish", "software-only"): 7,
            ("GlobalAveragePool", "reduce-average"): 4,
            ("HardSigmoid", "activation-function"): 3,
            ("Flatten", "rank"): 1,
        },
        12,
        24,
        ("HardSwish: use ReLU", "squeeze-and-excitation"),
    ),
    "EfficientNet-B0": (
        {
            ("Sigmoid", "activation-sigmoid"): 17,
            ("GlobalAveragePool", "reduce-average"): 6,
            ("Flatten", "rank"): 1,
        },
        7,
        12,
        ("SiLU: use ReLU", "squeeze-and-excitation"),
    ),
    "VGG-16": ({("Flatten", "rank"): 1}, 2, 2, ("convolution of 2×2",)),
    "RepVGG": ({}, 1, 0, ()),
    "YOLO": (
        {
            ("Sigmoid", "activation-sigmoid"): 18,
            ("Reshape", "rank"): 3,
            ("Concat", "rank"): 2,
            ("Split", "rank"): 1,
            ("Sigmoid", "rank"): 1,
            ("ReduceSum", "reduce-kind"): 1,
            ("Softmax", "softmax-precision"): 1,
        },
        2,
        4,
        ("SiLU: use ReLU", "let the network end at its raw maps"),
    ),
    "U-Net": ({}, 1, 0, ()),
    "ViT": (
        {
            ("Conv", "conv-stride"): 1,
            ("Add", "rank"): 15,
            ("MatMul", "fc-input"): 8,
            ("Gather", "never"): 6,
            ("Reshape", "rank"): 5,
            ("LayerNormalization", "normalisation"): 4,
            ("MatMul", "matmul-constant"): 4,
            ("Mul", "rank"): 4,
            ("Transpose", "rank"): 3,
            ("Softmax", "softmax-precision"): 2,
            ("Div", "rank"): 2,
            ("Erf", "unary-function"): 2,
            ("ReduceMean", "reduce-average"): 1,
        },
        7,
        13,
        ("attention over tokens", "GELU: use ReLU", "LayerNorm: use BatchNorm"),
    ),
    "ConvNeXt": (
        {
            ("MatMul", "fc-input"): 4,
            ("Add", "constant"): 4,
            ("LayerNormalization", "normalisation"): 2,
            ("Erf", "unary-function"): 2,
            ("GlobalAveragePool", "reduce-average"): 1,
            ("Flatten", "rank"): 1,
        },
        8,
        16,
        ("1×1 convolution over N×C×H×W", "GELU: use ReLU", "LayerNorm: use BatchNorm"),
    ),
    "RetinaNet": ({("Resize", "resize-sizes"): 2}, 3, 4, ("Resize by sizes: export scales 2×2",)),
    "ShuffleNetV2": (
        {("Reshape", "rank"): 4, ("Transpose", "rank"): 2} | POOLED_HEAD,
        3,
        4,
        ("channel shuffle: a 1×1 convolution",),
    ),
    "DenseNet": ({}, 1, 0, ()),
}
"""At 64×64, INT8, TensorRT 10.3: what is not plain DLA by which rule, regions, reformats, and some of the advice."""


@pytest.mark.parametrize("name", EXPECTED)
def test_public_architectures_get_the_verdicts_that_their_definition_implies(name: str) -> None:
    builders = {"ResNet-34": resnet34, "ResNet-50": resnet50} | BUILDERS
    report = check(read_network(onnx_of(builders[name], 64, 64)))
    decided, regions, reformats, advice = EXPECTED[name]
    assert Counter((v.node.op, v.rule.id) for v in report.verdicts if v.rule) == decided
    assert (len(report.partition.regions), len(report.partition.reformats)) == (regions, reformats)
    for words in advice:
        assert any(words in fix.text for fix in report.fixes), [fix.text for fix in report.fixes]
    if report.fixes:
        last = report.fixes[-1]
        assert (last.nodes_left, last.regions_left, last.reformats_left) == (0, 1, 0)


def test_the_shipped_network_is_one_region_without_a_reformat() -> None:
    for precision in ("int8", "fp16"):
        for trt in (TensorRt(8, 6, 2), TensorRt(10, 3)):
            report = check(read_network(BUNDLE / "model.onnx"), Context(trt, precision))
            assert report.count(Device.DLA) == len(report.verdicts)
            assert (len(report.partition.regions), report.partition.reformats, report.fixes) == (1, (), ())


def test_the_quantised_graph_is_for_tensorrt_11_only() -> None:
    model = read_network(BUNDLE / "model.qdq.onnx")
    assert check(model, Context(TensorRt(11, 4, 1))).on_dla
    old = check(model, Context(TensorRt(10, 3)))
    assert {v.rule.id for v in old.verdicts if v.rule} == {"qdq"}
    assert "calibration cache" in old.fixes[0].text


# ---------------------------------------------------------------------------------------------------------- regions


def graph(edges: dict[str, list[str]], outputs: tuple[str, ...] = ()) -> Network:
    """Nodes by name and what they read; "x" is the input."""
    nodes = tuple(Node(name, "Relu", tuple(reads), (name,), {}) for name, reads in edges.items())
    shapes = {name: TensorType((1, 8, 4, 4), "float32") for name in ("x", *edges)}
    return Network(nodes, ("x",), outputs or (list(edges)[-1],), shapes, {}, 17)


def cut(edges: dict[str, list[str]], gpu: str = "", removed: str = "") -> tuple[set[frozenset[str]], tuple[str, ...]]:
    model = graph(edges)
    on_dla = {node for node in model.nodes if node.name not in gpu.split() + removed.split()}
    found = partition(model, on_dla, {node for node in model.nodes if node.name in removed.split()})
    return {frozenset(node.name for node in nodes) for nodes in found.regions}, found.reformats


@pytest.mark.parametrize(
    ("edges", "gpu", "removed", "regions", "reformats"),
    [
        ({"a": ["x"], "b": ["a"]}, "", "", ["ab"], 0),
        ({"a": ["x"], "b": ["a"], "c": ["b"]}, "b", "", ["a", "c"], 2),
        ({"a": ["x"], "b": ["a"], "c": ["b"]}, "", "b", ["ac"], 0),  # Identity between
        ({"a": ["x"], "b": ["a"]}, "b", "", ["a"], 1),  # the GPU has the last word
        ({"a": ["x"], "b": ["a"], "c": ["a", "b"]}, "b", "", ["a", "c"], 2),  # c must wait for b, so a must end first
        ({"a": ["x"], "g": ["x"], "c": ["a", "g"]}, "g", "", ["ac"], 1),  # g can come before both
        ({"a": ["x"], "b": ["x"]}, "", "", ["ab"], 0),  # all on the DLA: one loadable
        ({"a": ["x"], "b": ["a"], "c": ["a"], "d": ["b", "c"]}, "b c", "", ["a", "d"], 3),  # a leaves once, b, c enter
        ({"a": ["x"], "b": ["a"], "c": ["b"], "d": ["b"]}, "b", "", ["a", "c", "d"], 3),  # b enters two regions
    ],
)
def test_a_network_is_cut_where_the_dla_must_wait_for_the_gpu(
    edges: dict[str, list[str]], gpu: str, removed: str, regions: list[str], reformats: int
) -> None:
    found, crossings = cut(edges, gpu, removed)
    assert found == {frozenset(region) for region in regions}
    assert len(crossings) == reformats


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_regions_never_wait_for_each_other_in_a_circle(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 14))
    names = [f"n{i}" for i in range(size)]
    edges = {
        name: data.draw(st.lists(st.sampled_from(["x", *names[:i]]), min_size=1, max_size=3, unique=True))
        for i, name in enumerate(names)
    }
    model = graph(edges)
    gpu = data.draw(st.sets(st.sampled_from(names)))
    found = partition(model, {node for node in model.nodes if node.name not in gpu})
    of = {node.name: i for i, nodes in enumerate(found.regions) for node in nodes}
    assert set(of) == set(names) - gpu
    block = {name: f"region {of[name]}" if name in of else name for name in names}
    waits = {b: {block[r] for n in names if block[n] == b for r in edges[n] if r != "x"} - {b} for b in block.values()}
    while ready := [b for b, before in waits.items() if not before & waits.keys()]:
        for b in ready:
            del waits[b]
    assert not waits
    crossing = {(r, n) for n in names for r in edges[n] if r != "x" and (r in gpu) != (n in gpu)}
    assert {name for name in found.reformats} == {r for r, _ in crossing}


# ---------------------------------------------------------------------------------------------------------- command


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = dla.main(["check", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def saved(model: onnx.ModelProto, path: Path) -> Path:
    onnx.save(model, path)
    return path


def test_the_command_says_what_falls_back_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(onnx_of(BUILDERS["RetinaNet"], 64, 64), tmp_path / "retina.onnx")
    code, out, err = run(capsys, path)
    assert (code, err) == (1, "")
    assert "resize-sizes" in out and "export scales 2×2" in out and "then 0 fall back, 1 region, 0 reformats" in out
    code, out, _ = run(capsys, path, "--json")
    document = json.loads(out)
    assert code == 1 and document["on_dla"] is False and len(document["reformats"]) == 4
    assert document["nodes"] == {"dla": 49, "dla_fp16": 0, "gpu": 2, "removed": 0}
    assert {v["rule"] for v in document["verdicts"]} == {None, "resize-sizes"}


def test_the_command_shows_only_what_is_not_plain_dla_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, BUNDLE)
    assert (code, err) == (0, "") and len(out.splitlines()) < 8
    assert "1 region, 0 reformats" in out
    code, out, _ = run(capsys, BUNDLE, "--all")
    assert code == 0 and len(out.splitlines()) > 74


def test_for_tensorrt_11_a_bundle_is_its_quantised_network(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, BUNDLE, "--trt", "11.4.1")
    assert code == 0 and "model.qdq.onnx" in out and "qdq-explicit" in out and "typed-precision" not in out
    code, out, _ = run(capsys, BUNDLE / "model.onnx", "--trt", "11.4.1")
    assert code == 1 and "typed-precision" in out


def test_a_bundle_is_held_against_the_scales_of_its_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "cones.unina"
    bundle.mkdir()
    for name in ("model.onnx", "calibration.cache"):
        shutil.copy(BUNDLE / name, bundle)
    model = read_network(bundle / "model.onnx")
    concat = next(node for node in model.nodes if node.op == "Concat")
    cache = bundle / "calibration.cache"
    lines = cache.read_text().splitlines()
    one_off = [f"{concat.outputs[0]}: 41200000" if line.startswith(concat.outputs[0] + ":") else line for line in lines]
    cache.write_text("\n".join(one_off) + "\n")
    code, out, _ = run(capsys, bundle)
    assert code == 0 and "concat-scales" in out
    cache.write_text("\n".join(line for line in lines if not line.startswith(concat.outputs[0] + ":")) + "\n")
    code, out, _ = run(capsys, bundle)
    assert code == 0 and "scale-missing" in out and "DLA in FP16" in out
    cache.write_text("rubbish\n")
    code, _, err = run(capsys, bundle)
    assert code == 2 and err.count("\n") == 1 and "calibration.cache:1" in err


def test_a_format_that_the_inputs_cannot_have_is_a_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(one("Relu", MAPS), tmp_path / "relu.onnx")
    assert run(capsys, path)[0] == 0
    code, out, _ = run(capsys, path, "--input-format", "dla_hwc4")
    assert code == 1 and "format-hwc4" in out and "8 channels in dla_hwc4" in out
    code, out, _ = run(capsys, path, "--input-format", "chw16")
    assert code == 1 and "int8:chw16" in out
    assert run(capsys, path, "--input-format", "chw16", "--precision", "fp16")[0] == 0


def symbolic() -> onnx.ModelProto:
    model = conv()
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "height"
    return model


def test_symbolic_shapes_are_refused_until_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(symbolic(), tmp_path / "open.onnx")
    code, _, err = run(capsys, path)
    assert code == 2 and err.count("\n") == 1 and "height" in err and "--input-shape x0=1x8x640x6" in err
    assert run(capsys, path, "--input-shape", "x0=1x8x6x6")[0] == 0
    code, _, err = run(capsys, path, "--input-shape", "y=1x8x6x6")
    assert code == 2 and err.count("\n") == 1 and "the inputs are x0" in err
    code, _, err = run(capsys, path, "--input-shape", "x0=1x8")
    assert code == 2 and err.count("\n") == 1
    for wrong in ("x0", "x0=1x", "x0=0x8", "=1x2", "x0=1x-1", "x0=" + "9" * 30):
        with pytest.raises(SystemExit) as stopped:
            dla.main(["check", str(path), "--input-shape", wrong])
        assert stopped.value.code == 2
        capsys.readouterr()


@pytest.mark.parametrize("kind", ["missing", "empty", "rubbish", "truncated", "huge", "folder", "text", "no nodes"])
def test_what_is_no_network_gives_one_line_and_exit_2(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    whole = (BUNDLE / "model.onnx").read_bytes()
    content = {
        "empty": b"",
        "rubbish": np.random.default_rng(0).bytes(5000),
        "truncated": whole[: len(whole) // 2],
        "text": b"<!DOCTYPE html>\n<html>not found</html>\n",
        "no nodes": onnx.helper.make_model(onnx.helper.make_graph([], "g", [], [])).SerializeToString(),
    }
    if kind == "huge":
        with path.open("wb") as file:
            file.truncate(8 << 30)  # sparse: no block is written
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes(content[kind])
    code, out, err = run(capsys, path)
    assert (code, out) == (2, "") and err.count("\n") == 1 and str(path) in err


SMALL = network(
    ("Conv", [MAPS, ones(8, 8, 3, 3)], {"pads": [1, 1, 1, 1]}),
    ("Relu", ["t0"], {}),
    ("Resize", ["t1", None, np.float32([1, 1, 2, 2])], {"mode": "nearest"}),
    ("Concat", ["t2", "t2"], {"axis": 1}),
    ("Slice", ["t3", np.int64([0]), np.int64([4]), np.int64([1])], {}),
    ("MaxPool", ["t4"], {"kernel_shape": [2, 2]}),
    ("Softmax", ["t5"], {"axis": 1}),
    ("Reshape", ["t6", np.int64([1, -1])], {}),
    ("Gemm", ["t7", ones(484, 3)], {}),
).SerializeToString()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_file_is_refused_or_judged_never_a_traceback(changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(SMALL)
    for place, value in changes:
        damaged[place] = value
    try:
        model = read_network(bytes(damaged))
    except NetworkError as error:
        assert "\n" not in str(error)
        return
    report = check(model)
    assert len(report.verdicts) == len(model.nodes)


def test_500_nodes_are_checked_in_2_seconds() -> None:
    steps = [("Conv", [(1, 32, 32, 32), ones(32, 32, 3, 3)], {"pads": [1, 1, 1, 1]})]
    for i in range(1, 500):
        op = ("Relu", "Sigmoid", "HardSwish", "Conv", "Mul")[i % 5]
        reads = [f"t{i - 1}"]
        reads += {"Conv": [ones(32, 32, 1, 1)], "Mul": [f"t{i - 2}"]}.get(op, [])
        steps.append((op, reads, {}))
    content = network(*steps).SerializeToString()
    start = time.perf_counter()
    report = check(read_network(content))
    assert time.perf_counter() - start < 2
    assert len(report.verdicts) == 500 and not report.on_dla


def test_broken_versions_are_told_apart() -> None:
    report = check(read_network(one("Relu", MAPS)), Context(TensorRt(10, 9)))
    assert report.verdicts[0].rule is not None and report.verdicts[0].rule.id == "version"
    assert "TensorRT 10.3" in report.fixes[0].text
