"""`unina-data`: checks, counts, converts and splits data sets, finds duplicates, renders synthetic ones.

Exit code 0 good, 1 the answer is no (faults, duplicates across splits), 2 can't say.
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from unina.cli.data_convert import add_convert, add_split, progress_bar
from unina.cli.exit_code import exit_code
from unina.data.duplicates import DISTANCE, Pair, find_duplicates
from unina.data.faults import DataError, Fault
from unina.data.formats import FORMATS
from unina.data.load import load_dataset, read_dataset, recognise
from unina.data.statistics import BANDS, measure
from unina.data.synthesize import synthesize

EXAMPLES = """examples:
  unina-data validate cones/data.yaml              every fault, one a line
  unina-data stats cones/data.yaml --json          counts and percentiles for a script
  unina-data convert fsoco/ build/fsoco --to yolo  formats, class maps, FSOCO's frame cut off
  unina-data split build/fsoco build/split         train and val of whole videos
  unina-data duplicates build/split/data.yaml      the same picture twice, above all across splits
  unina-data synthesize --output build/cones --train 2000 --val 200 --seed 7

A data set is a data.yaml (YOLO-txt), a COCO json, or a folder of COCO, KITTI or Supervisely (docs/data.md).
Exit code: 0 good, 1 the answer is no (faults found, duplicates across splits), 2 can't say (bad arguments or files).
"""
console = Console()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    arguments = parser().parse_args(argv)

    def work() -> int:
        try:
            command: Callable[[argparse.Namespace], int] = arguments.command
            return command(arguments)
        except DataError as error:
            print(error, file=sys.stderr)  # its lines begin with file and line, as editors want them
            return 2

    return exit_code("unina-data", work, refusals=())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="unina-data",
        description="Checks, counts, converts, splits and synthesises data sets of cones.",
        epilog=EXAMPLES,
        formatter_class=raw,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    check = commands.add_parser(
        "validate",
        help="list every fault as file:line: value: what is wrong and the fix",
        description="Lists every fault as `file:line: value: what is wrong and the fix`, then how many there are.\n"
        "Warnings (odd but usable) are marked so and don't change the exit code: 0 no fault, 1 faults, 2 can't say.",
        epilog="example:\n  unina-data validate cones/data.yaml --duplicates",
        formatter_class=raw,
    )
    check.add_argument("--duplicates", action="store_true", help="warn of look-alikes across splits, too")
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
    twins = commands.add_parser(
        "duplicates",
        help="pictures that show the same, across splits and inside one",
        description="Finds pictures that look the same (two perceptual hashes of 64 bits), nearest first. Exit code 1\n"
        "when such a pair stands across splits: scores on it say nothing. Inside one it only wastes time.",
        epilog="examples:\n  unina-data duplicates cones/data.yaml\n"
        "  unina-data duplicates a/data.yaml b/data.yaml --json",
        formatter_class=raw,
    )
    twins.set_defaults(command=_duplicates)
    twins.add_argument("data", type=Path, nargs="+", metavar="DATA", help="one data set, or several to compare")
    twins.add_argument(
        "--distance", type=int, default=DISTANCE, metavar="BITS", help=f"highest difference of 64 (default: {DISTANCE})"
    )
    for command in (check, count):
        command.add_argument("data", type=Path, metavar="DATA", help="data.yaml, COCO json, or the data set's folder")
    for command in (check, count, twins):
        command.add_argument("--format", dest="form", choices=FORMATS, help="of the data (default: as the path says)")
        command.add_argument("--json", action="store_true", help="print one JSON object instead")

    add_convert(commands)
    add_split(commands)

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
    render.add_argument(
        "--backdrops",
        type=Path,
        metavar="DIR",
        help="photographs without cones: parts of them stand behind the track in some of the pictures (the bytes then "
        "depend on them, too)",
    )
    render.add_argument("--workers", type=int, default=2, metavar="N", help="processes; changes no byte (default: 2)")
    render.add_argument("--force", action="store_true", help="replace DIR if it is there")
    return top


def _validate(arguments: argparse.Namespace) -> int:
    """Faults, one a line, and how many."""
    form = arguments.form or recognise(arguments.data)
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    pictures = 0
    try:
        reading = read_dataset(arguments.data, form=form)
        dataset, faults = reading.dataset, reading.faults
        warnings = dataset.warnings
        pictures = sum(len(samples) for samples in dataset.splits.values())
        if arguments.duplicates:
            with progress_bar("comparing") as progress:
                pairs = find_duplicates([dataset], progress=progress)
            warnings += tuple(_as_fault(pair) for pair in pairs if pair.across)
    except DataError as error:
        if not arguments.data.exists():
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
    print(f"{arguments.data}: {pictures} pictures, no fault, {len(warnings)} warning{'s' * (len(warnings) != 1)}")
    return 0


def _as_json(fault: Fault) -> dict[str, str | int | None]:
    return {"path": str(fault.path), "line": fault.line, "value": fault.value, "message": fault.message}


def _duplicates(arguments: argparse.Namespace) -> int:
    """Pairs, across splits first."""
    if not 0 <= arguments.distance <= 32:
        raise DataError([Fault(Path("--distance"), None, str(arguments.distance), "must lie in 0…32 bits")])
    datasets = [load_dataset(path, form=arguments.form) for path in arguments.data]
    with progress_bar("comparing") as progress:
        pairs = find_duplicates(datasets, arguments.distance, progress)
    across = sum(pair.across for pair in pairs)
    if arguments.json:
        rows = [
            {
                "distance": pair.distance,
                "across": pair.across,
                "pictures": [str(picture.image) for picture in (pair.first, pair.second)],
                "splits": [picture.split for picture in (pair.first, pair.second)],
            }
            for pair in pairs
        ]
        print(json.dumps({"across": across, "within": len(pairs) - across, "pairs": rows}, indent=1))
        return 1 if across else 0
    for pair in pairs:
        first, second = (f"{picture.split} {picture.image}" for picture in (pair.first, pair.second))
        print(f"{pair.distance:2d} bits{' ACROSS' if pair.across else ''}: {first} = {second}")
    print(f"{across} across splits, {len(pairs) - across} inside one")
    return 1 if across else 0


def _as_fault(pair: Pair) -> Fault:
    """A pair across splits as a warning."""
    other = pair.second
    message = f"looks like {other.image} of {other.split} ({pair.distance} bits apart): keep both in one split"
    return Fault(pair.first.image, None, pair.first.split, message)


def _stats(arguments: argparse.Namespace) -> int:
    """Three tables."""
    statistics = measure(load_dataset(arguments.data, form=arguments.form))
    if arguments.json:
        print(json.dumps(statistics.as_json(), indent=1))
        return 0
    counts = Table("", title=str(arguments.data))  # classes downwards: their names are long, splits are few
    for split in statistics.counts.index:
        counts.add_column(str(split), justify="right")
    for name, row in statistics.counts.T.iterrows():
        counts.add_row(str(name), *(f"{int(value)}" for value in row))
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
    with progress_bar("rendering") as progress:
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
            backdrops=arguments.backdrops,
            progress=progress,
        )
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
