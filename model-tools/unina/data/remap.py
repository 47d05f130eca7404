"""One class list told in the words of another: classes renamed, merged, dropped, ignored or joined ("one of these")."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from unina.data.dataset import ANY, Dataset, Sample
from unina.data.faults import DataError, Fault

IGNORE = "ignore"
"""Mapping value: the class's boxes become ignore regions."""
DROP = "drop"
"""Mapping value: the class's boxes are left out, as if they had never been labelled."""


def remap(
    samples: Sequence[Sample],
    names: Sequence[str],
    mapping: Mapping[str, str],
    classes: Sequence[str],
    *,
    groups: Sequence[tuple[int, ...]] = (),
    origin: Path = Path("classes"),
) -> tuple[tuple[Sample, ...], tuple[tuple[int, ...], ...]]:
    """Tells samples labelled with `names` in the class list `classes`.

    Args:
        samples: labelled with indices into `names` (and `groups`).
        names: class names of the samples.
        mapping: class of `names` → one of `classes`, several of them (`"orange_cone|large_orange_cone"`: the label
            says that it is one of these), `"ignore"` or `"drop"`. A class it does not mention keeps its name. Keys
            that are no class of `names` are allowed: one mapping may serve several sets.
        classes: the class list to tell them in.
        groups: of the samples' data set: index len(names) + g means any class of groups[g].
        origin: file to name when something is wrong.

    Returns:
        The samples, and the groups that their classes ≥ len(classes) point into.

    Raises:
        DataError: a class leads nowhere, with every such class.
    """
    faults: list[Fault] = []
    targets = [_target(name, mapping.get(name, name), classes, origin, faults) for name in names]
    if faults:
        raise DataError(faults)
    found: list[tuple[int, ...]] = []  # groups of the new list, in the order of their first use

    def place(target: frozenset[int] | str) -> int:
        """Index of a class or group in the new list; −1 ignore, −2 drop."""
        if isinstance(target, str):
            return -1 if target == IGNORE else -2
        if len(target) == 1:
            return min(target)
        group = tuple(sorted(target))
        if group not in found:
            found.append(group)
        return len(classes) + found.index(group)

    table = np.array([place(target) for target in [*targets, *(_united(targets, group) for group in groups)]], np.int64)
    return tuple(_told(sample, table) for sample in samples), tuple(found)


def remap_dataset(dataset: Dataset, mapping: Mapping[str, str], classes: Sequence[str]) -> Dataset:
    """A data set told in another class list; see `remap`.

    Raises:
        DataError: a class leads nowhere.
    """
    samples = [sample for split in dataset.splits.values() for sample in split]
    told, groups = remap(samples, dataset.names, mapping, classes, groups=dataset.groups, origin=dataset.path)
    each = iter(told)
    splits = {name: tuple(next(each) for _ in split) for name, split in dataset.splits.items()}
    return replace(dataset, names=tuple(classes), splits=splits, groups=groups)


def _target(name: str, word: str, classes: Sequence[str], origin: Path, faults: list[Fault]) -> frozenset[int] | str:
    """Indices that a mapping's value stands for, or IGNORE or DROP; adds to `faults`."""
    if word in (IGNORE, DROP) and word not in classes:
        return word
    words = [part.strip() for part in word.split(ANY)] if word not in classes else [word]
    for part in words:
        if part not in classes:
            found = name if word == name else f"{name}: {word}"
            fix = f"map `{name}` to one of them (several joined by {ANY}), to `{IGNORE}` or to `{DROP}`"
            faults.append(Fault(origin, None, found, f"`{part}` is none of the classes {', '.join(classes)}; {fix}"))
            return DROP
    return frozenset(classes.index(part) for part in words)


def _united(targets: Sequence[frozenset[int] | str], group: tuple[int, ...]) -> frozenset[int] | str:
    """What "one of several classes" becomes when each of them has become something."""
    parts = [targets[index] for index in group]
    if IGNORE in parts:
        return IGNORE  # it may be one that is ignored: neither a hit nor a miss may be counted there
    indices = frozenset(index for part in parts if isinstance(part, frozenset) for index in part)
    return indices or DROP


def _told(sample: Sample, table: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Sample:
    """One sample, its classes looked up in `table`."""
    classes = table[sample.classes]
    kept = classes >= 0
    ignored = np.concatenate([sample.ignored, sample.boxes[classes == -1]])
    return without_repeats(replace(sample, boxes=sample.boxes[kept], classes=classes[kept], ignored=ignored))


def without_repeats(sample: Sample) -> Sample:
    """The sample with each box of a class, and each ignored box, once: two classes that become one may share boxes."""
    rows = np.column_stack([sample.classes.astype(np.float64), sample.boxes.astype(np.float64)])
    kept = np.sort(np.unique(rows, axis=0, return_index=True)[1])
    ignored = np.sort(np.unique(sample.ignored, axis=0, return_index=True)[1])
    if len(kept) == len(rows) and len(ignored) == len(sample.ignored):
        return sample
    return replace(sample, boxes=sample.boxes[kept], classes=sample.classes[kept], ignored=sample.ignored[ignored])


def class_order(names: Sequence[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """The classes that a mapping leads to, in the order in which `names` first reach them."""
    found: dict[str, None] = {}
    for name in names:
        word = mapping.get(name, name)
        if word not in (IGNORE, DROP):
            found.update(dict.fromkeys(part.strip() for part in word.split(ANY)))
    return tuple(found)
