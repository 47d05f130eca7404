"""`unina-data`: checks and counts data sets, renders synthetic ones. Exit code 0 good, 1 faults found, 2 can't say."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from unina.data.load import load_dataset
from unina.data.faults import DataError, Fault
from unina.data.statistics import BANDS, measure
from unina.data.synthesize import synthesize

EXAMPLES = """examples:
  unina-data validate cones/data.yaml              every fault, one a line
  unina-data stats cones/data.yaml --json          counts and percentiles for a script
  unina-data synthesize --output build/cones --train 2000 --val 200 --seed 7

Data sets are YOLO-txt (docs/data.md). Exit code: 0 good, 1 faults found, 2 can't say (bad arguments or files).
"""
console = Console()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    arguments = parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"unina-data: {error.filename or ''}: {error.strerror or error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print("\nunina-data: stopped; nothing was written", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="unina-data",
        description="Checks, counts and synthesises YOLO-txt data sets of cones.",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser(
        "validate",
        help="list every fault as file:line: value: what is wrong and the fix",
        description="Lists every fault as `file:line: value: what is wrong and the fix`, then how many there are.\n"
        "Warnings (odd but usable) are marked so and don't change the exit code: 0 no fault, 1 faults, 2 can't say.",
        epilog="example:\n  unina-data validate cones/data.yaml",
        formatter_class=raw,
    )
    check.set_defaults(command=_validate)
    count = commands.add_parser(
        "stats",
        help="pictures, boxes a class, sizes",
        description="Pictures and boxes a class and split; percentiles of box width, height and centre (relative to\n"
        "the picture) and of boxes per picture; share of boxes by height when the longer side is 640 px.",
        epilog="example:\n  unina-data stats cones/data.yaml",
        formatter_class=raw,
    )
    count.set_defaults(command=_stats)
    for command in (check, count):
        command.add_argument("data", type=Path, metavar="DATA.yaml", help="the data set's table of contents")
        command.add_argument("--json", action="store_true", help="print one JSON object instead")

    render = commands.add_parser(
        "synthesize",
        help="render cone scenes with labels",
        description="Renders Formula Student scenes: curved tracks, the four cones by their true sizes, sun, shadow,\n"
        "clutter, blur and noise; box sizes are distributed as in FSOCO. The same seed gives the same bytes.\n"
        "The folder appears only when all is written: stopping half-way leaves nothing behind.",
        epilog="example:\n  unina-data synthesize --output build/cones --train 600 --val 80 --test 80 --seed 0",
        formatter_class=raw,
    )
    render.set_defaults(command=_synthesize)
    render.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder to make")
    render.add_argument("--train", type=int, default=600, metavar="N", help="training pictures (default: 600)")
    render.add_argument("--val", type=int, default=80, metavar="N", help="validation pictures (default: 80)")
    render.add_argument("--test", type=int, default=0, metavar="N", help="test pictures (default: none)")
    render.add_argument("--seed", type=int, default=0, help="of everything random (default: 0)")
    render.add_argument("--width", type=int, default=1280, help="of the pictures, pixels (default: 1280)")
    render.add_argument("--height", type=int, default=720, help="of the pictures, pixels (default: 720)")
    render.add_argument("--workers", type=int, default=2, metavar="N", help="processes; changes no byte (default: 2)")
    render.add_argument("--force", action="store_true", help="replace DIR if it is there")
    return top


def _validate(arguments: argparse.Namespace) -> int:
    """Faults, one a line, and how many."""
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    pictures = 0
    try:
        dataset = load_dataset(arguments.data)
        warnings = dataset.warnings
        pictures = sum(len(samples) for samples in dataset.splits.values())
    except DataError as error:
        if not arguments.data.is_file():
            raise
        faults = error.faults
    if arguments.json:
        result = {"faults": [_as_json(fault) for fault in faults], "warnings": [_as_json(w) for w in warnings]}
        print(json.dumps({"data": str(arguments.data), "pictures": pictures, **result}, indent=1))
        return 1 if faults else 0
    for warning in warnings:
        print(f"{warning} (warning)")
    for fault in faults:
        print(fault)
    if faults:
        print(f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}")
        return 1
    print(f"{arguments.data}: {pictures} pictures, no fault, {len(warnings)} warnings")
    return 0


def _as_json(fault: Fault) -> dict[str, str | int | None]:
    return {"path": str(fault.path), "line": fault.line, "value": fault.value, "message": fault.message}


def _stats(arguments: argparse.Namespace) -> int:
    """Three tables."""
    statistics = measure(load_dataset(arguments.data))
    if arguments.json:
        print(json.dumps(statistics.as_json(), indent=1))
        return 0
    counts = Table("split", title=str(arguments.data))
    for column in statistics.counts.columns:
        counts.add_column(column, justify="right")
    for split, row in statistics.counts.iterrows():
        counts.add_row(str(split), *(f"{int(value)}" for value in row))
    console.print(counts)
    sizes = Table("split", "percentile", title="boxes, relative to the picture")
    for column in statistics.percentiles.columns:
        sizes.add_column(column, justify="right")
    for split in statistics.counts.index:
        for percentile, row in statistics.percentiles.loc[split].iterrows():
            *relative, number = (float(value) for value in row)
            sizes.add_row(str(split), f"{percentile}", *(f"{value:.4f}" for value in relative), f"{number:.0f}")
        sizes.add_section()
    console.print(sizes)
    bands = Table("split", *BANDS, title="share of boxes by height, longer side of the picture at 640 px")
    for split, row in statistics.bands.iterrows():
        bands.add_row(str(split), *(f"{float(value):.1%}" for value in row))
    console.print(bands)
    return 0


def _synthesize(arguments: argparse.Namespace) -> int:
    """Renders, with a bar."""
    bar = Progress(
        TextColumn("rendering"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    task = bar.add_task("rendering", total=None)

    def show(done: int, total: int) -> None:
        bar.start()  # only now: a refusal needs no bar
        bar.update(task, completed=done, total=total)

    try:
        path = synthesize(
            arguments.output,
            train=arguments.train,
            val=arguments.val,
            test=arguments.test,
            seed=arguments.seed,
            width=arguments.width,
            height=arguments.height,
            workers=arguments.workers,
            force=arguments.force,
            progress=show,
        )
    finally:
        bar.stop()
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
