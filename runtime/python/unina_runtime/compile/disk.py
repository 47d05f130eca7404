"""Changes that a power cut leaves whole or undone: what is new is on the disk before a rename shows it."""

import os
import stat
from pathlib import Path


def whole_to_disk(folder: Path) -> None:
    """Everything in it: readable for other users, unchangeable by accident, and on the disk."""
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files:
            path = Path(place) / name
            path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IROTH)
            to_disk(path)
        for name in folders:
            (Path(place) / name).chmod(0o755)
        to_disk(Path(place))
    folder.chmod(0o755)
    to_disk(folder)


def to_disk(path: Path) -> None:
    """A file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_link(place: Path, target: Path) -> None:
    """Lets `place` be a link to `target`, whatever link or file it was."""
    fresh = place.with_name(f".{place.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.rename(place)
    to_disk(place.parent)


def replace_text(place: Path, text: str) -> None:
    """Lets the file `place` hold this."""
    fresh = place.with_name(f".{place.name}.new")
    fresh.write_text(text, encoding="utf-8")
    to_disk(fresh)
    fresh.rename(place)
    to_disk(place.parent)
