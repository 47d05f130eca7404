"""`unina-export deepstream`: a folder that DeepStream can read, and that says of a bundle what the bundle says."""

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from glib_key_file import KeyFile
from gst_nvinfer_keys import keys_of
from untrained_bundle import untrained_bundle

from unina.cli.export import main
from unina.dla.cache_file import read_cache
from unina_runtime import Bundle, letterbox

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "recipes-ai" / "unina-model" / "files" / "cones.unina"
DEEPSTREAM = ROOT / "runtime" / "deepstream"
ON_DLA, ON_GPU, APP = "config_infer_primary.txt", "config_infer_primary_gpu.txt", "deepstream_app.txt"
BUILT_ON_THE_DEVICE = {"model-engine-file", "custom-lib-path"}

Change = Callable[[dict[str, Any]], None]


def export(bundle: Path, output: Path, *words: str) -> Path:
    assert main(["deepstream", str(bundle), "--output", str(output), *words]) == 0
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(SHIPPED, tmp_path_factory.mktemp("shipped") / "deepstream")


def changed(to: Path, change: Change) -> Path:
    """The shipped bundle with another manifest, which no digest covers, and the labels that belong to it."""
    shutil.copytree(SHIPPED, to)
    manifest = json.loads((to / "manifest.json").read_text())
    change(manifest)
    (to / "manifest.json").write_text(json.dumps(manifest))
    add_file(to, "labels.txt", "".join(f"{name}\n" for name in manifest["classes"]))
    return to


def add_file(bundle: Path, name: str, text: str) -> None:
    (bundle / name).write_text(text)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(text.encode()).hexdigest(), "bytes": len(text)}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def values(file: Path, group: str) -> dict[str, str]:
    key_file = KeyFile(file)
    return {key: key_file.string(group, key) for key in key_file.keys(group)}


def check_keys(file: Path, *, application: bool = False) -> int:
    """Every key is a documented one, reads as its type does, and has a legal value. Returns how many there were."""
    key_file, count = KeyFile(file), 0
    for group in key_file.groups():
        documented = keys_of(group, application=application)
        for name in key_file.keys(group):
            assert name in documented, f"{file.name}: [{group}] {name} is not documented"
            key = documented[name]
            if key.kind in ("strings", "doubles"):
                texts = key_file.strings(group, name)
            elif key.kind in ("integer", "double"):
                texts = [str(getattr(key_file, key.kind)(group, name))]
            else:
                texts = [key_file.string(group, name)]
            assert texts and all(map(key.legal, texts)), f"{file.name}: [{group}] {name}={texts}"
            count += 1
    return count


def test_every_key_is_documented_and_every_value_legal_as_glib_reads_them(folder: Path) -> None:
    assert check_keys(folder / ON_DLA) > 20
    assert check_keys(folder / ON_GPU) > 20
    assert check_keys(folder / APP, application=True) > 20


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (ON_DLA, "network-mode=1", "network-mode=int8"),
        (ON_DLA, "cluster-mode=4", "cluster-mode=5"),
        (ON_DLA, "symmetric-padding=1", "symetric-padding=1"),
        (ON_DLA, "offsets=128;128;128", "offsets=128;grey"),
        (ON_DLA, "pre-cluster-threshold=0.", "pre-cluster-threshold=1."),
        (ON_DLA, "topk=300", "topk=-1"),
        (ON_DLA, "[class-attrs-1]", "[class-attrs-x]"),
        (APP, "[streammux]", "[stream-mux]"),
        (APP, "type=3", "type=9"),
    ],
)
def test_the_check_itself_notices_what_deepstream_would_not_take(
    folder: Path, tmp_path: Path, file: str, old: str, new: str
) -> None:
    text = (folder / file).read_text()
    assert old in text
    (tmp_path / file).write_text(text.replace(old, new))
    with pytest.raises((AssertionError, ValueError, KeyError)):
        check_keys(tmp_path / file, application=file == APP)


def test_the_folder_is_whole_and_every_path_stays_in_it(folder: Path) -> None:
    for file in (ON_DLA, ON_GPU):
        for key, value in values(folder / file, "property").items():
            if key.endswith(("-file", "-path")):
                assert "/" not in value, "relative to the configuration's own folder"
                assert (folder / value).is_file() or key in BUILT_ON_THE_DEVICE, f"{key}={value}"
    assert (folder / values(folder / APP, "primary-gie")["config-file"]).is_file()
    onnx = values(folder / ON_DLA, "property")["onnx-file"]
    assert (folder / onnx).read_bytes() == (SHIPPED / "model.onnx").read_bytes()
    assert (folder / "labels.txt").read_text().splitlines() == Bundle(SHIPPED).manifest["classes"]
    assert read_cache(folder / "calibration.cache").scales == read_cache(SHIPPED / "calibration.cache").scales


def test_classes_thresholds_and_outputs_are_the_manifests(folder: Path) -> None:
    manifest = Bundle(SHIPPED).manifest
    for file in (ON_DLA, ON_GPU):
        key_file = KeyFile(folder / file)
        assert key_file.integer("property", "num-detected-classes") == len(manifest["classes"])
        groups = [group for group in key_file.groups() if re.fullmatch(r"class-attrs-\d+", group)]
        assert groups == [f"class-attrs-{number}" for number in range(len(manifest["classes"]))]
        found = [key_file.double(group, "pre-cluster-threshold") for group in groups]
        assert np.float32(found).tolist() == np.float32(manifest["thresholds"]).tolist()
        outputs = [tensor["name"] for tensor in manifest["tensors"] if tensor["role"] == "output"]
        assert sorted(key_file.strings("property", "output-blob-names")) == sorted(outputs)
        assert key_file.integer("class-attrs-all", "topk") == manifest["max_detections"]
        assert key_file.integer("property", "network-mode") == 1, "INT8"


def network_input(file: Path, pixels: np.ndarray, scale: float) -> np.ndarray:
    """What nvinfer's formula and TensorRT's quantisation make of RGB pixels, h×w×3, as int8 in the network's order."""
    key_file = KeyFile(file)
    offsets = np.array([float(text) for text in key_file.strings("property", "offsets")])
    y = key_file.double("property", "net-scale-factor") * (pixels - offsets)
    order = {0: slice(None), 1: slice(None, None, -1)}[key_file.integer("property", "model-color-format")]
    return np.clip(np.rint(y / scale), -128, 127)[..., order]


@pytest.mark.parametrize("color", ["rgb", "bgr"])
def test_every_pixel_that_needs_no_resizing_becomes_what_our_letterbox_makes_of_it(tmp_path: Path, color: str) -> None:
    bundle = changed(tmp_path / "b.unina", lambda manifest: manifest["input"].update(color=color))
    folder = export(bundle, tmp_path / "ds")
    told = Bundle(bundle).manifest["input"]
    rgb = np.random.default_rng(0).integers(0, 256, (told["height"], told["width"], 3), dtype=np.uint8)
    rgb[0, :256] = np.arange(256)[:, None]
    ours, _ = letterbox(rgb[..., ::-1], told["height"], told["width"], value=128, color=color)
    scale = float(read_cache(folder / "calibration.cache").scales[told["name"]])
    np.testing.assert_array_equal(network_input(folder / ON_DLA, rgb, scale), ours.astype(int) - 128)


def test_the_dla_and_the_gpu_differ_in_the_device_alone(folder: Path) -> None:
    dla, gpu = (values(folder / file, "property") for file in (ON_DLA, ON_GPU))
    assert (dla.pop("enable-dla"), dla.pop("use-dla-core")) == ("1", "0")
    for device, keys in (("dla0", dla), ("gpu0", gpu)):
        # As nvinfer names what it saves: beside the ONNX file, with batch, device and precision.
        assert keys.pop("model-engine-file") == f"{keys['onnx-file']}_b{keys['batch-size']}_{device}_int8.engine"
    assert dla == gpu


def test_the_engine_of_one_export_is_never_taken_for_anothers(tmp_path: Path, folder: Path) -> None:
    other = changed(tmp_path / "b.unina", lambda manifest: manifest["provenance"].update(created="later"))
    names = {values(path / ON_DLA, "property")["model-engine-file"] for path in (folder, export(other, tmp_path / "b"))}
    assert len(names) == 2


def test_the_bundle_stays_as_it_is(tmp_path: Path) -> None:
    bundle = changed(tmp_path / "b.unina", lambda _: None)
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    export(bundle, tmp_path / "ds")
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_was_exported_from_a_checkpoint_and_from_anybodys_onnx_is_taken_if_it_detects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours, data = untrained_bundle(tmp_path)
    levels = [
        word for one in Bundle(ours).manifest["levels"] for word in ("--level", "{stride}={class},{box}".format(**one))
    ]
    words = ["--from-onnx", str(ours / "model.onnx"), "--data", str(data), "--calibration-images", "2", "--no-accuracy"]
    for name, more in (("detector", levels), ("maps", [])):
        assert main([*words, "--json", "--output", str(tmp_path / f"{name}.unina"), *more]) == 0
    for bundle in (ours, tmp_path / "detector.unina"):
        folder = export(bundle, tmp_path / f"of-{bundle.stem}")
        assert check_keys(folder / ON_DLA) > 20
        manifest = Bundle(bundle).manifest
        assert KeyFile(folder / ON_DLA).integer("property", "num-detected-classes") == len(manifest["classes"])
    capsys.readouterr()
    assert main(["deepstream", str(tmp_path / "maps.unina"), "--output", str(tmp_path / "of-maps")]) == 2
    assert "its decode is raw" in capsys.readouterr().err


def test_nms_is_nvinfers_when_it_is_asked_for_and_only_then(tmp_path: Path, folder: Path) -> None:
    assert values(folder / ON_DLA, "property")["cluster-mode"] == "4"
    assert "nms-iou-threshold" not in values(folder / ON_DLA, "class-attrs-all")
    asked = export(SHIPPED, tmp_path / "nms", "--nms", "0.55")
    for file in (ON_DLA, ON_GPU):
        check_keys(asked / file)
        assert values(asked / file, "property")["cluster-mode"] == "2"
        assert values(asked / file, "class-attrs-all")["nms-iou-threshold"] == "0.55"


def test_promoted_layers_stay_in_fp16_on_their_device(tmp_path: Path) -> None:
    bundle = changed(tmp_path / "b.unina", lambda _: None)
    add_file(bundle, "layer_precisions.txt", "/head/a/Conv:fp16\n/head/b/Conv:fp16\n")
    folder = export(bundle, tmp_path / "ds")
    for file, device in ((ON_DLA, "dla"), (ON_GPU, "gpu")):
        check_keys(folder / file)
        listed = KeyFile(folder / file).strings("property", "layer-device-precision")
        assert listed == [f"/head/a/Conv:fp16:{device}", f"/head/b/Conv:fp16:{device}"]


def test_the_cache_is_headed_for_the_tensorrt_that_is_asked_for(tmp_path: Path, folder: Path) -> None:
    assert (folder / "calibration.cache").read_bytes() == (SHIPPED / "calibration.cache").read_bytes()
    other = export(SHIPPED, tmp_path / "ds", "--trt", "8.6.2")
    lines = (other / "calibration.cache").read_text().splitlines()
    assert lines[0] == "TRT-8602-EntropyCalibration2"
    assert lines[1:] == (folder / "calibration.cache").read_text().splitlines()[1:]


def test_json_says_what_was_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export(SHIPPED, tmp_path / "ds", "--json")
    told = json.loads(capsys.readouterr().out)
    assert told["files"] == sorted(path.name for path in (tmp_path / "ds").iterdir())


def test_what_the_configuration_says_of_the_parser_is_what_the_parser_is(folder: Path) -> None:
    told = values(folder / ON_DLA, "property")
    assert f"bool {told['parse-bbox-func-name']}(" in (DEEPSTREAM / "parser.cpp").read_text()
    target = told["custom-lib-path"].removeprefix("lib").removesuffix(".so")
    assert f"add_library({target} MODULE" in (DEEPSTREAM / "CMakeLists.txt").read_text()
    most = re.search(r"kMaxDetections = (\d+);", (DEEPSTREAM / "network_maps.cpp").read_text())
    assert most is not None
    assert int(values(folder / ON_DLA, "class-attrs-all")["topk"]) <= int(most[1])


def to_schema_2(manifest: dict[str, Any]) -> None:
    manifest |= {"schema": 2, "decode": "raw"}
    for key in ("levels", "reg_max", "thresholds", "max_detections", "selftest"):
        del manifest[key]


def ambiguous(manifest: dict[str, Any]) -> None:
    """Sixteen bins for each of four sides, and 64 classes, under names of another house."""
    manifest["classes"] = [f"c{number}" for number in range(64)]
    manifest["thresholds"] = [0.5] * 64
    for level, one in enumerate(manifest["levels"]):
        for key in ("class", "box"):
            tensor = next(tensor for tensor in manifest["tensors"] if tensor["name"] == one[key])
            tensor["shape"][1] = 64
            one[key] = tensor["name"] = f"/head/{key}{level}/Conv_output_0"


def rename_an_output(manifest: dict[str, Any]) -> None:
    manifest["levels"][0]["class"] = "p2;class"
    next(tensor for tensor in manifest["tensors"] if tensor["name"] == "p2_class")["name"] = "p2;class"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (to_schema_2, "its decode is raw, and DeepStream's parser decodes detectors"),
        (ambiguous, "64 channels each, and only names that end in _class and _box would tell them apart"),
        (rename_an_output, "'p2;class': DeepStream's configuration cannot hold this name"),
        (lambda manifest: manifest["classes"].__setitem__(0, "blue;cone"), "a class name with a semicolon"),
        (lambda manifest: manifest.update(max_detections=301), "max_detections is 301, the parser gives 300"),
    ],
)
def test_a_bundle_that_the_parser_cannot_decode_is_refused_in_one_line(
    tmp_path: Path, change: Change, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = changed(tmp_path / "b.unina", change)
    assert main(["deepstream", str(bundle), "--output", str(tmp_path / "ds")]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1 and said.startswith("unina-export deepstream: ")
    assert [path.name for path in tmp_path.iterdir()] == ["b.unina"]


def test_maps_of_equal_size_are_taken_where_our_names_tell_them_apart(tmp_path: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        ambiguous(manifest)
        for level, one in enumerate(manifest["levels"]):
            for key in ("class", "box"):
                tensor = next(tensor for tensor in manifest["tensors"] if tensor["name"] == one[key])
                one[key] = tensor["name"] = f"p{level}_{key}"

    export(changed(tmp_path / "b.unina", change), tmp_path / "ds")


@pytest.mark.parametrize("name", ["../../evil", "ds;x=1", "ein Gerät", "-rf", "..."])
def test_a_name_of_any_kind_stays_one_file_in_the_folder_and_one_comment(tmp_path: Path, name: str) -> None:
    bundle = changed(tmp_path / "b.unina", lambda manifest: manifest.update(name=name))
    folder = export(bundle, tmp_path / "ds")
    check_keys(folder / ON_DLA)
    onnx = values(folder / ON_DLA, "property")["onnx-file"]
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.onnx", onnx)
    assert (folder / onnx).is_file()


def test_what_stands_there_is_never_replaced_and_nothing_goes_into_a_bundle(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").mkdir()
    bundle = changed(tmp_path / "b.unina", lambda _: None)
    for output, told in [
        (tmp_path / "there", "exists; remove it, or choose another --output"),
        (bundle / "deepstream", "lies in a bundle, which holds only what its manifest names"),
    ]:
        assert main(["deepstream", str(bundle), "--output", str(output)]) == 2
        assert told in capsys.readouterr().err
    assert not (bundle / "deepstream").exists() and not list((tmp_path / "there").iterdir())


def test_a_damaged_bundle_and_one_that_is_none_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = changed(tmp_path / "b.unina", lambda _: None)
    (bundle / "calibration.cache").write_text("TRT-100300-EntropyCalibration2\nimages: 3f800000\n")
    for path in (bundle, tmp_path / "nothing.unina"):
        assert main(["deepstream", str(path), "--output", str(tmp_path / "ds")]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "ds").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trt", "11.4.1"], "reads no calibration cache"),
        (["--trt", "ten"], "not a version"),
        (["--nms", "1.5"], "an overlap (IoU) between 0 and 1"),
        (["--nms", "nan"], "an overlap (IoU) between 0 and 1"),
    ],
)
def test_a_wrong_word_is_told_and_nothing_written(
    tmp_path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = main(["deepstream", str(SHIPPED), "--output", str(tmp_path / "ds"), *words])
    except SystemExit as error:
        code = int(str(error.code))
    assert code == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "ds").exists()
