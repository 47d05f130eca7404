"""Reads a bundle that nobody has vouched for: every file by its hash, no link, nothing unnamed."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from unina_runtime.compile.manifest import (
    AGAIN,
    MOST_MANIFEST_BYTES,
    BundleFile,
    Manifest,
    parse_manifest,
    shown,
)
from unina_runtime.compile.outcome import CannotSay, Refused
from unina_runtime.compile.signature import SIGNATURE, TrustedKeys

MANIFEST = "manifest.json"
PIECE = 1 << 20


@dataclass(frozen=True)
class VerifiedBundle:
    """A bundle whose files were all what its manifest says, at the time of looking."""

    path: Path
    manifest: Manifest
    sha256: str
    """of manifest.json, which holds the hashes of all others"""
    signed_by: str
    """file name of the key; "" where none is provisioned"""

    @property
    def bytes(self) -> int:
        """Of all its files, about."""
        return self.manifest.bytes


def verify_bundle(path: Path, keys: TrustedKeys) -> VerifiedBundle:
    """Checks the bundle and reads every file of it once.

    Raises:
        Refused: it may not be used.
        CannotSay: it is not there or cannot be read.
    """
    return _each_file(path, keys, lambda name, piece: None)


def copy_verified(path: Path, keys: TrustedKeys, target: Path) -> VerifiedBundle:
    """Copies the bundle to the new folder `target`, checking what is written: what changes meanwhile is not taken over.

    Raises: as `verify_bundle`.
    """
    target.mkdir()
    with ExitStack() as stack:
        written: dict[str, FileIO] = {}

        def write(name: str, piece: bytes) -> None:
            try:
                if name not in written:
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    written[name] = stack.enter_context((target / name).open("xb", buffering=0))
                while piece:
                    piece = piece[written[name].write(piece) :]
            except OSError as error:
                raise Refused(f"{target}: cannot be written: {error.strerror}") from error

        copied = _each_file(path, keys, write)
    return replace(copied, path=target)


def _each_file(path: Path, keys: TrustedKeys, take: Callable[[str, bytes], None]) -> VerifiedBundle:
    try:
        with _opened(path) as root:
            content = _small_file(root, MANIFEST, path, MOST_MANIFEST_BYTES)
            signature = None
            if SIGNATURE in os.listdir(root):  # noqa: PTH208 (of a descriptor)
                signature = _small_file(root, SIGNATURE, path, PIECE)
            signed_by = keys.verify(content, signature, str(path))
            manifest = parse_manifest(content, str(path / MANIFEST))
            _refuse_strangers(path, manifest)
            take(MANIFEST, content)
            if signature is not None:
                take(SIGNATURE, signature)
            for name, expected in manifest.files.items():
                _verify_file(root, name, expected, path, take)
    except OSError as error:
        raise CannotSay(f"{path}: cannot be read: {error.strerror or error}") from error
    return VerifiedBundle(path, manifest, hashlib.sha256(content).hexdigest(), signed_by)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError as error:
        raise Refused(
            f"{path}: is not a directory; a bundle is a directory NAME.unina, archives are not taken"
        ) from error
    except FileNotFoundError as error:
        raise CannotSay(f"{path}: no such bundle; put a .unina directory there") from error
    try:
        yield root
    finally:
        os.close(root)


@contextmanager
def _regular(root: int, name: str, path: Path) -> Iterator[int]:
    """A descriptor of a regular file below `root`; no part of its name may be a link."""
    with ExitStack() as stack:
        folder, *rest = root, *name.split("/")
        try:
            for part in rest[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                folder = os.open(part, flags, dir_fd=folder)
                stack.callback(os.close, folder)
            file = os.open(rest[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except FileNotFoundError as error:
            raise Refused(f"{path}: {shown(name)} is missing; {AGAIN}") from error
        except OSError as error:
            where = f"{path}: {shown(name)}"
            raise Refused(f"{where} is a link or cannot be read ({error.strerror}); {AGAIN}") from error
        stack.callback(os.close, file)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise Refused(f"{path}: {shown(name)} is not a regular file; {AGAIN}")
        yield file


def _small_file(root: int, name: str, path: Path, most: int) -> bytes:
    with _regular(root, name, path) as file:
        size = os.fstat(file).st_size
        if size > most:
            raise Refused(f"{path}: {name}: {size} bytes, which is too much for it; {AGAIN}")
        content = b""
        while piece := os.read(file, PIECE):
            content += piece
            if len(content) > most:
                raise Refused(f"{path}: {name}: grows while it is read; {AGAIN}")
        return content


def _verify_file(root: int, name: str, expected: BundleFile, path: Path, take: Callable[[str, bytes], None]) -> None:
    with _regular(root, name, path) as file:
        size = os.fstat(file).st_size
        if size != expected.bytes:
            raise Refused(f"{path}: {name}: has {size} bytes, the manifest says {expected.bytes}; {AGAIN}")
        sha256, left = hashlib.sha256(), size
        take(name, b"")  # an empty file is a file
        while left and (piece := os.read(file, min(PIECE, left))):
            left -= len(piece)
            sha256.update(piece)
            take(name, piece)
        if left or sha256.hexdigest() != expected.sha256:
            raise Refused(f"{path}: {name}: its SHA-256 is not the manifest's: the file was changed; {AGAIN}")


def _refuse_strangers(path: Path, manifest: Manifest) -> None:
    """Every entry is named by the manifest, or is a folder on the way to one that is."""
    folders = {parent for name in manifest.files for parent in map(str, Path(name).parents)}
    for place, names, files in os.walk(path, onerror=_raise):
        for name in [*names, *files]:
            entry = Path(place) / name
            inside = str(entry.relative_to(path))
            mode = entry.lstat().st_mode
            if stat.S_ISLNK(mode):
                raise Refused(
                    f"{path}: {shown(inside)} is a link, which a bundle may not hold; put the file itself there"
                )
            known = inside in folders if stat.S_ISDIR(mode) else inside in {MANIFEST, SIGNATURE, *manifest.files}
            if not known:
                raise Refused(f"{path}: {shown(inside)} is not named by {MANIFEST}; remove it")


def _raise(error: OSError) -> None:
    raise error
