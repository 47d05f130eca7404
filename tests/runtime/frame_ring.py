"""The producer's side of the ring of pictures (runtime/include/unina/frame_ring.h), for tests."""

import mmap
import struct
import time
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

FREE, FILLING, READY, HELD = range(4)
HEADER, SLOT, MOST_SLOTS = 64, 24, 64
PIXELS = HEADER + SLOT * MOST_SLOTS


class FrameRing:
    """BGR pictures. Python has no compare-and-exchange, so this producer takes free slots only: where none is, a
    picture is left out, which is a gap. (A producer in C takes the oldest that waits.)"""

    def __init__(self, path: Path, height: int, width: int, slots: int = 8) -> None:
        self._shape, self._slots, self._sequence = (height, width, 3), slots, 0
        self._bytes = height * width * 3
        temporary = path.with_name(path.name + ".new")
        with temporary.open("w+b") as file:
            file.truncate(PIXELS + slots * self._bytes)
            self._memory = mmap.mmap(file.fileno(), 0)
        self._memory[:8] = b"UNINAFR1"
        struct.pack_into("<IIQIIIIII", self._memory, 8, 1, PIXELS, self._bytes, slots, width, height, width * 3, 0, 0)
        temporary.rename(path)
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._memory.close()
        self._path.unlink()

    def put(self, picture: npt.NDArray[np.uint8]) -> bool:
        """Whether there was a free slot for it."""
        self._sequence += 1
        slot = next((i for i in range(self._slots) if self._state(i) == FREE), None)
        if slot is None:
            return False
        self._set(slot, FILLING)
        at = PIXELS + slot * self._bytes
        np.frombuffer(self._memory, np.uint8, self._bytes, at).reshape(self._shape)[...] = picture
        struct.pack_into("<Qq", self._memory, HEADER + slot * SLOT + 8, self._sequence, time.monotonic_ns())
        self._set(slot, READY)
        return True

    def _state(self, slot: int) -> int:
        return int(struct.unpack_from("<I", self._memory, HEADER + slot * SLOT)[0])

    def _set(self, slot: int, state: int) -> None:
        struct.pack_into("<I", self._memory, HEADER + slot * SLOT, state)
