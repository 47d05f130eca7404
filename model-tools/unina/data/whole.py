"""Files and folders that are there as a whole or not at all: written beside their place, then renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unina.data.faults import DataError, Fault


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Gives a file to write into, which takes the place of `path` when all went well and lies on the disk.

    Raises:
        OSError: its folder is missing, or the disk.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            yield file.file
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o644)  # mkstemp's is the owner's alone
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def write_whole(path: Path, content: bytes) -> None:
    """Writes or replaces a file in one step; raises OSError as `new_file` does."""
    with new_file(path) as file:
        file.write(content)


def check_place(path: Path) -> None:
    """Raises ValueError unless a file can be written there: before the work, not after it."""
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent} to write it to")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file")


@contextmanager
def new_folder(output: Path, *, force: bool = False) -> Iterator[Path]:
    """Gives an empty folder beside `output` to write into, which takes its place when all went well.

    Args:
        output: folder to make.
        force: replace what is there.

    Raises:
        DataError: `output` is a file, or a folder that is not empty and may not be replaced.
    """
    output = output.absolute()
    if output.exists() and not output.is_dir():
        raise DataError([Fault(output, None, "", "is a file; name a folder")])
    if output.is_dir() and any(output.iterdir()) and not force:
        raise DataError([Fault(output, None, "", "is not empty; name another folder, or replace it with --force")])
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        yield partial
        partial.chmod(0o755)  # mkdtemp's is the owner's alone
        if output.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{output.name}.", dir=output.parent)) / "old"
            output.rename(old)
            partial.rename(output)
            shutil.rmtree(old.parent)
        else:
            partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
