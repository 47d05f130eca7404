"""What `unina-compile` refuses of a bundle: one line, exit code 1, trtexec not called, and the old model serves on."""

import functools
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from compile_machine import Machine, make_machine
from tiny_bundle import TinyBundle, make_bundle

from unina_runtime.compile.manifest import parse_manifest
from unina_runtime.compile.outcome import Refused

SELFTEST = {"picture": "labels.txt", "expected": [{"class_id": 0, "box": [1.0, 2.0, 3.0, 4.0]}]}


def rewritten(change: Callable[[dict[str, Any]], Any]) -> Callable[[TinyBundle], None]:
    def rewrite(bundle: TinyBundle) -> None:
        bundle.rewrite(lambda manifest: change(manifest) and None)

    return rewrite


def resealed(name: str, content: bytes) -> Callable[[TinyBundle], None]:
    def write(bundle: TinyBundle) -> None:
        (bundle.path / name).write_bytes(content)
        bundle.seal()

    return write


def changed_file(bundle: TinyBundle) -> None:
    (bundle.path / "model.onnx").write_bytes(b"\x08\x0a\x12\x09a netwerk")


def grown_file(bundle: TinyBundle) -> None:
    with (bundle.path / "model.onnx").open("ab") as file:
        file.truncate(10 << 30)  # sparse


def missing_file(bundle: TinyBundle) -> None:
    (bundle.path / "model.onnx").unlink()


def stranger(bundle: TinyBundle) -> None:
    (bundle.path / "extra.so").write_text("")


def stranger_in_a_folder(bundle: TinyBundle) -> None:
    (bundle.path / "deepstream").mkdir()
    (bundle.path / "deepstream" / "extra").write_text("")


def link(bundle: TinyBundle) -> None:
    content = (bundle.path / "model.onnx").read_bytes()
    (bundle.path / "model.onnx").unlink()
    (bundle.path.parent / "outside").write_bytes(content)
    (bundle.path / "model.onnx").symlink_to(bundle.path.parent / "outside")


def linked_folder(bundle: TinyBundle) -> None:
    outside = bundle.path.parent / "outside"
    (bundle.path / "sub").mkdir()
    (bundle.path / "sub" / "file").write_text("")
    bundle.seal()
    (bundle.path / "sub").rename(outside)
    (bundle.path / "sub").symlink_to(outside)


def linked_manifest(bundle: TinyBundle) -> None:
    (bundle.path / "manifest.json").rename(bundle.path.parent / "outside.json")
    (bundle.path / "manifest.json").symlink_to(bundle.path.parent / "outside.json")


def pipe(bundle: TinyBundle) -> None:
    (bundle.path / "model.onnx").unlink()
    os.mkfifo(bundle.path / "model.onnx")


def without_cache(bundle: TinyBundle) -> None:
    (bundle.path / "calibration.cache").unlink()
    bundle.seal()


def no_manifest(bundle: TinyBundle) -> None:
    (bundle.path / "manifest.json").unlink()


def files(name: str, **entry: object) -> Callable[[TinyBundle], None]:
    return rewritten(lambda m: m["files"].update({name: {"sha256": "0" * 64, "bytes": 1, **entry}}))


def tensor(**changes: object) -> Callable[[TinyBundle], None]:
    return rewritten(lambda m: m["tensors"][0].update(changes))


CASES: dict[str, tuple[Callable[[TinyBundle], None], str]] = {
    "another content": (changed_file, "its SHA-256 is not the manifest's"),
    "10 GB more, sparse": (grown_file, "has 10737418240 bytes"),
    "a file less": (missing_file, "model.onnx is missing"),
    "a file more": (stranger, "extra.so is not named by manifest.json"),
    "a file more, in a folder": (stranger_in_a_folder, "deepstream is not named"),
    "a link": (link, "model.onnx is a link"),
    "a linked folder": (linked_folder, "sub is a link"),
    "a linked manifest": (linked_manifest, "manifest.json is a link"),
    "a pipe": (pipe, "model.onnx is not"),
    "no manifest": (no_manifest, "manifest.json is missing"),
    "not JSON": (lambda b: (b.path / "manifest.json").write_text("{") and None, "not valid JSON"),
    "JSON too deep": (lambda b: (b.path / "manifest.json").write_text("[" * 100000) and None, "not valid JSON"),
    "a list": (lambda b: (b.path / "manifest.json").write_text("[]") and None, "is not a JSON object"),
    "another schema": (rewritten(lambda m: m.update(schema=3)), "reads schema 1, the bundle has 3"),
    "a classifier": (rewritten(lambda m: m.update(schema=2, decode="classify")), "detects nothing (decode classify)"),
    "out of the bundle": (files("../../etc/passwd"), "../../etc/passwd is not a path inside the bundle"),
    "an absolute path": (files("/etc/passwd"), "is not a path inside the bundle"),
    "a line end in a name": (files("a\nunina-compile: compiled"), "a?unina-compile: compiled is not a path inside"),
    "a name that no disk can hold": (files("\ud800"), "? is not a path inside the bundle"),
    "a long name": (files("a" * 201), "is not a path inside the bundle"),
    "no hash": (files("model.onnx", sha256="abc"), "is not 64 hex digits"),
    "negative size": (files("model.onnx", bytes=-1), "bytes: -1"),
    "too large": (files("model.onnx", bytes=1 << 40), "bytes: 1099511627776"),
    "an option as format": (tensor(format="hwc4 --loadEngine=/x"), "cannot cross the DLA's border"),
    "an option as type": (tensor(dtype="int8,--plugins=/x.so"), "cannot cross the DLA's border"),
    "no tensors": (rewritten(lambda m: m.update(tensors=[])), "at least one input and one output"),
    "tensors of another kind": (rewritten(lambda m: m.update(tensors=3)), "not a manifest as docs/bundle.md has it"),
    "no cache": (
        without_cache,
        "has no calibration.cache, which TensorRT 10.3.0 compiles from",
    ),
    "not a cache": (resealed("calibration.cache", b"hello\n"), "hello: not a cache's header"),
    "two layers in a line": (resealed("layer_precisions.txt", b"a:fp16,b:fp16\n"), "is not NAME:fp16"),
    "an option as layer": (resealed("layer_precisions.txt", b"a:fp16\n,x --plugins=/x:fp16\n"), "is not NAME:fp16"),
    "another precision": (resealed("layer_precisions.txt", b"a:fp32\n"), "is not NAME:fp16"),
}


@pytest.mark.parametrize(("damage", "says"), CASES.values(), ids=CASES.keys())
def test_a_bundle_that_is_not_what_it_says_is_refused(
    tmp_path: Path, damage: Callable[[TinyBundle], None], says: str
) -> None:
    machine = make_machine(tmp_path)
    damage(machine.bundle)
    reason = machine.bad(1)
    assert says in reason
    assert machine.compilations == [] and machine.serving is None


def test_the_old_model_serves_on_when_a_refused_one_takes_its_place(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    served = machine.good()["served"]
    stranger(machine.bundle)
    assert machine.bad(1).endswith(f"{Path(served).name} serves on")
    assert str(machine.serving) == served


def test_an_archive_is_not_a_bundle(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    archive = tmp_path / "cones.unina.tar"
    archive.write_bytes(b"")
    assert "is not a directory" in machine.bad(1, "--bundle", archive)


def test_files_in_folders_are_taken_where_the_manifest_names_them(tmp_path: Path) -> None:
    machine = make_machine(tmp_path)
    (machine.bundle.path / "deepstream").mkdir()
    (machine.bundle.path / "deepstream" / "config.txt").write_text("batch-size=1\n")
    (machine.bundle.path / "deepstream" / "empty").write_text("")
    machine.bundle.seal()
    entry = Path(machine.good()["served"])
    assert (entry / "bundle" / "deepstream" / "config.txt").read_text() == "batch-size=1\n"
    assert (entry / "bundle" / "deepstream" / "empty").read_bytes() == b""


def test_what_changes_between_looking_and_copying_is_not_taken_over(machine_with_swap: Machine) -> None:
    entry = Path(machine_with_swap.good()["served"])
    manifest = json.loads((entry / "bundle" / "manifest.json").read_text())
    assert manifest["name"] == "tiny"
    assert "model.onnx" in manifest["files"]


@pytest.fixture
def machine_with_swap(tmp_path: Path) -> Machine:
    """The model is replaced while trtexec runs: the stand-in is slow, and the source is cut away beneath it."""
    machine = make_machine(tmp_path)
    machine.trtexec.write_text(
        machine.trtexec.read_text().replace(
            "    onnx = Path(value(",
            f"    Path({str(machine.bundle.path / 'model.onnx')!r}).write_bytes(b'other')\n    onnx = Path(value(",
        )
    )
    return machine


WEIRD: list[Any] = [
    None,
    True,
    -1,
    1e400,
    float("nan"),
    10**400,
    "",
    "x" * 300,
    "\ud800",
    "9" * 5000,
    [],
    {},
    [[]],
    {"a": 1},
]


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a document."""
    if before:
        yield before
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*before, key))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_stands_in_a_manifest_it_is_taken_or_refused_in_one_line(tmp_path: Path, seed: int) -> None:
    sound = json.dumps({**make_bundle(tmp_path / "tiny.unina").manifest, "selftest": SELFTEST})
    draw, refused = random.Random(seed), 0
    for _ in range(500):
        document = json.loads(sound)
        *way, last = draw.choice(list(places(document)))
        place = functools.reduce(lambda value, key: value[key], way, document)
        if draw.random() < 0.2:
            del place[last]
        else:
            place[last] = draw.choice(WEIRD)
        try:
            parse_manifest(json.dumps(document).encode(), "manifest.json")
        except Refused as error:
            refused += 1
            assert str(error).isprintable() and len(str(error)) < 400
    assert 0 < refused < 500
