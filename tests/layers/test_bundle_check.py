"""A bundle that the car would refuse ends the image's build: what the recipe runs, run here."""

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from parsed import ROOT

FILES = ROOT / "recipes-ai" / "unina-model" / "files"
RECIPE = ROOT / "recipes-ai" / "unina-model" / "unina-model_0.1.0.bb"
FETCHED = ("runtime/python/unina_runtime/compile", "runtime/systemd/package.py")


def check(bundle: Path, key: Path | None = None) -> subprocess.CompletedProcess[str]:
    """do_compile of the recipe, in a folder with what it fetches."""
    folder = bundle.parent
    for name in FETCHED:
        assert f"file://{name};" in RECIPE.read_text()
        (folder / name).parent.mkdir(parents=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    shutil.copy(FILES / "check-bundle.toml", folder)
    found = re.search(r"^do_compile\(\) \{\n(.*?)^\}", RECIPE.read_text(), re.MULTILINE | re.DOTALL)
    assert found
    script = "bbfatal() { exit 1; }\n" + found[1]
    values = {"S": folder, "UNINA_BUNDLE_NAME": bundle.name}
    values |= {"UNINA_TRUSTED_KEY": key or "", "UNINA_TRUSTED_KEY_NAME": key.name if key else ""}
    for name, value in values.items():
        script = script.replace(f"${{{name}}}", str(value))
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "bin" / "python3").chmod(0o755)
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
    command = ["/bin/sh", "-eu", "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    shutil.copytree(FILES / "cones.unina", tmp_path / "cones.unina")
    return tmp_path / "cones.unina"


def test_the_shipped_bundle_goes_into_an_image(bundle: Path) -> None:
    done = check(bundle)
    assert (done.returncode, done.stderr) == (0, "")


def write_key(private: Ed25519PrivateKey, path: Path) -> Path:
    """As `openssl pkey -pubout` writes it: RFC 8410's prefix, and the key's 32 bytes."""
    der = bytes.fromhex("302a300506032b6570032100") + private.public_key().public_bytes_raw()
    path.write_text(f"-----BEGIN PUBLIC KEY-----\n{base64.b64encode(der).decode()}\n-----END PUBLIC KEY-----\n")
    return path


@pytest.mark.parametrize("signed", [True, False])
def test_where_a_key_is_wanted_only_what_it_signed_goes_into_an_image(bundle: Path, signed: bool) -> None:
    private = Ed25519PrivateKey.generate()
    signer = private if signed else Ed25519PrivateKey.generate()
    (bundle / "signature").write_bytes(signer.sign((bundle / "manifest.json").read_bytes()))
    done = check(bundle, write_key(private, bundle.parent / "team.pub"))
    assert done.returncode == (0 if signed else 1), done.stderr
    assert ("not of this manifest by team.pub" in done.stderr) != signed


def append_a_byte(bundle: Path) -> None:
    with (bundle / "labels.txt").open("ab") as file:
        file.write(b"x")


def change_a_byte(bundle: Path) -> None:
    path = bundle / "labels.txt"
    path.write_bytes(path.read_bytes()[:-2] + b"z\n")


def add_a_file(bundle: Path) -> None:
    (bundle / "run.sh").write_text("")


def add_a_folder(bundle: Path) -> None:
    (bundle / "more").mkdir()


def remove_a_file(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()


def replace_by_a_link(bundle: Path) -> None:
    (bundle / "labels.txt").rename(bundle.parent / "labels.txt")
    (bundle / "labels.txt").symlink_to(bundle.parent / "labels.txt")


def raise_the_schema(bundle: Path) -> None:
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["schema"] = 3
    path.write_text(json.dumps(manifest))


def break_the_manifest(bundle: Path) -> None:
    (bundle / "manifest.json").write_text("{")


def name_no_files(bundle: Path) -> None:
    (bundle / "manifest.json").write_text('{"schema": 1, "files": []}')


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (append_a_byte, "labels.txt"),
        (change_a_byte, "labels.txt"),
        (add_a_file, "run.sh"),
        (add_a_folder, "more"),
        (remove_a_file, "model.onnx"),
        (replace_by_a_link, "labels.txt"),
        (raise_the_schema, "the bundle has 3"),
        (break_the_manifest, "manifest.json"),
        (name_no_files, "manifest.json"),
    ],
)
def test_any_other_is_refused_by_its_name(change: Callable[[Path], None], named: str, bundle: Path) -> None:
    change(bundle)
    done = check(bundle)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and named in done.stderr, done.stderr
