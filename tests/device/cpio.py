"""Writes what Linux unpacks as its first root: a cpio archive of the form "newc", everything root's and executable."""

FOLDER, FILE = 0o040755, 0o100755


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + "".join(f"{field:08x}" for field in fields).encode() + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def archive(folders: list[str], files: dict[str, bytes]) -> bytes:
    """Folders, then files, by path."""
    entries = [(name, FOLDER, b"") for name in folders] + [(name, FILE, content) for name, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries))
