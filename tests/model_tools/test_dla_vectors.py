"""`unina-dla vectors`: what is written is what the engine computes, and what comes back is told apart by mode."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_evaluate_command import SPEC
from untrained_bundle import untrained_bundle

from unina.cli.dla import main
from unina.evaluate.replay import Agreement
from unina.evaluate.surface import Surface
from unina_runtime import HostEngine, letterbox

MODES = ["half-away fp32", "half-away fp19", "half-even fp32", "half-even fp19"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained_bundle(tmp_path_factory.mktemp("run"))[0]


@pytest.fixture(scope="module")
def written(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two vectors with the answers of every mode."""
    folder = tmp_path_factory.mktemp("vectors") / "out"
    words = ["--output", folder, "--count", 2, "--seed", 3, "--rounding", "all", "--pointwise", "all"]
    assert main([str(word) for word in ("vectors", bundle, *words)]) == 0
    return folder


@pytest.fixture
def vectors(written: Path, tmp_path: Path) -> Path:
    """A copy of `written` to put answers into."""
    return Path(shutil.copytree(written, tmp_path / "vectors"))


def index_of(vectors: Path) -> dict[str, Any]:
    return json.loads((vectors / "vectors.json").read_text())


def answer(vectors: Path, mode: str, layout: str = "chw32") -> None:
    """As if a device computed in `mode` and returned raw buffers."""
    for folder in ("000", "001"):
        expected = vectors / folder / "expected" / mode.replace(" ", "-")
        (vectors / folder / "returned").mkdir()
        for file in expected.glob(f"*.{layout}.bin"):
            shutil.copy(file, vectors / folder / "returned" / file.name)


def export_json(vectors: Path, mode: str, change: Callable[[list[dict[str, Any]]], Any] = lambda tensors: None) -> None:
    """As trtexec --exportOutput writes it; `change` damages the first vector's."""
    shapes = {tensor["name"]: tensor["shape"] for tensor in index_of(vectors)["tensors"]}
    for folder in ("000", "001"):
        tensors = []
        for file in sorted((vectors / folder / "expected" / mode.replace(" ", "-")).glob("*.linear.bin")):
            name = file.name.removesuffix(".linear.bin")
            values = np.fromfile(file, np.int8).tolist()
            tensors.append({"name": name, "dimensions": "x".join(map(str, (1, *shapes[name]))), "values": values})
        if folder == "000":
            tensors = change(tensors) or tensors
        (vectors / folder / "returned.json").write_text(json.dumps(tensors))


def compared(capsys: pytest.CaptureFixture[str], bundle: Path, vectors: Path, *words: object) -> tuple[int, dict]:
    capsys.readouterr()
    code = main([str(word) for word in ("vectors", bundle, "--compare", vectors, "--json", *words)])
    return code, json.loads(capsys.readouterr().out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one line of a command that can't say."""
    capsys.readouterr()
    assert main([str(word) for word in ("vectors", *words)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("unina-dla: ")
    return err


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_a_surface_holds_every_element_where_the_format_says(data: st.DataObject) -> None:
    layout = data.draw(st.sampled_from(["linear", "hwc4", "chw32"]))
    channels = data.draw(st.integers(1, 4 if layout == "hwc4" else 70))
    height, width = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 40))
    surface = Surface("t", "output", (channels, height, width), layout, "3f800000")
    values = np.random.default_rng(0).integers(1, 128, surface.shape).astype(np.int8)  # no zeros
    content = surface.pack(values)
    assert len(content) == surface.buffer_bytes and (surface.unpack(content) == values).all()
    offset = {
        "linear": lambda c, y, x: (c * height + y) * width + x,
        "hwc4": lambda c, y, x: y * (-(-4 * width // 64) * 64) + 4 * x + c,
        "chw32": lambda c, y, x: ((c // 32 * height + y) * width + x) * 32 + c % 32,
    }[layout]
    at = np.frombuffer(content, np.int8)
    for c, y, x in np.ndindex(*surface.shape):
        assert at[offset(c, y, x)] == values[c, y, x]
    assert np.count_nonzero(at) == values.size  # the rest is zero
    with pytest.raises(ValueError, match="bytes"):
        surface.unpack(content + b"\0")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"dtype": "fp16"}, "expected int8"),
        ({"dtype": "float16", "format": "chw16"}, "tensor t: float16; test vectors count in steps of int8"),
        ({"format": "linear"}, "expected int8 in hwc4, chw32"),
        ({"shape": [2, 3, 4, 5]}, "expected int8"),
        ({"shape": [1, 5, 4, 5]}, "four channels at most"),
        ({"shape": 7}, "a tensor without"),
        ({"role": "state"}, "expected int8"),
    ],
)
def test_tensors_that_are_no_buffers_of_the_dla_are_named(change: dict[str, Any], reason: str) -> None:
    tensor = {"name": "t", "shape": [1, 3, 4, 5], "scale_bits": "3f800000", "role": "input", "dtype": "int8"}
    tensor["format"] = "hwc4"
    assert Surface.of_manifest(tensor).buffer_bytes == 4 * 64
    with pytest.raises(ValueError, match=reason):
        Surface.of_manifest({**tensor, **change})


def test_the_files_are_the_networks_input_and_the_engines_answers(bundle: Path, written: Path) -> None:
    index = index_of(written)
    surfaces = {tensor["name"]: tensor for tensor in index["tensors"]}
    assert surfaces["images"]["layout"] == "hwc4" and {s["layout"] for s in surfaces.values()} == {"hwc4", "chw32"}
    height, width = SPEC.input_height, SPEC.input_width
    for vector in index["vectors"]:
        row = surfaces["images"]["row_bytes"]
        raw = np.fromfile(written / vector["inputs"]["images"]["file"], np.int8).reshape(height, row // 4, 4)
        assert row % 64 == 0 and not raw[:, width:].any() and not raw[..., 3].any()
        q = np.ascontiguousarray(raw[:, :width, :3].transpose(2, 0, 1)[None])
        assert list(vector["expected"]) == MODES
        for mode, outputs in vector["expected"].items():
            answers = HostEngine(bundle / "host.loadable", 1, *mode.split()).run({"images": q})
            for name, files in outputs.items():
                linear = np.fromfile(written / files["linear"]["file"], np.int8)
                assert (linear == answers[name].ravel()).all()
                assert (written / files["chw32"]["file"]).stat().st_size == surfaces[name]["bytes"]
        for entry in (
            vector["inputs"]["images"],
            *(f for o in vector["expected"].values() for t in o.values() for f in t.values()),
        ):
            assert hashlib.sha256((written / entry["file"]).read_bytes()).hexdigest() == entry["sha256"]


def test_the_same_seed_writes_the_same_bytes_and_another_one_others(bundle: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        words = ["--output", tmp_path / name, "--count", 1, "--seed", seed]
        assert main([str(word) for word in ("vectors", bundle, *words)]) == 0
    files = {p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()}
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
    image = Path("000/images.hwc4.bin")
    assert (tmp_path / "a" / image).read_bytes() != (tmp_path / "c" / image).read_bytes()
    assert list(index_of(tmp_path / "a")["vectors"][0]["expected"]) == ["half-away fp32"]  # the bundle's own mode


def test_pictures_of_a_folder_are_letterboxed_as_everywhere(bundle: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (70, 50, 3), dtype=np.uint8)
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "b.png"), pixels)
    cv2.imwrite(str(tmp_path / "in" / "a.png"), pixels[::-1])
    words = ["--output", tmp_path / "out", "--images", tmp_path / "in", "--count", 9]
    assert main([str(word) for word in ("vectors", bundle, *words)]) == 0
    assert [vector["picture"] for vector in index_of(tmp_path / "out")["vectors"]] == ["a.png", "b.png"]
    expected, _ = letterbox(pixels, SPEC.input_height, SPEC.input_width)
    raw = np.fromfile(tmp_path / "out" / "001" / "images.hwc4.bin", np.int8).reshape(SPEC.input_height, -1, 4)
    assert (raw[:, : SPEC.input_width, :3].astype(np.int16) + 128 == expected).all()


@pytest.mark.parametrize("mode", MODES)
def test_a_device_in_a_mode_agrees_with_that_mode_and_no_other(
    bundle: Path, vectors: Path, mode: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(vectors, mode)
    code, result = compared(capsys, bundle, vectors)
    assert (code, result["agrees"], result["vectors"]) == (0, True, 2)
    assert all(one["equal"] == 1 and one["differences"].keys() == {"0"} for one in result["modes"][mode].values())
    same = [name for name in MODES if all(one["equal"] == 1 for one in result["modes"][name].values())]
    assert result["best"] == same[0] and mode in same
    assert mode.endswith("fp32") or same == [mode]


def test_trtexecs_json_and_linear_buffers_say_the_same(
    bundle: Path, vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Path(shutil.copytree(vectors, tmp_path / "other"))
    export_json(vectors, "half-even fp19")
    answer(other, "half-even fp19", "linear")
    first, second = compared(capsys, bundle, vectors), compared(capsys, bundle, other)
    assert first == second and first[1]["best"] == "half-even fp19" and first[0] == 0


def test_differences_are_counted_by_step_and_judged_by_the_tolerance(
    bundle: Path, vectors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(vectors, "half-away fp19")
    name = index_of(vectors)["tensors"][1]["name"]
    path = vectors / "001" / "returned" / f"{name}.chw32.bin"
    values = np.fromfile(path, np.int8)
    places = np.flatnonzero((values > -100) & (values < 100) & (values != 0))[[0, 3, 5, 8]]
    values[places[:3]] += 1
    values[places[3]] -= 3
    values.tofile(path)
    code, result = compared(capsys, bundle, vectors, "--share", "0.5")
    one = result["modes"]["half-away fp19"][name]
    count = one["values"]
    assert one["differences"] == {"-3": 1, "0": count - 4, "1": 3} and one["largest"] == 3
    assert (one["equal"], one["within_tolerance"]) == ((count - 4) / count, (count - 1) / count)
    assert (code, result["best"]) == (0, "half-away fp19")
    for words, expected in (
        (("--share", 1), 1),
        (("--share", 1, "--tolerance", 3), 0),
        (("--share", (count - 1) / count), 0),
        (("--share", (count - 1) / count, "--tolerance", 0), 1),
    ):
        code, result = compared(capsys, bundle, vectors, *words)
        assert (code, result["agrees"]) == (expected, expected == 0), words


def test_the_text_shows_histogram_and_verdict_and_claims_nothing(
    bundle: Path, vectors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(vectors, "half-away fp32")
    for file in (vectors / "000" / "returned").iterdir():
        np.clip(np.fromfile(file, np.int8).astype(np.int16) + 7, -128, 127).astype(np.int8).tofile(file)
    capsys.readouterr()
    assert main(["vectors", str(bundle), "--compare", str(vectors)]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "does not agree with the best mode, half-away fp32" in text and "> 4" in text
    assert "None is bit-exact with silicon" in text


def test_an_agreement_by_hand() -> None:
    one = Agreement({-2: 1, 0: 6, 1: 3})
    assert (one.values, one.largest, one.within(0), one.within(1), one.within(2)) == (10, 2, 0.6, 0.9, 1.0)


def first_output(vectors: Path) -> str:
    return str(index_of(vectors)["tensors"][1]["name"])


def test_raw_answers_that_can_not_be_read_are_named(
    bundle: Path, vectors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "000: nothing came back" in refused(capsys, bundle, "--compare", vectors)
    answer(vectors, MODES[0])
    path = vectors / "001" / "returned" / f"{first_output(vectors)}.chw32.bin"
    content = path.read_bytes()
    for wrong in (content[:-1], content + b"\0", b""):
        path.write_bytes(wrong)
        assert f"{path}: {len(wrong)} bytes" in refused(capsys, bundle, "--compare", vectors)
    path.unlink()
    assert "holds neither of" in refused(capsys, bundle, "--compare", vectors)
    path.write_bytes(content)
    path.with_name(f"{first_output(vectors)}.linear.bin").write_bytes(content)
    assert "holds both of" in refused(capsys, bundle, "--compare", vectors)
    (vectors / "000" / "returned.json").write_text("[]")
    assert "remove the one that is not meant" in refused(capsys, bundle, "--compare", vectors)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tensors: tensors[1:], "has no output"),
        (lambda tensors: tensors[0]["values"].pop(), "values; int8"),
        (lambda tensors: tensors[0].update(values="1, 2"), "has str"),
        (lambda tensors: tensors[0]["values"].__setitem__(0, 0.5), "no int8"),
        (lambda tensors: tensors[0]["values"].__setitem__(0, 128), "no int8"),
        (lambda tensors: tensors[0]["values"].__setitem__(0, float("nan")), "no int8"),
        (lambda tensors: tensors[0]["values"].__setitem__(0, "x"), "no numbers"),
        (lambda tensors: tensors[0]["values"].__setitem__(0, [1]), "no numbers"),
        (lambda tensors: tensors[0]["values"].__setitem__(0, 10**400), "no numbers"),
        (lambda tensors: {"values": 1}, "TensorRT 10"),
        (lambda tensors: [1], "TensorRT 10"),
    ],
)
def test_exports_that_can_not_be_read_are_named(
    bundle: Path, vectors: Path, change: Callable[..., Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def damage(tensors: list[dict[str, Any]]) -> Any:
        found = change(tensors)
        return found if isinstance(found, list | dict) else None

    export_json(vectors, MODES[0], damage)
    line = refused(capsys, bundle, "--compare", vectors)
    assert str(vectors / "000" / "returned.json") in line and reason in line


def test_a_corrupt_or_huge_export_is_named(bundle: Path, vectors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export_json(vectors, MODES[0])
    path = vectors / "000" / "returned.json"
    for content in (b'[{"name": "', b"\xff\x00", b"[" * 100_000, b"[ \x01, \x7f ]"):  # the last: characters for int8
        path.write_bytes(content)
        assert "TensorRT 10" in refused(capsys, bundle, "--compare", vectors)
    with path.open("wb") as file:
        file.truncate(1 << 32)  # a hole
    assert "too many" in refused(capsys, bundle, "--compare", vectors)


def test_vectors_that_are_none_or_anothers_are_named(
    bundle: Path, vectors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(vectors, MODES[0])
    assert "vectors.json" in refused(capsys, bundle, "--compare", tmp_path)
    image = vectors / "001" / "images.hwc4.bin"
    image.write_bytes(bytes(image.stat().st_size))
    assert f"{image}: is not what vectors.json says" in refused(capsys, bundle, "--compare", vectors)
    image.unlink()
    assert str(image) in refused(capsys, bundle, "--compare", vectors)
    index = index_of(vectors)
    for changed, reason in (
        ({**index, "loadable_sha256": "0" * 64}, "another bundle"),
        ({**index, "schema": 2}, "schema 1"),
        ({**index, "vectors": []}, "schema 1"),
        ({**index, "vectors": [{"folder": "000"}]}, "not an index"),
        ([], "not an index"),
    ):
        (vectors / "vectors.json").write_text(json.dumps(changed))
        assert reason in refused(capsys, bundle, "--compare", vectors)
    (vectors / "vectors.json").write_text("{")
    assert "not an index" in refused(capsys, bundle, "--compare", vectors)


def test_bundles_and_places_that_do_not_serve_are_named(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    assert "not empty" in refused(capsys, bundle, "--output", tmp_path / "full")
    assert "no such folder" in refused(capsys, bundle, "--output", tmp_path / "out", "--images", tmp_path / "none")
    assert "holds no JPEG" in refused(capsys, bundle, "--output", tmp_path / "out", "--images", tmp_path / "full")
    assert "belong to --output" in refused(capsys, bundle, "--compare", tmp_path, "--rounding", "all")
    assert "not a readable bundle" in refused(capsys, tmp_path, "--output", tmp_path / "out")
    damaged = Path(shutil.copytree(bundle, tmp_path / "damaged.unina"))
    (damaged / "host.loadable").write_bytes((bundle / "host.loadable").read_bytes() + b"\0")
    assert "not the file that manifest.json names" in refused(capsys, damaged, "--output", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_script_replays_every_vector_from_anywhere(vectors: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin" / "trtexec"
    stub.write_text(
        f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done >> {tmp_path / "log"}; pwd >> {tmp_path / "log"}\n'
    )
    stub.chmod(0o755)
    (tmp_path / "cones.engine").touch()
    environment = {**os.environ, "PATH": f"{stub.parent}:{os.environ['PATH']}"}
    subprocess.run([vectors / "replay.sh", "cones.engine", "1"], cwd=tmp_path, env=environment, check=True)
    lines = (tmp_path / "log").read_text().splitlines()
    for folder, words in (("000", lines[: len(lines) // 2]), ("001", lines[len(lines) // 2 :])):
        assert words[:2] == [f"--loadEngine={tmp_path / 'cones.engine'}", "--useDLACore=1"]
        assert words[2:4] == [f"--loadInputs=images:{folder}/images.hwc4.bin", f"--exportOutput={folder}/returned.json"]
        assert Path(words[-1]) == vectors.resolve()
    failed = subprocess.run([vectors / "replay.sh"], capture_output=True, text=True, check=False)
    assert failed.returncode != 0 and "usage" in failed.stderr


def test_the_command_line_does_not_load_torch() -> None:
    code = "import sys, unina.cli.dla_vectors; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
