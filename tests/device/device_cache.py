"""The folder in which the device's disks are kept: made by one at a time, under names of their own, while others boot.

Two test runs may share it. What one boots from is never written to again: another content has another name.
"""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

_used: list[IO[str]] = []


@contextmanager
def making(cache: Path) -> Iterator[None]:
    """Alone; whoever else wants to make something waits."""
    with (cache / "making.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def use(folder: Path) -> Path:
    """Keeps the folder from `remove_unused` until this process ends."""
    lock = (folder / "used.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_SH)
    _used.append(lock)
    return folder


def remove_unused(cache: Path, pattern: str) -> None:
    """Folders of this name that no process uses."""
    for folder in cache.glob(pattern):
        with suppress(BlockingIOError), (folder / "used.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
