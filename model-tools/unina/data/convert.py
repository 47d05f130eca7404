"""Writes a data set in another format, whole or not at all."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from unina.data.border import find_border, without_border, write_cropped
from unina.data.class_list import IGNORED
from unina.data.dataset import Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.formats import FORMATS
from unina.data.formats.kitti import DONT_CARE
from unina.data.images import read_image
from unina.data.remap import without_repeats
from unina.data.threads import in_threads
from unina.data.whole import new_folder

AUTO = "auto"


@dataclass(frozen=True, eq=False)
class Written:
    """A data set on disk."""

    entry: Path
    """what `load_dataset` is to be given"""
    dataset: Dataset
    """what stands in it; the pictures are still those of the source"""
    left_out: tuple[Fault, ...]
    """boxes that went with the border"""


def write_dataset(
    dataset: Dataset,
    output: Path,
    to: str,
    *,
    border: int | str = 0,
    link: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Written:
    """Writes a data set into a folder.

    Args:
        dataset: what to write.
        output: folder to make; it appears only when all is written.
        to: yolo, coco, kitti or supervisely.
        border: pixels to cut off every side of every picture; "auto": FSOCO's frame, off the pictures that have it.
        link: make symbolic links to the pictures instead of copies; pictures that are cut are written anyway.
        force: replace a folder that is there.
        progress: called with (pictures done, pictures in all).

    Raises:
        DataError: the folder is there or holds the pictures themselves, a picture is damaged or too small for the
            border, or the format can't hold it or a class's name.
    """
    if to not in FORMATS:
        raise DataError([Fault(output, None, f"format {to}", f"is none of {', '.join(FORMATS)}")])
    _refuse_own(dataset, output)
    reserved = {IGNORED, DONT_CARE} if to == "kitti" else {IGNORED}
    for word in sorted(reserved & set(dataset.names)):
        fix = "is what ignored boxes are called; rename the class with --classes, or make it one with --ignore"
        raise DataError([Fault(dataset.path, None, word, fix)])
    passes = 2 if border == AUTO else 1  # looking for the frame takes as long as writing
    total = passes * sum(len(samples) for samples in dataset.splits.values())
    warnings: list[Fault] = []
    borders: dict[Path, int] = {}
    jobs: list[tuple[Sample, Path]] = []
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done, total)

    def look(sample: Sample) -> int:
        return find_border(read_image(sample.image))

    def place(job: tuple[Sample, Path]) -> None:
        sample, target = job
        if borders[sample.image]:
            write_cropped(sample.image, target, borders[sample.image])
        elif link:
            target.symlink_to(sample.image.resolve())
        else:
            shutil.copyfile(sample.image, target)

    with new_folder(output, force=force) as folder:
        splits: dict[str, tuple[Sample, ...]] = {}
        for split, samples in dataset.splits.items():
            told = []
            widths = in_threads(look, samples) if border == AUTO else [int(border)] * len(samples)
            for sample, width in zip(samples, widths, strict=True):
                inner, left_out = without_border(sample, width) if width else (sample, ())
                borders[sample.image] = width
                warnings += left_out
                told.append(without_repeats(inner))  # boxes may have become one at the border
                if border == AUTO:
                    step()
            splits[split] = tuple(told)
        result = replace(dataset, splits=splits)
        FORMATS[to].write(result, folder, lambda sample, target: jobs.append((sample, target)))
        for _ in in_threads(place, jobs):
            step()
    return Written(output / FORMATS[to].entry, result, tuple(warnings))


def _refuse_own(dataset: Dataset, output: Path) -> None:
    """Raises DataError when replacing `output` would take the pictures that are to be written with it."""
    place = output.resolve()
    for samples in dataset.splits.values():
        for sample in samples:
            if sample.image.resolve().is_relative_to(place):
                message = f"holds the source itself ({sample.image}); name another folder"
                raise DataError([Fault(output, None, "", message)])
