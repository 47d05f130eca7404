"""Writes a bundle directory (docs/bundle.md) in one step: whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUFFIX = ".unina"
MANIFEST = "manifest.json"
SIGNATURE = "signature"
"""of the manifest, 64 bytes, where a key was given"""


class BundleError(ValueError):
    """The bundle cannot be written there; the text says why and what to do."""


@dataclass(frozen=True)
class BundleDraft:
    """A bundle being written, in a hidden folder beside its place; `publish` makes it visible."""

    folder: Path
    output: Path

    def add(self, name: str, content: bytes) -> Path:
        """Writes one file and returns where it lies for now."""
        path = self.folder / name
        path.write_bytes(content)
        return path

    def publish(self, manifest: dict[str, Any], sign: Callable[[bytes], bytes] | None = None) -> None:
        """Adds size and SHA-256 of every file to the manifest, writes and signs it, and renames the folder into place.

        Everything is on the disk before the rename. A bundle that stood there is moved aside first and deleted last.
        """
        files = {
            path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
            for path in sorted(self.folder.iterdir())
        }
        text = json.dumps({**manifest, "files": files}, indent=2, ensure_ascii=False, allow_nan=False)
        content = (text + "\n").encode()
        self.add(MANIFEST, content)
        if sign is not None:
            self.add(SIGNATURE, sign(content))
        for path in [*self.folder.iterdir(), self.folder]:
            _to_disk(path)
        former = self.folder.parent / "former"
        try:
            if self.output.exists():
                self.output.rename(former)
            self.folder.rename(self.output)
        except BaseException:  # Ctrl-C as well: the workshop, with the former bundle in it, is about to be deleted
            if former.exists() and not self.output.exists():
                former.rename(self.output)
            raise
        _to_disk(self.output.parent)


@contextmanager
def new_bundle(output: Path, *, force: bool = False) -> Iterator[BundleDraft]:
    """A draft of the bundle `output`; whatever goes wrong before `publish` leaves nothing behind.

    Raises:
        BundleError: see `check_output`.
    """
    check_output(output, force=force)
    missing = [folder for folder in output.parents if not folder.exists()]  # the deepest first
    output.parent.mkdir(parents=True, exist_ok=True)
    workshop = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        draft = BundleDraft(workshop / "draft", output)
        draft.folder.mkdir()
        yield draft
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
        if not output.exists():
            with suppress(OSError):  # somebody else put something there: leave it
                for folder in missing:
                    folder.rmdir()


def check_output(output: Path, *, force: bool = False) -> None:
    """Raises BundleError unless a bundle may be written to `output`, a path that ends in `.unina`.

    An existing bundle is replaced only with `force`, and anything that is not a bundle never.
    """
    if output.suffix != SUFFIX or not output.stem or output.stem.startswith("."):
        raise BundleError(f"{output}: a bundle is a directory NAME{SUFFIX}, such as cones{SUFFIX}")
    blocking = next((folder for folder in output.parents if folder.exists() and not folder.is_dir()), None)
    if blocking:
        raise BundleError(f"{output}: {blocking} is not a directory")
    if not (output.exists() or output.is_symlink()):
        return
    if output.is_symlink() or not _is_bundle(output):
        raise BundleError(f"{output}: exists and is not a bundle; it is left alone, choose another --output")
    if not force:
        raise BundleError(f"{output}: exists; give --force to replace it, or choose another --output")


def _is_bundle(path: Path) -> bool:
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and "schema" in manifest and "files" in manifest


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
