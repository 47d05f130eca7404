"""`unina-data convert` and `unina-data split`: read a data set, write another one."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from unina.data.convert import AUTO, Written, write_dataset
from unina.data.dataset import Dataset
from unina.data.faults import DataError, Fault
from unina.data.formats import FORMATS
from unina.data.load import read_dataset, recognise
from unina.data.remap import DROP, IGNORE, class_order, remap_dataset
from unina.data.video_split import Group, group_by_folder, group_by_name, split_dataset, split_groups

CONVERT = """examples:
  unina-data convert fsoco/ build/fsoco --to yolo --ignore unknown_cone
  unina-data convert cones/data.yaml build/coco --to coco --link
  unina-data convert fs/data.yaml build/fs --to yolo --classes "orange=orange_cone|large_orange_cone,blue=blue_cone"
"""
SPLIT = r"""examples:
  unina-data split build/fsoco/data.yaml build/fsoco-split --val 0.15
  unina-data split frames/data.yaml build/frames --by '^(run\d+)_' --val 0.2 --test 0.1
"""


def add_convert(commands: Any) -> None:
    """Adds the command to the parser's."""
    parser = commands.add_parser(
        "convert",
        help="write a data set in another format, with other classes",
        description="Reads SOURCE (YOLO-txt, COCO, KITTI or Supervisely/FSOCO: the path says which) and writes DEST.\n"
        "Boxes come out as they went in, to the last bit. DEST appears only when all is written.",
        epilog=CONVERT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_source_and_dest(parser)
    parser.add_argument(
        "--classes",
        metavar="MAP",
        help="`old=new,…`, or a YAML file of `old: new`; new may be several classes joined by | (the label means one "
        "of them), `ignore` or `drop`. A class that is not mentioned keeps its name",
    )
    parser.add_argument("--drop", action="append", default=[], metavar="CLASS", help="leave its boxes out; repeatable")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="CLASS", help="make its boxes ignore regions; repeatable"
    )
    parser.add_argument("--names", metavar="A,B,…", help="the classes of DEST in their order (default: as they occur)")
    parser.add_argument(
        "--border",
        metavar="PX",
        help="cut so many pixels off every side of every picture; `auto`: FSOCO's black frame, off the pictures that "
        "have it (default: auto for Supervisely, else 0)",
    )
    parser.set_defaults(command=_convert)


def add_split(commands: Any) -> None:
    """Adds the command to the parser's."""
    parser = commands.add_parser(
        "split",
        help="make train and val of whole videos",
        description="Hands the pictures of all splits of SOURCE out anew, by video: frames of one video never stand\n"
        "in two splits. Whole groups are placed so that pictures and classes come near the wanted shares.",
        epilog=SPLIT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_source_and_dest(parser)
    rule = parser.add_mutually_exclusive_group()
    rule.add_argument(
        "--by",
        metavar="REGEX",
        help="its first capture group, found in the file name without suffix, names the video (default: the name "
        "without the numbers and time stamp at its end)",
    )
    rule.add_argument("--by-folder", action="store_true", help="the folder of the picture names the video")
    parser.add_argument("--val", type=float, default=0.2, metavar="SHARE", help="validation share (default: 0.2)")
    parser.add_argument("--test", type=float, default=0.0, metavar="SHARE", help="test share (default: none)")
    parser.add_argument("--seed", type=int, default=0, help="of the search for the best placing (default: 0)")
    parser.set_defaults(command=_split)


def _add_source_and_dest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", type=Path, metavar="SOURCE", help="data.yaml, COCO json, or the data set's folder")
    parser.add_argument("dest", type=Path, metavar="DEST", help="folder to make")
    parser.add_argument("--to", choices=FORMATS, default="yolo", help="format of DEST (default: yolo)")
    parser.add_argument("--from", dest="form", choices=FORMATS, help="format of SOURCE (default: as its path says)")
    pictures = parser.add_mutually_exclusive_group()
    pictures.add_argument("--link", action="store_true", help="make symbolic links to the pictures of SOURCE")
    pictures.add_argument("--copy", action="store_true", help="copy the pictures (default)")
    parser.add_argument(
        "--skip-faults",
        action="store_true",
        help="leave out what is at fault and say what, instead of refusing",
    )
    parser.add_argument("--force", action="store_true", help="replace DEST if it is there")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def _convert(arguments: argparse.Namespace) -> int:
    """Reads, tells in other classes, writes."""
    form = arguments.form or recognise(arguments.source)
    border = _border(arguments.border, form)
    dataset, left_out = _read(arguments, form)
    mapping = _mapping(arguments, dataset)
    names = _words([arguments.names]) if arguments.names else class_order(dataset.names, mapping)
    if not names:
        raise DataError([Fault(arguments.source, None, "", "no class is left to detect; drop or ignore fewer")])
    told = remap_dataset(dataset, mapping, names)
    with progress_bar("converting") as progress:
        written = write_dataset(
            told,
            arguments.dest,
            arguments.to,
            border=border,
            link=arguments.link,
            force=arguments.force,
            progress=progress,
        )
    _report(arguments, written, left_out, {})
    return 0


def _split(arguments: argparse.Namespace) -> int:
    """Reads, groups, hands out, writes."""
    shares = {"train": 1 - arguments.val - arguments.test, "val": arguments.val, "test": arguments.test}
    for name in ("val", "test", "train"):
        share = shares[name]
        if not 0 <= share < 1 or (share == 0 and name != "test"):
            raise DataError([Fault(arguments.source, None, f"{name} {share:g}", "the shares must lie between 0 and 1")])
    dataset, left_out = _read(arguments, arguments.form)
    samples = [sample for split in dataset.splits.values() for sample in split]
    groups = group_by_folder(samples) if arguments.by_folder else group_by_name(samples, arguments.by)
    if not arguments.by_folder and arguments.by is None and len(groups) > max(2, len(samples) / 2):
        message = "the names tell no videos; say what does with --by REGEX, or use --by-folder"
        raise DataError([Fault(arguments.source, None, f"{len(groups)} groups of {len(samples)} pictures", message)])
    placed = split_groups(groups, {name: share for name, share in shares.items() if share}, seed=arguments.seed)
    told = split_dataset(dataset, placed)
    with progress_bar("writing") as progress:
        written = write_dataset(
            told, arguments.dest, arguments.to, link=arguments.link, force=arguments.force, progress=progress
        )
    _report(arguments, written, left_out, placed)
    return 0


def _read(arguments: argparse.Namespace, form: str | None) -> tuple[Dataset, tuple[Fault, ...]]:
    """The source, and what was left out of it.

    Raises:
        DataError: it has faults, and they may not be skipped.
    """
    reading = read_dataset(arguments.source, form=form)
    if not reading.faults:
        return reading.dataset, ()
    if not arguments.skip_faults:
        hint = "or leave out what is at fault with --skip-faults"
        raise DataError([*reading.faults, Fault(arguments.source, None, "", f"mend these, {hint}")])
    if not any(len(sample.boxes) for samples in reading.dataset.splits.values() for sample in samples):
        raise DataError([*reading.faults, Fault(arguments.source, None, "", "not one good box is left")])
    return reading.dataset, reading.faults


def _border(word: str | None, form: str) -> int | str:
    """Pixels, or AUTO.

    Raises:
        DataError: it is neither.
    """
    if word is None:
        return AUTO if form == "supervisely" else 0
    if word == AUTO or (word.isdecimal() and word.isascii()):
        return AUTO if word == AUTO else int(word)
    raise DataError([Fault(Path("--border"), None, word, "must be a number of pixels, 0 or more, or `auto`")])


def _mapping(arguments: argparse.Namespace, dataset: Dataset) -> dict[str, str]:
    """Old class → new, of --classes, --drop and --ignore together.

    Raises:
        DataError: not readable, or a class that the data set doesn't have.
    """
    mapping: dict[str, str] = {}
    faults: list[Fault] = []
    for old, new, place in [
        *(_pairs(arguments.classes) if arguments.classes else ()),
        *((old, DROP, Path("--drop")) for old in _words(arguments.drop)),
        *((old, IGNORE, Path("--ignore")) for old in _words(arguments.ignore)),
    ]:
        if old not in dataset.names:
            faults.append(Fault(place, None, old, f"no such class; there is {', '.join(dataset.names)}"))
        elif mapping.setdefault(old, new) != new:
            faults.append(Fault(place, None, old, f"is to become {mapping[old]} already; say one of the two"))
    if faults:
        raise DataError(faults)
    return mapping


def _pairs(word: str) -> list[tuple[str, str, Path]]:
    """Old and new class of each entry of --classes, and where it stands.

    Raises:
        DataError: not readable.
    """
    path = Path(word)
    if path.suffix.lower() in (".yaml", ".yml"):
        try:
            table = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise DataError([Fault(path, None, "", "no such file")]) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise DataError([Fault(path, None, "", f"not YAML ({error})".replace("\n", " "))]) from None
        if not isinstance(table, dict) or not all(isinstance(new, str) for new in table.values()):
            raise DataError([Fault(path, None, "", "must hold lines of `old: new`")])
        return [(str(old), new, path) for old, new in table.items()]
    found, place = [], Path("--classes")
    for part in word.split(","):
        old, equals, new = part.partition("=")
        if not (equals and old.strip() and new.strip()):
            raise DataError(
                [Fault(Path("--classes"), None, part, "must be `old=new`, several with commas; or a .yaml")]
            )
        found.append((old.strip(), new.strip(), place))
    return found


def _words(values: list[str]) -> list[str]:
    """Of options that may be repeated or hold commas."""
    return [word.strip() for value in values for word in value.split(",") if word.strip()]


def _report(
    arguments: argparse.Namespace, written: Written, faults: tuple[Fault, ...], groups: dict[str, tuple[Group, ...]]
) -> None:
    """What was written, and what was not: `faults` of the source, and what the border took."""
    left_out = (*faults, *written.left_out)
    counts = {
        split: {
            "pictures": len(samples),
            "boxes": sum(len(sample.boxes) for sample in samples),
            "ignored": sum(len(sample.ignored) for sample in samples),
            **({"groups": {group.name: len(group.samples) for group in groups[split]}} if groups else {}),
        }
        for split, samples in written.dataset.splits.items()
    }
    if arguments.json:
        report = {"data": str(written.entry), "classes": written.dataset.labels, "splits": counts}
        print(json.dumps({**report, "left_out": [str(fault) for fault in left_out]}, indent=1))
        return
    for fault in left_out:
        print(f"{fault} (left out)", file=sys.stderr)
    for split, count in counts.items():
        print(f"{split}: {count['pictures']} pictures, {count['boxes']} boxes, {count['ignored']} ignored")
        for group in groups.get(split, ()):
            print(f"  {group.name or '(no name)'}: {len(group.samples)} pictures")
    print(written.entry)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr: gives the function that moves it."""
    bar = Progress(
        TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True)
    )
    task = bar.add_task(what, total=None)

    def show(done: int, total: int) -> None:
        bar.start()  # only now: a refusal needs no bar
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()
