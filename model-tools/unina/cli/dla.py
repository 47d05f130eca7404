"""`unina-dla`: knows the DLA without owning one: rules, check, estimate, vectors and compile commands.

Exit code 0 good, 1 the answer is no, 2 can't say.
"""

import argparse
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
from unina.cli.exit_code import exit_code
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
    return exit_code("unina-dla", lambda: command(arguments), refusals=(GraphError, NetworkError, ScaleError))


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
