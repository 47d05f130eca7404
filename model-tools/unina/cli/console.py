"""The console that tables are printed on: as wide as the terminal, and as wide as a table needs where there is none."""

import sys

from rich.console import Console

PIPE_WIDTH = 160
"""Columns in a pipe or a file: rich would take 80, and cut what two rows are told apart by."""


def stdout_console(pipe_width: int = PIPE_WIDTH) -> Console:
    """On standard output, numbers not coloured."""
    return Console(width=None if sys.stdout.isatty() else pipe_width, highlight=False)
