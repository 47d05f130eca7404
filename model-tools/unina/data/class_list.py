"""The titles that a label file uses, sorted into classes, groups of classes and ignored ones; and the way back."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from unina.data.dataset import ANY, Dataset
from unina.data.faults import Fault

IGNORED = "ignored"
"""Title under which ignored boxes are written in formats that have none of their own."""
NO_CLASS = -1


@dataclass(frozen=True)
class ClassList:
    """What the titles of a data set's files mean."""

    names: tuple[str, ...]
    groups: tuple[tuple[int, ...], ...]
    index: dict[str, int]
    """title → class of a Sample (a name's or a group's), NO_CLASS for an ignored title"""


def class_list(
    titles: Sequence[str], ignored: Collection[str], path: Path, line: int | None, faults: list[Fault]
) -> ClassList:
    """Sorts titles.

    Args:
        titles: in the order of the file, each once.
        ignored: those among them whose boxes count neither way.
        path: file of the list, for the faults.
        line: of the list in it, from 1; None: it has none.
        faults: added to: a group of classes that don't exist, a list that leaves no class.
    """
    names = tuple(title for title in titles if title not in ignored and ANY not in title)
    index = {title: NO_CLASS for title in titles if title in ignored}
    index |= {name: position for position, name in enumerate(names)}
    groups: list[tuple[int, ...]] = []
    for title in titles:
        if title in index:
            continue
        parts = title.split(ANY)
        if any(part not in names for part in parts) or len(set(parts)) != len(parts):
            message = f"a title with {ANY} means one of several classes; each must be listed by itself, too"
            faults.append(Fault(path, line, title, f"{message} (here: {', '.join(names)})"))
            continue
        index[title] = len(names) + len(groups)
        groups.append(tuple(names.index(part) for part in parts))
    if not names:
        faults.append(Fault(path, line, "", "leaves no class to detect; name at least one that is not ignored"))
    return ClassList(names, tuple(groups), index)


def titles_of(dataset: Dataset) -> tuple[str, ...]:
    """Titles to write a data set with; a Sample's class is the index. IGNORED comes last where a box is ignored."""
    ignored = any(len(sample.ignored) for samples in dataset.splits.values() for sample in samples)
    return (*dataset.labels, IGNORED) if ignored else dataset.labels
