"""Ctrl-C and SIGTERM as a question that the training loop asks between two steps."""

import signal
import time
from types import FrameType, TracebackType

ECHO_S = 3.0
"""A signal so soon after the first is the same wish: torchrun passes on a Ctrl-C that the terminal sent to all."""


class Interrupt:
    """While entered, the first signal only sets `requested`; a later one interrupts at once."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._first = 0.0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> "Interrupt":
        for number in self.SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.requested and now - self._first > ECHO_S:
            raise KeyboardInterrupt
        if not self.requested:
            self.requested, self._first = True, now
