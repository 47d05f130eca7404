"""Files that are there whole or not at all, and files that are read with a reason where they cannot be."""

import json
import os
from pathlib import Path
from typing import Any

from unina_runtime.profile.outcome import CannotSay


def check_place(path: Path) -> None:
    """Raises CannotSay now where `write_whole` would later, after minutes of measuring."""
    if not path.parent.is_dir():
        raise CannotSay(f"{path}: there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise CannotSay(f"{path}: is a folder; name a file")
    if not os.access(path.parent, os.W_OK):
        raise CannotSay(f"{path}: {path.parent} may not be written; name another place")


def write_whole(path: Path, content: str) -> None:
    """By temporary file, fsync and rename: a cut leaves the old file. Raises CannotSay."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with new.open("w", encoding="utf-8", errors="replace") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise CannotSay(f"{path}: not written: {error.strerror}") from error
    finally:
        new.unlink(missing_ok=True)


def write_json(path: Path, document: Any) -> None:
    """As `write_whole`."""
    write_whole(path, json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")


def read_text(path: Path) -> str:
    """Raises CannotSay. Bytes that are not UTF-8 become a mark."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise CannotSay(f"{path}: cannot be read: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """Raises CannotSay."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, origin: str) -> Any:
    """Raises CannotSay, naming the place."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f":{error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise CannotSay(f"{origin}{where}: not JSON; was it written to its end?") from error
