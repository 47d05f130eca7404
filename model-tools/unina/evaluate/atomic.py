"""A file is there as a whole or not at all: written beside its place, then renamed."""

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Writes or replaces a file.

    Raises:
        ValueError: its folder is missing.
        OSError: the disk.
    """
    check_place(path)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def check_place(path: Path) -> None:
    """Raises ValueError unless a file can be written there: before the work, not after it."""
    if not path.parent.is_dir():
        raise ValueError(f"{path}: there is no folder {path.parent} to write it to")
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name a file")
