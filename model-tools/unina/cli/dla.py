"""`unina-dla`: knows the DLA without owning one: rules, check, estimate, vectors and compile commands.

Exit code 0 good, 1 the answer is no, 2 can't say.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from unina.cli.dla_calibrate import add_calibrate
from unina.cli.dla_check import add_check
from unina.cli.dla_command import add_command
from unina.cli.dla_estimate import add_estimate
from unina.cli.dla_lint_cache import add_lint_cache
from unina.cli.dla_rules import add_rules
from unina.cli.dla_search import add_search
from unina.cli.dla_vectors import add_vectors
from unina.dla.graph import GraphError
from unina.dla.network import NetworkError
from unina.dla.scales import ScaleError

ADD: tuple[Callable[["argparse._SubParsersAction[argparse.ArgumentParser]"], None], ...] = (
    add_rules,
    add_check,
    add_lint_cache,
    add_estimate,
    add_calibrate,
    add_search,
    add_command,
    add_vectors,
)
"""What adds the commands, in the order of `--help`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    arguments = parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        code = command(arguments)
        sys.stdout.flush()  # a pipe that is closed must be noticed here, not by the interpreter at its end
        return code
    except (GraphError, NetworkError, ScaleError) as error:
        print(f"unina-dla: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `… | head` has read enough; what is still in the buffer goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"unina-dla: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nunina-dla: stopped; nothing was written", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="unina-dla",
        description="Whether a network runs on a Jetson's DLA, how fast, and with what numbers: without a Jetson.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in ADD:
        add(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
