"""Puts a bundle where a detector's configuration looks for it, so that power may fail at any moment.

<folder>/cones.unina                     link to the newest; what detector.toml names
<folder>/cones-<16 digits>.unina/        verified bundles, by the SHA-256 of their manifests: the newest, the one before
<folder>/.incoming-*                     being copied, or being removed; nobody reads it
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unina_runtime.compile.disk import replace_link, to_disk, whole_to_disk
from unina_runtime.compile.onnx_data import require_own_networks
from unina_runtime.compile.outcome import CannotSay, Refused
from unina_runtime.compile.signature import TrustedKeys
from unina_runtime.compile.verified_bundle import MANIFEST, VerifiedBundle, copy_verified, verify_bundle

INCOMING = ".incoming-"
MIB = 1 << 20


def install(source: Path, place: Path, keys: TrustedKeys, min_free_mb: int) -> tuple[VerifiedBundle, Path]:
    """Lets `place` be a link to a verified copy of `source`, and returns that. Raises Refused, CannotSay."""
    folder = place.parent
    try:
        with _locked(folder):
            found = verify_bundle(source, keys)
            target = place.with_name(f"{place.stem}-{found.sha256[:16]}{place.suffix}")
            if not _is_whole(target, keys):
                _require_free(folder, found, min_free_mb)
                _copy(found, keys, target)
            former = place.readlink().name if place.is_symlink() else _step_aside(place)
            if former != target.name:
                replace_link(place, Path(target.name))
                _prune(place, {target.name, former})
    except OSError as error:
        where = error.filename or folder
        fix = "; run it as root" if isinstance(error, PermissionError) else ""
        raise CannotSay(f"{where}: {error.strerror or error}; the bundle was not installed{fix}") from error
    return found, target


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One at a time; what a killed one left behind is removed."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # a file in it would wake unina-update.path
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for rest in folder.glob(f"{INCOMING}*"):
            shutil.rmtree(rest, ignore_errors=True)
        yield
    finally:
        os.close(lock)


def _is_whole(target: Path, keys: TrustedKeys) -> bool:
    try:
        verify_bundle(target, keys)
    except (Refused, CannotSay):
        return False
    return True


def _require_free(folder: Path, bundle: VerifiedBundle, min_free_mb: int) -> None:
    found = os.statvfs(folder)
    free, needed = found.f_bavail * found.f_frsize, bundle.bytes + min_free_mb * MIB
    if free < needed:
        raise Refused(
            f"{folder}: {free / MIB:.0f} MiB are free, {needed / MIB:.0f} are needed (min_free_mb); make room"
        )


def _copy(bundle: VerifiedBundle, keys: TrustedKeys, target: Path) -> None:
    with _incoming(target.parent) as work:
        copy = copy_verified(bundle.path, keys, work / target.name)
        if copy.sha256 != bundle.sha256:
            raise Refused(f"{bundle.path}: changed while it was read; install it again when it is complete")
        require_own_networks(copy)
        whole_to_disk(copy.path)
        if target.exists() or target.is_symlink():  # damaged
            target.rename(work / "damaged")
        copy.path.rename(target)
        to_disk(target.parent)


def _step_aside(place: Path) -> str:
    """A folder that was put there by hand becomes the named one beside it; meanwhile the last good one serves."""
    if not place.exists():
        return ""
    try:
        digits = hashlib.sha256((place / MANIFEST).read_bytes()).hexdigest()[:16]
    except OSError:
        digits = "0" * 16
    aside = place.with_name(f"{place.stem}-{digits}{place.suffix}")
    with _incoming(place.parent) as work:
        if aside.exists():
            aside.rename(work / "same")
        place.rename(aside)
        to_disk(place.parent)
    return aside.name


def _prune(place: Path, kept: set[str]) -> None:
    """Bundles that an earlier install left here, but the newest and the one before."""
    ours = re.compile(rf"{re.escape(place.stem)}-[0-9a-f]{{16}}{re.escape(place.suffix)}")
    for entry in place.parent.iterdir():
        if ours.fullmatch(entry.name) and entry.name not in kept and not entry.is_symlink():
            with _incoming(place.parent) as work:
                entry.rename(work / "removed")


@contextmanager
def _incoming(folder: Path) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=INCOMING, dir=folder))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
