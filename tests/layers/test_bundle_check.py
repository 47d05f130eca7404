"""A bundle that is not as its manifest says ends the image's build."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from parsed import ROOT

FILES = ROOT / "recipes-ai" / "unina-model" / "files"


def check(bundle: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FILES / "check_bundle.py"), str(bundle)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_shipped_bundle_goes_into_an_image() -> None:
    done = check(FILES / "cones.unina")
    assert (done.returncode, done.stderr) == (0, "")


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
    manifest["schema"] = 2
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
        (raise_the_schema, "schema 2"),
        (break_the_manifest, "manifest.json"),
        (name_no_files, "manifest.json"),
    ],
)
def test_any_other_is_refused_by_its_name(change: Callable[[Path], None], named: str, tmp_path: Path) -> None:
    bundle = tmp_path / "cones.unina"
    shutil.copytree(FILES / "cones.unina", bundle)
    change(bundle)
    done = check(bundle)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and named in done.stderr, done.stderr
