"""File names for the pictures of a data set that is written anew: the old ones, made different where they are not."""

from collections.abc import Sequence
from pathlib import PurePath

from unina.data.dataset import Sample

CONTAINERS = frozenset({"images", "img", "image_2", "train", "val", "valid", "test"})
"""Folders that hold pictures and tell nothing about them."""


def picture_names(samples: Sequence[Sample]) -> list[str]:
    """A file name for each sample of a split.

    Most formats name label files after the picture, without its suffix, and some disks do not tell `A` from `a`: so
    the names differ in their stems, letter case aside. A name that stands twice gets its folder's name before it, or
    else a number behind it; the others stay as they are.
    """
    stems = [sample.image.stem.casefold() for sample in samples]
    counts: dict[str, int] = {}
    for stem in stems:
        counts[stem] = counts.get(stem, 0) + 1
    taken = {stem for stem in stems if counts[stem] == 1}
    names = []
    for sample, stem in zip(samples, stems, strict=True):
        own = PurePath(sample.image.name)
        if counts[stem] == 1:
            names.append(own.name)
            continue
        folder = next((part for part in reversed(sample.image.parent.parts) if part not in CONTAINERS), "")
        base = f"{folder}_{own.stem}".strip("/\\")
        number, name = 1, base
        while name.casefold() in taken:
            number += 1
            name = f"{base}_{number}"
        taken.add(name.casefold())
        names.append(name + own.suffix)
    return names
