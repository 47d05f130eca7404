"""What is wrong with a data set, in words that let a person mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SHOWN = 20
"""Faults that a DataError's text lists; `unina-data validate` lists them all."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong (or, as a warning, odd): where, what was found there, what to do about it."""

    path: Path
    line: int | None
    """1-based; None when the fault is the file's as a whole"""
    value: str
    """what was found, quoted from the file; may be empty"""
    message: str
    """what is wrong and the fix"""

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line is not None else f"{self.path}"
        return ": ".join(part for part in (place, self.value, self.message) if part)


class DataError(ValueError):
    """A data set, label file or picture that can't be used; `.faults` holds every reason."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        lines = [str(fault) for fault in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"… and {len(self.faults) - SHOWN} more; `unina-data validate` lists them all")
        super().__init__("\n".join(lines))
