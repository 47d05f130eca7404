"""`unina-compile` calls trtexec with exactly the flags that `unina-dla command` prints for the same bundle."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unina.cli.dla import main
from unina.cli.dla_command import LAYOUTS
from unina.dla.network import read_network
from unina.dla.rules.build import format_fault
from unina.dla.tensorrt import TensorRt as WorkstationTensorRt
from unina_runtime.compile.manifest import DLA_FORMATS, parse_manifest
from unina_runtime.compile.run import compilation
from unina_runtime.compile.signature import TrustedKeys
from unina_runtime.compile.store import BUNDLE
from unina_runtime.compile.trtexec_flags import Compilation
from unina_runtime.compile.verified_bundle import copy_verified
from unina_runtime.compile.versions import TensorRt

SHIPPED = Path(__file__).parents[2] / "recipes-ai" / "unina-model" / "files" / "cones.unina"


def as_shipped(bundle: Path) -> None:
    pass


def with_inner_layer_in_fp16(bundle: Path) -> None:
    convolutions = [node for node in read_network(bundle / "model.onnx").nodes if node.op == "Conv"]
    reseal(bundle, [convolutions[2].name, convolutions[3].name], lambda manifest: None)


def with_output_in_fp16(bundle: Path) -> None:
    network = read_network(bundle / "model.onnx")

    def change(manifest: dict[str, Any]) -> None:
        tensor = next(t for t in manifest["tensors"] if t["name"] == output)
        del tensor["scale"], tensor["scale_bits"]
        tensor.update(dtype="float16", format="chw16")

    manifest = json.loads((bundle / "manifest.json").read_text())
    output = manifest["levels"][0]["class"]
    reseal(bundle, [network.producers[output].name], change)


def with_linear_borders(bundle: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        for tensor in manifest["tensors"]:
            tensor["format"] = "linear"

    reseal(bundle, [], change)


def reseal(bundle: Path, layers: list[str], change: Callable[[dict[str, Any]], None]) -> None:
    if layers:
        (bundle / "layer_precisions.txt").write_text("".join(f"{name}:fp16\n" for name in layers))
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    manifest["files"] = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in bundle.iterdir()
        if path.name != "manifest.json"
    }
    (bundle / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("change", [as_shipped, with_inner_layer_in_fp16, with_output_in_fp16, with_linear_borders])
@pytest.mark.parametrize("core", [0, 1])
@pytest.mark.parametrize("tensorrt", [TensorRt(8, 6, 2), TensorRt(10, 3, 0), TensorRt(11, 4, 1)], ids=str)
def test_the_flags_are_those_of_the_workstation(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    core: int,
    tensorrt: TensorRt,
) -> None:
    bundle = tmp_path / "source.unina"
    shutil.copytree(SHIPPED, bundle)
    change(bundle)
    copy = copy_verified(bundle, TrustedKeys(), tmp_path / BUNDLE)
    ours = compilation(copy, tmp_path, f"dla{core}", tensorrt).arguments
    monkeypatch.chdir(tmp_path)  # its copy and output have the same names here and there
    options = ["--json", "--trt", str(tensorrt), "--dla-core", str(core), "--output", "loadable.bin"]
    assert main(["command", BUNDLE, *options]) == 0
    theirs = json.loads(capsys.readouterr().out)["arguments"]
    assert theirs[0] == "trtexec"
    # The cache is the bundle's with another first line
    assert list(ours) == [flag.replace("--calib=bundle/", "--calib=") for flag in theirs[1:]]
    if not tensorrt.strongly_typed:
        lines = (tmp_path / "calibration.cache").read_text().splitlines()
        assert lines[0] == f"TRT-{tensorrt.number}-EntropyCalibration2"
        assert lines[1:] == (bundle / "calibration.cache").read_text().splitlines()[1:]


def test_the_formats_that_cross_the_border_are_those_of_the_rules() -> None:
    types = {"int8": "int8", "float16": "fp16"}
    for role in ("input", "output"):
        for dtype, kind in types.items():
            for layout, word in {**LAYOUTS, "chw4": "chw4"}.items():
                allowed = format_fault(role, kind, word, 3) is None
                if role == "input" and dtype == "float16":  # the network takes int8 (docs/bundle.md)
                    allowed = False
                assert ((role, dtype, layout) in DLA_FORMATS) == allowed, (role, dtype, layout)
                if allowed:
                    assert DLA_FORMATS[role, dtype, layout] == f"{kind}:{word}"


@pytest.mark.parametrize("number", [8502, 8601, 8602, 100000, 100300, 100700, 100800, 101600, 110000, 110400, 110401])
def test_versions_are_those_of_the_workstation(number: int) -> None:
    ours, theirs = TensorRt.of_number(number), WorkstationTensorRt.of_cache(number)
    assert (ours.major, ours.minor, ours.patch) == (theirs.major, theirs.minor, theirs.patch)
    assert ours.number == theirs.cache_number == number
    assert ours.strongly_typed == theirs.strongly_typed
    old = number < 8600  # the line itself refuses it there
    assert bool(ours.without_dla) == (theirs.without_dla is not None or old)


def test_no_text_of_a_manifest_is_among_the_flags() -> None:
    document = json.loads((SHIPPED / "manifest.json").read_text())
    document["name"] = "--name"
    for tensor in document["tensors"]:
        tensor["name"] = "--tensor,x"
    named, plain = (
        parse_manifest(content, "manifest.json")
        for content in (json.dumps(document).encode(), (SHIPPED / "manifest.json").read_bytes())
    )
    for core in ("dla0", "gpu"):
        flags = [
            Compilation(manifest, TensorRt(10, 3, 0), core, BUNDLE, "calibration.cache", "out").arguments
            for manifest in (named, plain)
        ]
        assert flags[0] == flags[1]
