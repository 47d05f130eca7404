"""`unina-export tensorrt-plugin` writes a node that the plugin itself takes, and it finds what the runtime finds."""

import ctypes
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from unina.cli.export import main as export
from unina.data import read_image
from unina.evaluate.nms import class_wise_nms
from unina.evaluate.raw_maps import OnnxMaps
from unina.export.decode_plugin import OUTPUTS, with_decode_plugin
from unina_runtime import Detections, decode, letterbox

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "recipes-ai" / "unina-model" / "files" / "cones.unina"
INT32, FLOAT32 = 5, 1  # as TensorRT numbers the types of a field
MANIFEST = json.loads((BUNDLE / "manifest.json").read_text())


@pytest.fixture(scope="module")
def boxes_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "boxes.onnx"
    assert export(["tensorrt-plugin", str(BUNDLE), "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The plugin, its kernels played on the CPU."""
    folder, made = ROOT / "runtime", tmp_path_factory.mktemp("host") / "plugin.so"
    parts = ("decode_plan", "decode_fields", "decode_plugin", "decode_creator")
    tests = ROOT / "tests" / "runtime"
    sources = [*(folder / "tensorrt-plugin" / f"{part}.cpp" for part in parts)]
    sources += [tests / "played_launch.cpp", tests / "plugin_host.cpp"]
    includes = [f"-I{one}" for one in (folder / "tensorrt-plugin", folder / "include", folder / "src", tests)]
    flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-shared", "-fPIC", *includes]
    command = [os.environ.get("CXX", "g++"), *flags, *map(str, sources), "-o", str(made)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(made))


def fields_of(plugin: ctypes.CDLL, node: onnx.NodeProto) -> list[tuple[bytes, int, np.ndarray]]:
    """A node's attributes as TensorRT's ONNX parser hands them on: those that the creator names, in 32 bits."""
    names = (ctypes.c_char_p * 16)()
    asked = names[: plugin.field_names(names, 16)]
    given = {one.name.encode(): np.atleast_1d(onnx.helper.get_attribute_value(one)) for one in node.attribute}
    assert set(given) == {*asked, b"plugin_version", b"plugin_namespace"}
    whole = {name: given[name].dtype.kind == "i" for name in asked}
    kinds = {name: (INT32, np.int32) if is_whole else (FLOAT32, np.float32) for name, is_whole in whole.items()}
    return [(name, kinds[name][0], given[name].astype(kinds[name][1])) for name in asked]


def run_plugin(plugin: ctypes.CDLL, node: onnx.NodeProto, maps: dict[str, Any]) -> list[Detections]:
    """What the plugin makes of the maps that the node reads, picture by picture."""
    fields = fields_of(plugin, node)
    inputs = [np.ascontiguousarray(maps[name], np.float32) for name in node.input]
    most = int(next(value[0] for name, _, value in fields if name == b"max_detections"))
    pictures = len(inputs[0])
    count, classes = np.full((pictures, 1), 99, np.int32), np.full((pictures, most), 99, np.int32)
    boxes, scores = np.zeros((pictures, most, 4), np.float32), np.zeros((pictures, most), np.float32)

    def pointers(arrays: list[np.ndarray]) -> Any:
        return (ctypes.c_void_p * len(arrays))(*(one.ctypes.data for one in arrays))

    shapes = np.array([one.shape for one in inputs], np.int64)
    failed = plugin.run_plugin(
        len(fields), (ctypes.c_char_p * len(fields))(*(name for name, _, _ in fields)),
        (ctypes.c_int * len(fields))(*(kind for _, kind, _ in fields)),
        (ctypes.c_int * len(fields))(*(len(value) for _, _, value in fields)),
        pointers([value for _, _, value in fields]), len(inputs), ctypes.c_void_p(shapes.ctypes.data),
        pointers(inputs), pointers([count, boxes, scores, classes]),
    )  # fmt: skip
    assert failed == 0
    return [Detections(boxes[i, :n], scores[i, :n], classes[i, :n]) for i, n in enumerate(count[:, 0])]


@pytest.fixture(scope="module")
def maps() -> dict[str, np.ndarray]:
    """Of the self-test's picture and of its mirror image: a batch of two."""
    wanted = MANIFEST["input"]
    picture = read_image(BUNDLE / "selftest.png")
    network, found = OnnxMaps(BUNDLE / "model.onnx", threads=2), []
    for one in (picture, picture[:, ::-1].copy()):
        pixels, _ = letterbox(
            one, wanted["height"], wanted["width"], value=wanted["letterbox_value"], color=wanted["color"]
        )
        values = (pixels.transpose(2, 0, 1)[None].astype(np.float32) - wanted["offset"]) * wanted["scale"]
        found.append(network(np.ascontiguousarray(values, np.float32)))
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def decoded(
    maps: dict[str, np.ndarray], picture: int, manifest: dict[str, Any] = MANIFEST, most: int | None = None
) -> Detections:
    levels = manifest["levels"]
    return decode(
        [maps[level["class"]][picture] for level in levels],
        [maps[level["box"]][picture] for level in levels],
        strides=[level["stride"] for level in levels],
        reg_max=manifest["reg_max"],
        thresholds=manifest["thresholds"],
        max_detections=most or manifest["max_detections"],
    )


def assert_equal(found: Detections, expected: Detections) -> None:
    np.testing.assert_array_equal(found.classes, expected.classes)
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def test_the_node_makes_a_plugin_that_finds_what_the_runtime_finds(
    boxes_onnx: Path, plugin: ctypes.CDLL, maps: dict[str, np.ndarray]
) -> None:
    node = onnx.load(boxes_onnx).graph.node[-1]
    found = run_plugin(plugin, node, maps)
    for picture, one in enumerate(found):
        assert len(one) >= len(MANIFEST["selftest"]["expected"])
        assert_equal(one, decoded(maps, picture))


def test_with_nms_it_finds_what_class_wise_nms_leaves(plugin: ctypes.CDLL, maps: dict[str, np.ndarray]) -> None:
    everything = {**MANIFEST, "thresholds": [0.001] * len(MANIFEST["classes"])}
    node = with_decode_plugin(onnx.load(BUNDLE / "model.onnx"), everything, 0.3).graph.node[-1]
    for picture, one in enumerate(run_plugin(plugin, node, maps)):
        before = decoded(maps, picture, everything, 1024)  # so many the plugin looks at
        expected = class_wise_nms(before, 0.3)
        assert len(expected) < len(before)
        most = MANIFEST["max_detections"]
        assert_equal(one, Detections(expected.boxes[:most], expected.scores[:most], expected.classes[:most]))


def test_the_network_before_the_node_is_the_bundle_s(boxes_onnx: Path) -> None:
    made, model = onnx.load(boxes_onnx), onnx.load(BUNDLE / "model.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert list(made.graph.node)[:-1] == list(model.graph.node)
    assert list(made.graph.initializer) == list(model.graph.initializer)
    assert list(made.graph.input) == list(model.graph.input)
    assert list(made.graph.node[-1].input) == [output.name for output in model.graph.output]
    shapes = [[one.dim_value for one in output.type.tensor_type.shape.dim] for output in made.graph.output]
    assert dict(zip(OUTPUTS, shapes, strict=True)) == {
        "num_detections": [1, 1], "detection_boxes": [1, 300, 4], "detection_scores": [1, 300],
        "detection_classes": [1, 300],
    }  # fmt: skip


def test_an_open_batch_stays_open() -> None:
    model = onnx.load(BUNDLE / "model.onnx")
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    made = with_decode_plugin(model, MANIFEST)
    assert [output.type.tensor_type.shape.dim[0].dim_param for output in made.graph.output] == ["batch"] * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"levels": [{"stride": 4, "class": "x", "box": "p2_box"}]}, "no output x, which manifest.json names"),
        ({"nms": 1.5}, "NMS at an IoU of 1.5: expected 0 to 1"),
        ({"levels": None, "decode": "classify"}, "no boxes to decode: its decode is 'classify'"),
    ],
)
def test_what_cannot_be_decoded_is_refused(change: dict[str, Any], message: str) -> None:
    manifest = {name: value for name, value in (MANIFEST | change).items() if value is not None}
    with pytest.raises(ValueError, match=message):
        with_decode_plugin(onnx.load(BUNDLE / "model.onnx"), manifest, change.get("nms", 1.0))


def test_bad_input_is_one_line_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    there = tmp_path / "there.onnx"
    there.write_text("mine")
    for bundle, output, message in (
        (BUNDLE, there, "there.onnx: exists; remove it"),
        (BUNDLE, tmp_path / "none" / "x.onnx", "x.onnx: No such file"),
        (BUNDLE, BUNDLE / "x.onnx", "lies in the bundle"),
        (tmp_path / "none.unina", tmp_path / "x.onnx", "none.unina"),
    ):
        assert export(["tensorrt-plugin", str(bundle), "--output", str(output)]) == 2
        said = capsys.readouterr()
        assert said.out == "" and said.err.startswith("unina-export tensorrt-plugin: ") and said.err.count("\n") == 1
        assert message in said.err
    assert there.read_text() == "mine" and list(tmp_path.iterdir()) == [there]
    with pytest.raises(SystemExit) as ended:
        export(["tensorrt-plugin", str(BUNDLE), "--output", str(tmp_path / "x.onnx"), "--nms", "1"])
    assert ended.value.code == 2 and "such as 0.6" in capsys.readouterr().err
