"""What TensorRT says: its calls report a failure by returning nothing, and why only to a log."""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from unina_runtime._unina import UninaError
from unina_runtime.tensorrt.vendor import one_line


class Log:
    """Keeps the last error, for the message of an exception; warnings go to stderr."""

    def __init__(self, trt: Any) -> None:
        self._last_error = ""
        self.logger = _logger(trt, self)

    def require(self, done: Any, call: str, where: object) -> Any:
        """What a call returned, if that is something.

        Raises:
            UninaError: it is None or False; the message names `where`, the call, and what TensorRT said last.
        """
        if done is not None and done is not False:
            return done
        raise self.failure(call, where)

    def failure(self, call: str, where: object) -> UninaError:
        """The error of a call that failed."""
        said, self._last_error = self._last_error, ""
        return UninaError(f"{where}: TensorRT: {call} failed{': ' if said else ''}{said}")

    def take(self, severity: Any, levels: Any, message: str) -> None:
        """TensorRT calls this, from any thread; nothing may be thrown here."""
        if severity in (levels.INTERNAL_ERROR, levels.ERROR):
            self._last_error = one_line(message)
        elif severity == levels.WARNING:
            print(f"TensorRT: {one_line(message)}", file=sys.stderr)


@cache
def log_of(trt: Any) -> Log:
    """The one log of the process: TensorRT keeps the first logger that it is given."""
    return Log(trt)


def _logger(trt: Any, log: Log) -> Any:
    class Logger(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # of pybind11: super() is not enough

        def log(self, severity: Any, msg: str) -> None:
            log.take(severity, trt.ILogger.Severity, msg)

    return Logger()
