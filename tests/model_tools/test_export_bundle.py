"""A bundle appears whole or not at all, and never in the place of something else."""

import hashlib
import json
from pathlib import Path

import pytest

from unina.export.bundle import BundleError, new_bundle

MANIFEST = {"schema": 1, "name": "cones"}


def write(output: Path, content: bytes = b"weights", *, force: bool = False) -> None:
    with new_bundle(output, force=force) as draft:
        draft.add("model.onnx", content)
        draft.publish(MANIFEST)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_manifest_names_every_file_with_its_hash(tmp_path: Path) -> None:
    write(tmp_path / "cones.unina")
    manifest = json.loads((tmp_path / "cones.unina" / "manifest.json").read_text())
    digest = hashlib.sha256(b"weights").hexdigest()
    assert manifest == {**MANIFEST, "files": {"model.onnx": {"sha256": digest, "bytes": 7}}}
    assert names(tmp_path) == ["cones.unina"]
    assert names(tmp_path / "cones.unina") == ["manifest.json", "model.onnx"]


def test_an_existing_bundle_is_replaced_only_when_told(tmp_path: Path) -> None:
    output = tmp_path / "cones.unina"
    write(output, b"old")
    with pytest.raises(BundleError, match="exists; give --force"):
        write(output, b"new")
    assert (output / "model.onnx").read_bytes() == b"old"
    write(output, b"new", force=True)
    assert (output / "model.onnx").read_bytes() == b"new"
    assert names(tmp_path) == ["cones.unina"]


@pytest.mark.parametrize("manifest", [None, "[]", "{", '{"schema": 1}'])
def test_what_is_not_a_bundle_is_never_replaced(tmp_path: Path, manifest: str | None) -> None:
    output = tmp_path / "thesis.unina"
    output.mkdir()
    (output / "chapter1.tex").write_text("years of work")
    if manifest is not None:
        (output / "manifest.json").write_text(manifest)
    with pytest.raises(BundleError, match="is not a bundle; it is left alone"):
        write(output, force=True)
    assert (output / "chapter1.tex").read_text() == "years of work"


def test_a_link_or_a_file_is_never_replaced(tmp_path: Path) -> None:
    write(tmp_path / "real.unina")
    (tmp_path / "link.unina").symlink_to(tmp_path / "real.unina")
    (tmp_path / "file.unina").write_text("text")
    (tmp_path / "dangling.unina").symlink_to(tmp_path / "nowhere")
    for name in ("link.unina", "file.unina", "dangling.unina"):
        with pytest.raises(BundleError, match="is not a bundle"):
            write(tmp_path / name, force=True)


@pytest.mark.parametrize("name", ["cones", "cones.zip", ".unina", "..unina", "a/b/cones.onnx"])
def test_another_name_than_a_bundles_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match=r"a bundle is a directory NAME\.unina"):
        write(tmp_path / name)
    assert names(tmp_path) == []


def test_a_place_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match="file is not a directory"):
        write(tmp_path / "file" / "deeper" / "cones.unina")


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt()])
def test_a_failure_while_writing_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    output = tmp_path / "new" / "deep" / "cones.unina"
    with pytest.raises(type(error)), new_bundle(output) as draft:
        draft.add("model.onnx", b"half")
        raise error
    assert names(tmp_path) == []


def test_a_failure_while_replacing_brings_the_former_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "cones.unina"
    write(output, b"old")
    rename = Path.rename

    def stopped(self: Path, target: Path) -> Path:
        if self.name == "draft":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        write(output, b"new", force=True)
    assert (output / "model.onnx").read_bytes() == b"old"
    assert names(tmp_path) == ["cones.unina"]


def test_a_manifest_with_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"), new_bundle(tmp_path / "cones.unina") as draft:
        draft.publish({"schema": 1, "accuracy": float("nan")})
    assert names(tmp_path) == []
