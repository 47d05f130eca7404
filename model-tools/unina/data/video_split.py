"""Splits a data set by video: neighbouring frames are near-copies; drawn at random, one would be the other's test."""

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unina.data.data_yaml import SPLITS
from unina.data.dataset import Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.formats.naming import CONTAINERS

NUMBERS = re.compile(r"(?:[\W_]*\d+(?:[hmsTZ](?![A-Za-z]))?)+[\W_]*$")
"""Running numbers and time stamps at the end of a name: `_00042`, `-2019-10-17_13h27m36s157`."""
ROBOFLOW = re.compile(r"_(?:jpe?g|png)\.rf\.[0-9a-f]+$")
"""What Roboflow's exports add to the name."""
RESTARTS = 32
SWAPPED = 100
"""Most groups among which swaps are tried; among more, moves alone come close enough."""


@dataclass(frozen=True)
class Group:
    """Pictures that must stay together."""

    name: str
    samples: tuple[Sample, ...]


def group_by_name(samples: Sequence[Sample], pattern: str | None = None) -> tuple[Group, ...]:
    """Groups by file name.

    Args:
        samples: the pictures.
        pattern: regular expression searched in the file name without suffix; its first capture group (without one: all
            that it matches) names the group. None: the name without the numbers at its end.

    Raises:
        DataError: no regular expression, or a name that it doesn't match.
    """
    if pattern is None:
        return _grouped(samples, [_without_numbers(sample.image) for sample in samples])
    try:
        rule = re.compile(pattern)
    except re.error as error:
        raise DataError([Fault(Path("--by"), None, pattern, f"no regular expression ({error})")]) from None
    keys, faults = [], []
    for sample in samples:
        match = rule.search(sample.image.stem)
        if match is None:
            faults.append(Fault(sample.image, None, sample.image.stem, f"`{pattern}` doesn't match; widen it"))
        else:
            keys.append((match[1] if rule.groups else match[0]) or "")
    if faults:
        raise DataError(faults)
    return _grouped(samples, keys)


def group_by_folder(samples: Sequence[Sample]) -> tuple[Group, ...]:
    """Groups by the folder that the pictures lie in; `images`, `img` and the like are no names."""
    return _grouped(samples, ["/".join(_named(sample.image)) for sample in samples])


def split_groups(
    groups: Sequence[Group], shares: Mapping[str, float], *, seed: int = 0
) -> dict[str, tuple[Group, ...]]:
    """Hands whole groups to splits, so that every split has its share of pictures and of each class's boxes.

    Minimises the sum of squares of (share got − share wanted) over pictures and classes, by moving one group or
    swapping two as long as that helps, from RESTARTS random beginnings.

    Args:
        groups: at least as many as splits.
        shares: split → wanted share; they sum to 1.
        seed: of the beginnings.

    Returns:
        split → its groups, in the order of `groups`; none is empty.

    Raises:
        DataError: there are fewer groups than splits.
    """
    names = list(shares)
    if len(groups) < len(names):
        found = ", ".join(group.name or "(no name)" for group in groups)
        fix = "group otherwise with --by or --by-folder"
        message = f"can't fill {' and '.join(names)} without tearing one apart; {fix}"
        one = "1 group" if len(groups) == 1 else f"{len(groups)} groups"
        raise DataError([Fault(Path("groups"), None, f"{one}: {found}", message)])
    counts = _counts(groups)
    wanted = np.array([shares[name] for name in names])
    rng = random.Random(seed)
    best, best_cost = [0] * len(groups), np.inf
    for _ in range(RESTARTS):
        place = [*range(len(names)), *(rng.randrange(len(names)) for _ in range(len(groups) - len(names)))]
        rng.shuffle(place)
        place, cost = _improved(place, counts, wanted)
        if cost < best_cost - 1e-12:
            best, best_cost = place, cost
    return {
        name: tuple(group for group, own in zip(groups, best, strict=True) if own == index)
        for index, name in enumerate(names)
    }


def split_dataset(dataset: Dataset, groups: Mapping[str, Sequence[Group]]) -> Dataset:
    """The data set with its pictures in the splits of their groups."""
    filled = {split: groups[split] for split in SPLITS if split in groups}
    splits = {split: tuple(sample for group in own for sample in group.samples) for split, own in filled.items()}
    return replace(dataset, splits=splits)


def _improved(
    place: list[int], counts: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> tuple[list[int], float]:
    """A placement that no move and no swap makes better, and its cost."""
    splits = len(wanted)
    held = np.zeros((splits, counts.shape[1]))
    for group, own in enumerate(place):
        held[own] += counts[group]
    size = [place.count(split) for split in range(splits)]
    cost = float(((held - wanted[:, None]) ** 2).sum())
    better = True
    while better:
        better = False
        for group in range(len(place)):
            own = place[group]
            # moves of the group alone, then swaps with a group of another split
            partners = range(group) if len(place) <= SWAPPED else ()
            for other, partner in [*((split, -1) for split in range(splits)), *((place[p], p) for p in partners)]:
                if other == own or (partner < 0 and size[own] == 1):
                    continue
                shift = counts[group] - (counts[partner] if partner >= 0 else 0.0)
                new = held.copy()
                new[own] -= shift
                new[other] += shift
                new_cost = float(((new - wanted[:, None]) ** 2).sum())
                if new_cost < cost - 1e-12:
                    held, cost, better = new, new_cost, True
                    place[group] = other
                    if partner >= 0:
                        place[partner] = own
                    else:
                        size[own] -= 1
                        size[other] += 1
                    break
    return place, cost


def _counts(groups: Sequence[Group]) -> npt.NDArray[np.float64]:
    """Groups × (pictures, boxes of each class that occurs): each column as shares of its sum."""
    classes = sorted({int(label) for group in groups for sample in group.samples for label in sample.classes})
    rows = []
    for group in groups:
        labels = np.concatenate([sample.classes for sample in group.samples])
        rows.append([len(group.samples), *((labels == label).sum() for label in classes)])
    table = np.array(rows, np.float64)
    shares: npt.NDArray[np.float64] = table / table.sum(axis=0)
    return shares


def _grouped(samples: Sequence[Sample], keys: Sequence[str]) -> tuple[Group, ...]:
    """Groups of equal keys, in alphabetical order."""
    found: dict[str, list[Sample]] = {}
    for key, sample in sorted(zip(keys, samples, strict=True), key=lambda pair: (pair[0], pair[1].image)):
        found.setdefault(key, []).append(sample)
    return tuple(Group(key, tuple(own)) for key, own in found.items())


def _without_numbers(image: Path) -> str:
    """A picture's name without what numbers it; of a name that is a number alone, its folder's."""
    name = NUMBERS.sub("", ROBOFLOW.sub("", image.stem)).rstrip("_-. ")
    return name or (_named(image) or ("",))[-1]


def _named(image: Path) -> tuple[str, ...]:
    """The folders above a picture, from the last one that only holds pictures; those that name nothing left out."""
    parts = [part for part in image.parent.parts if part.lower() not in CONTAINERS]
    return tuple(parts[-1:])
