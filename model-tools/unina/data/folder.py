"""A folder that appears whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unina.data.faults import DataError, Fault


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
