"""`unina-compile install`: whole or not at all, what is hostile is refused in one line, and the old model serves on."""

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from compile_machine import Machine, compilable, make_machine
from onnx import TensorProto, helper, numpy_helper
from test_compile_bundle import CASES
from tiny_bundle import TinyBundle


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """It serves the host accelerator, for which of a bundle the least is looked at."""
    machine = make_machine(tmp_path)
    machine.l4t(None)
    return machine


def offered(machine: Machine, seed: int = 1) -> TinyBundle:
    """A bundle on a stick, so to say."""
    (machine.folder / "stick").mkdir(exist_ok=True)
    return compilable(machine.folder / "stick" / "cones.unina", seed)


def installed(machine: Machine) -> Path:
    """Where the detector's configuration leads to."""
    return machine.bundle.path.resolve(strict=True)


def same(a: Path, b: Path) -> bool:
    return subprocess.run(["diff", "-r", a, b], check=False, capture_output=True).returncode == 0


def bundles(machine: Machine) -> set[str]:
    return {path.name for path in machine.folder.glob("tiny*.unina")}


def test_a_bundle_is_copied_whole_and_the_place_becomes_a_link(machine: Machine) -> None:
    new = offered(machine)
    report = machine.good("install", new.path)
    assert report["outcome"] == "installed" and str(installed(machine)) in report["text"]
    assert machine.bundle.path.is_symlink() and same(installed(machine), new.path)
    shutil.rmtree(new.path)
    assert machine.good()["outcome"] == "host" and machine.serving is not None
    for path in [installed(machine), *installed(machine).rglob("*")]:  # unina-compile's user reads it
        assert path.stat().st_mode & stat.S_IROTH and not path.stat().st_mode & stat.S_IWOTH


def test_what_was_put_there_by_hand_and_the_one_before_stay_and_older_ones_go(machine: Machine) -> None:
    by_hand = machine.bundle.path
    machine.good("install", offered(machine).path)
    first = installed(machine).name
    assert len(bundles(machine)) == 3 and by_hand.name in bundles(machine)
    for seed in (2, 3):
        shutil.rmtree(machine.folder / "stick")
        machine.good("install", offered(machine, seed).path)
    assert len(bundles(machine)) == 3 and first not in bundles(machine)
    machine.good("install", machine.folder / "stick" / "cones.unina")
    assert len(bundles(machine)) == 3, "the same again changes nothing"
    assert not list(machine.folder.glob(".incoming-*"))


def test_a_link_to_the_image_s_bundle_is_replaced_and_the_bundle_left_alone(machine: Machine) -> None:
    image = machine.folder / "image"
    machine.bundle.path.rename(image)
    machine.bundle.path.symlink_to(image)
    machine.good("install", offered(machine).path)
    assert image.is_dir() and installed(machine) != image


def test_a_damaged_copy_from_before_is_made_anew(machine: Machine) -> None:
    new = offered(machine)
    machine.good("install", new.path)
    (installed(machine) / "model.onnx").write_bytes(b"?")
    machine.good("install", new.path)
    assert same(installed(machine), new.path)


def device_node(bundle: TinyBundle) -> None:
    (bundle.path / "model.onnx").unlink()
    try:
        os.mknod(bundle.path / "model.onnx", stat.S_IFCHR | 0o644, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes device nodes")


def huge_manifest(bundle: TinyBundle) -> None:
    with (bundle.path / "manifest.json").open("r+b") as file:
        file.truncate(10 << 30)  # sparse


def many_large_files(bundle: TinyBundle) -> None:
    def change(manifest: dict[str, object]) -> None:
        manifest["files"] = {f"{number}": {"sha256": "0" * 64, "bytes": 1 << 30} for number in range(5)}

    bundle.rewrite(change)


def weights_elsewhere(bundle: TinyBundle) -> None:
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/shadow")
    graph = helper.make_graph([], "g", [], [], initializer=[tensor])
    (bundle.path / "model.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    bundle.seal()
    assert onnx.load(bundle.path / "model.onnx", load_external_data=False).graph.initializer


def selftest(**test: object) -> Callable[[TinyBundle], None]:
    return lambda bundle: bundle.rewrite(lambda manifest: manifest.update(selftest=test))


COMPILERS = {"no cache", "not a cache", "two layers in a line", "an option as layer", "another precision"}
HOSTILE: dict[str, tuple[Callable[[TinyBundle], None], str]] = {
    **{name: case for name, case in CASES.items() if name not in COMPILERS},
    "a device node": (device_node, "model.onnx is not"),
    "10 GB of manifest, sparse": (huge_manifest, "10737418240 bytes, which is too much"),
    "5 GB together": (many_large_files, "5368709120 bytes together"),
    "weights in another file": (weights_elsewhere, "model.onnx: has tensors in other files"),
    "a self-test of nothing": (selftest(picture="labels.txt", expected=[]), "selftest: expected: nothing"),
    "a self-test from outside": (selftest(picture="../x.png", expected=[]), "../x.png is not one of the files"),
    "a box of text": (
        selftest(picture="labels.txt", expected=[{"class_id": 0, "box": ["a", 0, 1, 1]}]),
        "not a manifest as docs/bundle.md has it",
    ),
    "a box without an inside": (
        selftest(picture="labels.txt", expected=[{"class_id": 0, "box": [0, 0, float("nan"), 1]}]),
        "is not x0, y0, x1, y1",
    ),
}


@pytest.mark.parametrize(("damage", "says"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_bundle_is_refused_in_one_line_and_nothing_changes(
    machine: Machine, damage: Callable[[TinyBundle], None], says: str
) -> None:
    served, before = machine.good()["served"], installed(machine)
    new = offered(machine)
    damage(new)
    assert says in machine.bad(1, "install", new.path)
    assert installed(machine) == before and not machine.bundle.path.is_symlink()
    assert not list(machine.folder.glob(".incoming-*")) and len(bundles(machine)) == 1
    assert machine.good()["served"] == served


@pytest.mark.parametrize("kind", ["archive", "pipe", "nothing"])
def test_what_is_no_directory_is_not_a_bundle(machine: Machine, kind: str) -> None:
    path = machine.folder / "new.unina"
    if kind == "archive":
        path.write_bytes(b"PK")
    elif kind == "pipe":
        os.mkfifo(path)
    machine.bad(2 if kind == "nothing" else 1, "install", path)
    assert not machine.bundle.path.is_symlink()


@pytest.mark.parametrize("words", [("install",), ("update", "x.unina"), ("rollback", "x.unina")])
def test_only_install_takes_a_bundle_and_it_takes_one(machine: Machine, words: tuple[str, ...]) -> None:
    assert "install takes a bundle" in machine.bad(2, *words)


def test_a_full_disk_is_noticed_before_anything_is_copied(machine: Machine) -> None:
    reason = machine.bad(1, "install", offered(machine).path, "--min-free-mb", 1 << 29)
    assert "MiB are free" in reason and len(bundles(machine)) == 1


@pytest.mark.parametrize(("signer", "says"), [(None, "is not signed"), ("other", "not of this manifest by team.pub")])
def test_where_a_key_is_provisioned_only_what_it_signed_is_installed(
    machine: Machine, signer: str | None, says: str
) -> None:
    from test_compile_signature import make_key, openssl  # noqa: PLC0415 (skips where it cannot be imported)

    def sign(bundle: TinyBundle, key: Path) -> None:
        place = ("-in", bundle.path / "manifest.json", "-out", bundle.path / "signature")
        openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", *place)

    team, public = make_key(machine.folder, "team")
    new = offered(machine)
    if signer:
        sign(new, make_key(machine.folder, signer)[0])
    assert says in machine.bad(1, "install", new.path, "--trust", public)
    assert not machine.bundle.path.is_symlink()
    sign(new, team)
    assert machine.good("install", new.path, "--trust", public)["signed_by"] == "team.pub"
