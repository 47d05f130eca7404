"""JSON files as people wrote them: what is missing or of the wrong kind is named by its path in the file."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unina.data.faults import DataError, Fault

KINDS: dict[type, str] = {dict: "a table {…}", list: "a list […]", str: "a text", int: "a whole number"}


@dataclass(frozen=True)
class Node:
    """A value in a JSON file together with where it stands."""

    path: Path
    where: str
    """`annotations[3].bbox`"""
    value: Any

    def get(self, key: str, kind: type) -> "Node":
        """The entry `key`, which must be of the kind.

        Raises:
            DataError: it is missing, or of another kind.
        """
        node = self.find(key, kind)
        if node is None:
            raise self.wrong(f"`{key}` is missing; add it: {KINDS[kind]}")
        return node

    def find(self, key: str, kind: type) -> "Node | None":
        """The entry `key`; None where it is missing or null.

        Raises:
            DataError: it is of another kind.
        """
        if not isinstance(self.value, dict):
            raise self.wrong(f"must be {KINDS[dict]}")
        if self.value.get(key) is None:
            return None
        return Node(self.path, f"{self.where}.{key}".lstrip("."), self.value[key]).expect(kind)

    def expect(self, kind: type) -> "Node":
        """Itself.

        Raises:
            DataError: it is of another kind.
        """
        if not isinstance(self.value, kind) or (kind is int and isinstance(self.value, bool)):
            raise self.wrong(f"must be {KINDS[kind]}")
        if kind is str and not _is_text(str(self.value)):
            raise self.wrong("holds half a character; write it anew")
        return self

    def items(self) -> "list[Node]":
        """The entries of a list."""
        self.expect(list)
        return [Node(self.path, f"{self.where}[{index}]", item) for index, item in enumerate(self.value)]

    def numbers(self, count: int) -> tuple[float, ...]:
        """The entries of a list of finite numbers.

        Raises:
            DataError: it is no list of `count` of them.
        """
        self.expect(list)
        if len(self.value) != count:
            raise self.wrong(f"{len(self.value)} numbers; write {count}")
        for item in self.items():
            if isinstance(item.value, bool) or not isinstance(item.value, int | float):
                raise item.wrong("is not a number")
            if not math.isfinite(item.value) or abs(item.value) > 1e9:
                raise item.wrong("is no length in pixels; write a number")
        return tuple(float(value) for value in self.value)

    def wrong(self, message: str) -> DataError:
        """The error that says what is wrong with this value."""
        if isinstance(self.value, dict):
            shown = ""  # too long, and its place says it
        else:
            text = json.dumps(self.value, ensure_ascii=False)
            text = text if _is_text(text) else json.dumps(self.value)
            shown = text if len(text) <= 60 else f"{text[:57]}…"
        return DataError([self.fault(": ".join(part for part in (self.where, shown) if part), message)])

    def fault(self, value: str, message: str) -> Fault:
        """A fault of this file."""
        return Fault(self.path, None, value, message)


def read_json(path: Path) -> Node:
    """A JSON file; numbers too large for a double are infinite.

    Raises:
        DataError: the file is missing, not UTF-8, not JSON (with line, column and byte).
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return Node(path, "", json.loads(text, parse_int=_parse_int))
    except FileNotFoundError:
        raise DataError([Fault(path, None, "", "no such file; restore it")]) from None
    except OSError as error:
        raise DataError([Fault(path, None, "", f"can't be read ({error.strerror})")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        value = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        raise DataError([Fault(path, line, value, "not UTF-8 text; save it as UTF-8")]) from None
    except json.JSONDecodeError as error:
        if not error.doc.strip():
            raise DataError([Fault(path, None, "", "the file is empty; restore it")]) from None
        found = error.doc.splitlines()[error.lineno - 1].strip() if error.lineno <= error.doc.count("\n") + 1 else ""
        byte = len(error.doc[: error.pos].encode())
        message = f"not JSON ({error.msg}, column {error.colno}, byte {byte}); mend it"
        raise DataError([Fault(path, error.lineno, found[:60], message)]) from None
    except RecursionError:
        raise DataError([Fault(path, None, "", "not usable JSON (nested too deep)")]) from None


def _is_text(text: str) -> bool:
    """JSON's escapes can spell half of a surrogate pair, which no terminal and no file name can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _parse_int(digits: str) -> int | float:
    """Python refuses integers of thousands of digits with a bare ValueError."""
    return int(digits) if len(digits) < 300 else math.inf
