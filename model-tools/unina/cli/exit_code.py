"""How a program ends: 0, 1 or 2, and one line on stderr that says why it could not answer."""

import os
import sys
from collections.abc import Callable

STOPPED = 130
"""exit code after Ctrl-C: 128 + SIGINT, as a shell has it"""


def exit_code(
    program: str,
    work: Callable[[], int],
    stopped: str = "stopped; nothing was written",
    refusals: tuple[type[Exception], ...] = (ValueError,),
) -> int:
    """Runs the work of a program; what it returns, or the code for the exception that ended it.

    Args:
        stopped: what Ctrl-C leaves behind.
        refusals: exceptions whose text is for the user; any other is a fault of ours and keeps its traceback.
    """
    try:
        code = work()
        sys.stdout.flush()  # a pipe that is closed must be noticed here, not by the interpreter at its end
        return code
    except BrokenPipeError:  # `… | head` has read enough; what is still in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"{program}: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
    except refusals as error:
        print(f"{program}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print(f"\n{program}: {stopped}", file=sys.stderr)
        return STOPPED
    return 2
