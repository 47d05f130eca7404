"""Reads the service's ring of detections in shared memory (docs/service.md, "The ring")."""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from unina_runtime._unina import MappedRing, UninaError
from unina_runtime.detections import Detections

_SLOT = struct.Struct("<QQqqqqQQIIII")  # struct unina_ring_slot
_DETECTION = np.dtype([("box", "<f4", 4), ("score", "<f4"), ("class_id", "<i4")])  # struct unina_ring_detection


@dataclass(frozen=True)
class RingMessage:
    """What the service said about one picture; the fields are those of a message on its socket.

    Attributes:
        number: of the message in the ring, from 0.
        frame: id of the picture; ids that are missing were dropped.
        captured_ns, submitted_ns, done_ns: `CLOCK_MONOTONIC`, as `time.monotonic_ns()` on this machine.
        captured_realtime_ns: `CLOCK_REALTIME`.
        drops, gaps: since the service started.
        stale: the picture was old when the detector took it.
        width, height: of the source picture, in pixels.
        detections: boxes in source pixels; `classes` are indices into `DetectionRing.classes`.
    """

    number: int
    frame: int
    captured_ns: int
    submitted_ns: int
    done_ns: int
    captured_realtime_ns: int
    drops: int
    gaps: int
    width: int
    height: int
    stale: bool
    detections: Detections


class DetectionRing:
    """The ring at a path, mapped for reading; a context manager.

    Raises:
        UninaError: the file is no ring, or of another version.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        with self._path.open("rb") as file:
            self._identity = _identity(os.fstat(file.fileno()))
            try:
                self._memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
                self._ring = MappedRing(self._memory)
            except ValueError as error:  # an empty file, and UninaError
                raise UninaError(f"{self._path}: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        del self._ring  # gives the mapping back
        self._memory.close()

    @property
    def classes(self) -> list[str]:
        """Names of the classes."""
        return self._ring.classes

    @property
    def written(self) -> int:
        """How many messages are complete; the newest is `written - 1`."""
        return self._ring.written

    @property
    def replaced(self) -> bool:
        """Whether the service ended or was restarted, so that nothing will come: open the ring anew."""
        try:
            return self._ring.closed or _identity(self._path.stat()) != self._identity
        except FileNotFoundError:
            return True

    def read(self, number: int) -> RingMessage | None:
        """The message of that number, or None where it is not written yet or was overwritten."""
        slot = self._ring.read(number)
        if slot is None:
            return None
        _, frame, captured, submitted, done, realtime, drops, gaps, width, height, stale, _ = _SLOT.unpack_from(slot)
        found = np.frombuffer(slot, _DETECTION, offset=_SLOT.size)
        detections = Detections(
            np.ascontiguousarray(found["box"]),
            np.ascontiguousarray(found["score"]),
            np.ascontiguousarray(found["class_id"]),
        )
        return RingMessage(
            number, frame, captured, submitted, done, realtime, drops, gaps, width, height, bool(stale), detections
        )

    def latest(self) -> RingMessage | None:
        """The newest message, or None before the first."""
        while written := self.written:
            if message := self.read(written - 1):
                return message
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
