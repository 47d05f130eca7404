"""Whatever is wrong with a bundle, a picture or an option: one line that names it, exit code 2, nothing written."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from programs import refuse
from tiny_bundle import HEIGHT, WIDTH, TinyBundle


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    return folder


def refuse_and_write_nothing(tmp_path: Path, bundle: Path, source: str, *more: object) -> str:
    before = sorted(tmp_path.rglob("*"))
    outputs = ["--output", tmp_path / "out.jsonl", "--annotate", tmp_path / "drawn"]
    line = refuse("unina-detector", "--bundle", bundle, "--source", source, *outputs, *more)
    assert sorted(tmp_path.rglob("*")) == before
    return line


Change = Callable[[dict[str, Any]], Any]


def at(*path: Any, to: Any) -> Change:
    """A change of one field."""

    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to

    return change


def float16(name: str, role: str, layout: str) -> dict[str, Any]:
    shape = [1, 3, HEIGHT, WIDTH] if role == "input" else [1, 2, HEIGHT // 8, WIDTH // 8]
    return {"name": name, "role": role, "shape": shape, "dtype": "float16", "format": layout}


MANIFESTS: list[tuple[Change, str]] = [
    (at("schema", to=3), "reads schema 1 and 2, the bundle has 3"),
    (at("schema", to=2), "has no field 'decode'"),
    (at("schema", to="1"), "schema: '1' is not an integer"),
    (lambda m: m.pop("schema"), "has no field 'schema'"),
    (lambda m: m.pop("input"), "has no field 'input'"),
    (at("classes", to=[]), "classes: has 0 elements"),
    (at("classes", to=["a"] * 1001), "has 1001 elements"),
    (at("classes", to=["a", "a"]), "names a class twice"),
    (at("classes", to=["a", "b\nc"]), "without control characters"),
    (at("classes", to=["a", 7]), "classes[1]: 7 is not a text"),
    (at("input", "width", to=8193), "input.width: 8193 is not an integer within 1 and 8192"),
    (at("input", "width", to=0), "input.width: 0"),
    (at("input", "width", to=-64), "input.width: -64"),
    (at("input", "width", to=64.5), "input.width: 64.5"),
    (at("input", "width", to=10**30), "input.width: 1e+30"),
    (at("input", "width", to=2**64 - 1), "input.width: 18446744073709551615"),
    (at("input", "width", to=68), "does not divide the input"),
    (at("input", "height", to=None), "input.height: null"),
    (at("input", "color", to="hsv"), "input.color: 'hsv' is not one of: rgb, bgr"),
    (at("input", "letterbox_value", to=256), "letterbox_value: 256"),
    (at("input", "scale", to=0), "input.scale: 0"),
    (at("input", "name", to="pictures"), "input.name: 'pictures' is not listed in 'tensors'"),
    (at("input", "name", to="s8_class"), "is listed in 'tensors' as an output"),
    (at("levels", to=[]), "levels: has 0 elements"),
    (at("levels", 0, "stride", to=7), "levels[0].stride: 7 is not a power of two"),
    (at("levels", 1, "stride", to=8), "is not larger than that of the level before"),
    (
        at("levels", 1, "stride", to=32),
        "levels[1].class: 's16_class' has shape [1, 2, 2, 4], which must be [1, 2, 1, 2]",
    ),
    (at("levels", 0, "class", to="nowhere"), "levels[0].class: 'nowhere' is not listed"),
    (at("levels", 0, "box", to="s8_class"), "levels[0].box: 's8_class' has shape"),
    (at("reg_max", to=3), "has shape [1, 16, 4, 8], which must be [1, 12, 4, 8]"),
    (at("reg_max", to=0), "reg_max: 0"),
    (at("reg_max", to=10**9), "reg_max: 1000000000"),
    (at("tensors", 1, "shape", to=[1, 2, 4]), "tensors[1].shape: has 3 elements"),
    (at("tensors", 1, "shape", 2, to=10**12), "tensors[1].shape[2]: 1000000000000"),
    (at("tensors", 1, "shape", 0, to=2), "tensors[1].shape[0]: 2"),
    (at("tensors", 1, "dtype", to="int4"), "dtype: 'int4' is not one of: int8, float16"),
    (at("tensors", 1, "dtype", to="float16"), "tensors[1].scale: 0.0625 of a float16 tensor, which has no scale"),
    (
        at("tensors", 1, to=float16("s8_class", "output", "chw32")),
        "tensors[1].format: 'chw32' is no format of a float16",
    ),
    (at("tensors", 1, to=float16("s8_class", "output", "hwc4")), "tensors[1].format: 'hwc4' is no format of a float16"),
    (at("tensors", 0, to=float16("images", "input", "linear")), "tensors[0].dtype: 'float16' of an input; the network"),
    (at("tensors", 1, "format", to="nhwc"), "format: 'nhwc'"),
    (at("tensors", 2, "format", to="hwc4"), "holds at most 4 channels"),
    (at("tensors", 1, "scale_bits", to="zz"), "not a float32 in 8 hex digits"),
    (at("tensors", 1, "scale_bits", to="7f800000"), "not a positive scale"),
    (at("tensors", 1, "scale_bits", to="7fc00000"), "not a positive scale"),
    (at("tensors", 1, "scale_bits", to="bd800000"), "not a positive scale"),
    (at("tensors", 1, "scale_bits", to="00000000"), "not a positive scale"),
    (at("tensors", 1, "scale", to=0.07), "is not the value of scale_bits"),
    (at("tensors", 1, "name", to="s8_box"), "names a tensor twice"),
    (lambda m: m["tensors"].pop(), "levels[1].box: 's16_box' is not listed in 'tensors'"),
    (lambda m: m["tensors"].append({**m["tensors"][1], "name": "x"}), "lists 6 tensors"),
    (at("thresholds", to=[0.5]), "thresholds: has 1 elements, not 2"),
    (at("thresholds", to=[0.5, 1.5]), "thresholds[1]: 1.5"),
    (at("thresholds", to=[0.5, "x"]), "thresholds[1]: 'x'"),
    (at("max_detections", to=0), "max_detections: 0"),
    (at("rounding", to="up"), "rounding: 'up'"),
    (at("files", to=[]), "files: is not an object"),
    (at("files", "labels.txt", "sha256", to="0" * 63), "not a SHA-256"),
    (at("files", "labels.txt", "sha256", to="0" * 64), "labels.txt: SHA-256 is"),
    (at("files", "labels.txt", "bytes", to=-1), "-1 is not an integer"),
    (at("files", "labels.txt", "bytes", to=3), "bytes, the manifest says 3"),
    (at("files", "missing.onnx", to={"sha256": "0" * 64, "bytes": 1}), "missing.onnx: is missing"),
    (at("files", "../outside", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (at("files", "/etc/passwd", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (at("files", "a/../../b", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (at("files", "a//b", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (at("files", "./labels.txt", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (at("files", "", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (at("files", "a\nb", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (at("files", "manifest.json", to={"sha256": "0" * 64, "bytes": 1}), "not a path inside the bundle"),
    (lambda m: m["files"].pop("labels.txt"), "'labels.txt' is not named by manifest.json"),
    (at("classes", to=["blue_cone", "cone"]), "labels.txt: is not the list of classes"),
]


@pytest.mark.parametrize(("change", "message"), MANIFESTS, ids=[message for _, message in MANIFESTS])
def test_manifest(tmp_path: Path, bundle: TinyBundle, frames: Path, change: Change, message: str) -> None:
    bundle.rewrite(change)
    assert message in refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid JSON near byte"),
        (b"[]", "is not an object"),
        (b"null", "is not an object"),
        (b'{"schema": 1', "not valid JSON near byte"),
        (b'{"schema": 1e999}', "no float64 can hold"),
        (b'{"schema": 1, "name": "\xff"}', "not valid JSON near byte"),
        (b"[" * 200_000, "not valid JSON near byte"),
        (b'{"a":' * 200_000, "not valid JSON near byte"),
        (b"\0" * 1000, "not valid JSON near byte"),
        (b" " * (17 << 20), "too many for a manifest"),
    ],
    ids=["empty", "list", "null", "cut", "huge number", "not UTF-8", "deep list", "deep object", "zeros", "17 MiB"],
)
def test_malformed_json(tmp_path: Path, bundle: TinyBundle, frames: Path, text: bytes, message: str) -> None:
    (bundle.path / "manifest.json").write_bytes(text)
    line = refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}")
    assert message in line and "manifest.json" in line


def cut(bundle: TinyBundle) -> None:
    loadable = bundle.path / "host.loadable"
    loadable.write_bytes(loadable.read_bytes()[:-1])


def edit(bundle: TinyBundle) -> None:
    loadable = bundle.path / "host.loadable"
    data = bytearray(loadable.read_bytes())
    data[-1] ^= 1
    loadable.write_bytes(bytes(data))


def link(bundle: TinyBundle) -> None:
    shutil.move(bundle.path / "labels.txt", bundle.path.parent / "labels.txt")
    (bundle.path / "labels.txt").symlink_to("../labels.txt")


def manifest_link(bundle: TinyBundle) -> None:
    shutil.move(bundle.path / "manifest.json", bundle.path.parent / "manifest.json")
    (bundle.path / "manifest.json").symlink_to("../manifest.json")


def linked_directory(bundle: TinyBundle) -> None:
    (bundle.path / "more").mkdir()
    (bundle.path / "more" / "x").write_text("x")
    bundle.seal()
    shutil.move(bundle.path / "more", bundle.path.parent / "more")
    (bundle.path / "more").symlink_to("../more")


def listening(bundle: TinyBundle) -> None:
    (bundle.path / "labels.txt").unlink()
    here = Path.cwd()
    os.chdir(bundle.path)  # a socket's path may be 107 bytes long
    try:
        socket.socket(socket.AF_UNIX).bind("labels.txt")
    finally:
        os.chdir(here)


def pipe(bundle: TinyBundle) -> None:
    (bundle.path / "labels.txt").unlink()
    os.mkfifo(bundle.path / "labels.txt")


def other_scale(bundle: TinyBundle) -> None:
    bundle.rewrite(lambda m: m["tensors"][1].update(scale=0.125, scale_bits="3e000000"))


def without_loadable(bundle: TinyBundle) -> None:
    (bundle.path / "host.loadable").unlink()
    bundle.seal()


def damaged_loadable(bundle: TinyBundle) -> None:
    cut(bundle)
    bundle.seal()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "host.loadable: has "),
        (edit, "host.loadable: SHA-256 is "),
        (link, "'labels.txt' is a link"),
        (manifest_link, "manifest.json: is a link"),
        (linked_directory, "'more' is a link"),
        (listening, "'labels.txt' is not a regular file"),
        (pipe, "'labels.txt' is not a regular file"),
        (lambda b: (b.path / "extra.bin").write_text("x"), "'extra.bin' is not named by manifest.json"),
        (lambda b: (b.path / "extra").mkdir(), "'extra' is not named by manifest.json"),
        (lambda b: (b.path / "host.loadable").unlink(), "host.loadable: is missing"),
        (lambda b: (b.path / "manifest.json").unlink(), "has no manifest.json"),
        (lambda b: shutil.rmtree(b.path), "no such bundle"),
        (without_loadable, "not host: the bundle has no host.loadable"),
        (damaged_loadable, "host.loadable"),
        (other_scale, "tensor 's8_class' has another shape, type or scale than in manifest.json"),
    ],
)
def test_bundle(
    tmp_path: Path, bundle: TinyBundle, frames: Path, damage: Callable[[TinyBundle], None], message: str
) -> None:
    damage(bundle)
    assert message in refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}")


def test_bundle_is_a_file(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    line = refuse_and_write_nothing(tmp_path, bundle.path / "labels.txt", f"images:{frames}")
    assert "is not a directory" in line


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("1.jpg", b""),
        ("1.jpg", b"this is no picture"),
        ("1.png", PNG + b"\0" * 99),
        # A header that promises 2^31 - 1 by 2^31 - 1 pixels.
        ("1.png", PNG + b"\0\0\0\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\0\0\0\0\0\0\0"),
        ("1.webp", b"RIFF\x10\0\0\0WEBPVP8 \0\0\0\0"),
        ("1.bmp", b"BM" + b"\xff" * 60),
    ],
    ids=["empty", "text", "cut png", "absurd png", "cut webp", "absurd bmp"],
)
def test_unreadable_picture(tmp_path: Path, bundle: TinyBundle, frames: Path, name: str, content: bytes) -> None:
    (frames / name).write_bytes(content)
    line = refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}")
    assert f"{frames / name}: cannot be read as a picture" in line


def test_pictures_that_are_cut_off(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for extension in ("jpg", "png", "bmp", "webp"):
        path = frames / f"9.{extension}"
        path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes()[:-9])
        line = refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}")
        assert f"{path}: cannot be read as a picture" in line
        path.unlink()


def test_a_directory_that_is_called_like_a_picture(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    (frames / "9.jpg").mkdir()
    assert "9.jpg: cannot be read" in refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}")


def test_source(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no picture")
    (tmp_path / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    for source, message in [
        (f"images:{empty}", "holds no picture"),
        (f"images:{tmp_path / 'nowhere'}", "is not a directory"),
        (f"images:{frames / '0.png'}", "is not a directory"),
        ("images:", "expected images:DIR, video:FILE, frames:RING or gst:PIPELINE"),
        (str(frames), "expected images:DIR, video:FILE, frames:RING or gst:PIPELINE"),
        (f"camera:{frames}", "expected images:DIR, video:FILE, frames:RING or gst:PIPELINE"),
        (f"video:{tmp_path / 'nowhere.mp4'}", "is not a video file"),
        (f"video:{frames}", "is not a video file"),
        (f"video:{tmp_path / 'noise.mp4'}", "cannot be read as a video"),
    ]:
        assert message in refuse_and_write_nothing(tmp_path, bundle.path, source)


def test_options(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    for arguments, message in [
        (["--accelerator", "dla0"], "accelerator 'dla0' is not in this build; it has: auto, "),
        (["--score-threshold", "1.5"], "not within 0 and 1"),
        (["--score-threshold", "nan"], "not within 0 and 1"),
        (["--score-threshold", "high"], "--score-threshold"),
        (["--threads", "0"], "threads"),
        (["--threads", "1e9"], "--threads"),
        (["--colour"], "--colour"),
    ]:
        assert message in refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}", *arguments)
    assert "--bundle is required" in refuse("unina-detector", "--source", f"images:{frames}")
    assert "--size 12" in refuse("unina-bench", "--bundle", bundle.path, "--size", "12")
    assert "--size 0x5" in refuse("unina-bench", "--bundle", bundle.path, "--size", "0x5")
    assert "--iterations 0" in refuse("unina-bench", "--bundle", bundle.path, "--iterations", "0")


def test_output_that_cannot_be_written(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    base = ["--bundle", bundle.path, "--source", f"images:{frames}"]
    before = sorted(tmp_path.rglob("*"))
    for arguments, message in [
        (["--output", tmp_path], "is a directory"),
        (["--output", tmp_path / "nowhere" / "out.jsonl"], "out.jsonl: cannot be written: No such file or directory"),
        (["--output", "/dev/full"], "/dev/full: cannot be written: No space left"),
        (["--output", "/dev/null", "--annotate", frames / "0.png"], "is not a directory"),
        (["--output", "/dev/null", "--annotate", tmp_path / "nowhere" / "drawn"], "drawn: cannot be made"),
    ]:
        assert message in refuse("unina-detector", *base, *arguments)
        assert sorted(tmp_path.rglob("*")) == before


def test_an_earlier_output_survives_a_failure(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("earlier\n")
    (frames / "1.png").write_bytes((frames / "1.png").read_bytes()[:60])
    refuse_and_write_nothing(tmp_path, bundle.path, f"images:{frames}")
    assert out.read_text() == "earlier\n"
