"""KITTI object labels: `image_2/000001.png` beside `label_2/000001.txt`, one object of 15 columns a line.

Format: the readme of KITTI's object development kit (Geiger, Lenz, Urtasun, CVPR 2012). Only type and 2D box are used
here; what a 2D label can't know is written as KITTI writes "unknown". `DontCare` is an ignored box. KITTI lists its
classes nowhere: a `classes.txt` beside `label_2/`, one name a line, does; without it the types that occur are they.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from unina.data.class_list import IGNORED, ClassList, class_list
from unina.data.data_yaml import SPLITS
from unina.data.dataset import ANY, Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.formats.naming import picture_names
from unina.data.formats.reading import SPLIT_WORDS, Mark, Reading, read_sample
from unina.data.images import SUFFIXES

DONT_CARE = "DontCare"
UNKNOWN = "-1 -1 -1 -1000 -1000 -1000 -10"
"""height, width, length in m; x, y, z in m; rotation: as the devkit writes those of DontCare"""
COLUMNS = "type truncated occluded alpha left top right bottom, then 7 of the 3D box"
CLASSES = "classes.txt"


def folders(path: Path) -> list[Path]:
    """The folders that hold `image_2` and `label_2`: `path` itself, or those right below it."""
    candidates = [path, *sorted(path.iterdir())] if path.is_dir() else []
    return [folder for folder in candidates if (folder / "image_2").is_dir() and (folder / "label_2").is_dir()]


def read(path: Path, splits: Sequence[str] | None = None) -> Reading:
    """Reads a folder with image_2 and label_2 (one split, `train` unless its name says else), or a folder of such.

    Raises:
        DataError: there is none, two claim one split, or a classes.txt can't be used.
    """
    named: dict[str, Path] = {}
    for folder in folders(path):
        split = SPLIT_WORDS.get(folder.name.lower(), "train")
        if split in named:
            raise DataError([Fault(folder, None, "", f"two folders for the split {split}: {named[split]} too")])
        named[split] = folder
    if not named:
        raise DataError([Fault(path, None, "", "holds no image_2/ beside label_2/, nor does a folder in it")])
    faults = [
        Fault(path, None, split, f"no such split; there is {', '.join(named)}")
        for split in splits or ()
        if split not in named
    ]
    warnings: list[Fault] = []
    marks: dict[str, list[tuple[Path, Path, list[Mark]]]] = {}
    for split in (name for name in SPLITS if name in named and (splits is None or name in splits)):
        marks[split] = _pictures(named[split], faults, warnings)
    classes = _classes(path, list(named.values()), marks, faults)
    loaded: dict[str, tuple[Sample, ...]] = {}
    for split, pictures in marks.items():
        samples = (
            read_sample(image, own, classes, faults, label_file=label_file) for image, label_file, own in pictures
        )
        loaded[split] = tuple(sample for sample in samples if sample)
    return Reading(Dataset(path, classes.names, loaded, tuple(warnings), classes.groups), tuple(faults))


def write(dataset: Dataset, folder: Path, place: Callable[[Sample, Path], None]) -> None:
    """Writes <split>/image_2, <split>/label_2 and classes.txt into an empty folder; see formats.yolo.write.

    Raises:
        DataError: a class's name holds a blank, which KITTI's columns can't.
    """
    faults = [
        Fault(dataset.path, None, name, "KITTI's columns can't hold a blank in a class; rename it with --classes")
        for name in dataset.names
        if name.split() != [name]
    ]
    if faults:
        raise DataError(faults)
    (folder / CLASSES).write_text("".join(f"{title}\n" for title in dataset.labels), encoding="utf-8")
    for split, samples in dataset.splits.items():
        images, labels = folder / split / "image_2", folder / split / "label_2"
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for sample, name in zip(samples, picture_names(samples), strict=True):
            place(sample, images / name)
            lines = [
                f"{dataset.labels[label]} 0 3 -10 {_edges(box)} {UNKNOWN}\n"
                for label, box in zip(sample.classes, sample.boxes, strict=True)
            ]
            lines += [f"{DONT_CARE} -1 -1 -10 {_edges(box)} {UNKNOWN}\n" for box in sample.ignored]
            (labels / name).with_suffix(".txt").write_text("".join(lines), encoding="utf-8")


def _edges(box: np.ndarray[tuple[int], np.dtype[np.float32]]) -> str:
    """The shortest decimals that read back as the same float32 (at least the devkit's two)."""
    return " ".join(np.format_float_positional(edge, unique=True, min_digits=2) for edge in box)


def _pictures(folder: Path, faults: list[Fault], warnings: list[Fault]) -> list[tuple[Path, Path, list[Mark]]]:
    """Picture, label file and boxes of a folder; adds to `faults` and `warnings`."""
    images = sorted(file for file in (folder / "image_2").iterdir() if file.suffix.lower() in SUFFIXES)
    owned = {image.stem for image in images}
    for label in sorted((folder / "label_2").glob("*.txt")):
        if label.stem not in owned:
            fix = f"labels without a picture; restore {folder / 'image_2' / label.stem}.* or delete the labels"
            faults.append(Fault(label, None, "", fix))
    found = []
    for image in images:
        path = folder / "label_2" / f"{image.stem}.txt"
        if not path.exists():
            message = f"no label file ({path}): counts as a picture without objects; add an empty one to say so"
            warnings.append(Fault(image, None, "", message))
        found.append((image, path, _marks(path, faults) if path.exists() else []))
    return found


def _marks(path: Path, faults: list[Fault]) -> list[Mark]:
    """The boxes of a label file; adds to `faults`."""
    marks = []
    for number, text in enumerate(_lines(path, faults), start=1):
        words = text.split()
        if not words:
            continue
        if len(words) not in (15, 16):  # 16: results with a score
            shown = " ".join(words[:8]) + (" …" if len(words) > 8 else "")
            message = f"{len(words)} columns; write 15: {COLUMNS}"
            faults.append(Fault(path, number, shown, message))
            continue
        edges = []
        for word, column in zip(words[4:8], ("left", "top", "right", "bottom"), strict=True):
            try:
                edges.append(float(word))
            except ValueError:
                faults.append(Fault(path, number, word, f"{column} is not a number"))
                break
        if len(edges) == 4:
            box = (edges[0], edges[1], edges[2], edges[3])
            marks.append(Mark((path, number, ""), words[0], box, words[0] in (DONT_CARE, IGNORED)))
    return marks


def _lines(path: Path, faults: list[Fault]) -> list[str]:
    """The lines of a text file; adds to `faults` when it is none."""
    try:
        return path.read_bytes().decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        value = f"byte 0x{error.object[error.start]:02x}"
        faults.append(Fault(path, line, value, "not UTF-8 text; save it as plain UTF-8 text"))
    except OSError as error:
        faults.append(Fault(path, None, "", f"can't be read ({error.strerror}); restore it"))
    return []


def _classes(
    path: Path, named: Sequence[Path], marks: dict[str, list[tuple[Path, Path, list[Mark]]]], faults: list[Fault]
) -> ClassList:
    """From classes.txt, in the data set's folder or a split's; else the types that occur, in alphabetical order."""
    listed = next((folder / CLASSES for folder in [path, *named] if (folder / CLASSES).is_file()), None)
    if listed is not None:
        titles = [line.strip() for line in _lines(listed, faults) if line.strip()]
        for number, title in enumerate(titles, start=1):
            if title in titles[: number - 1]:
                raise DataError([Fault(listed, None, title, "stands twice; delete one of the two")])
        return class_list(titles, {IGNORED, DONT_CARE}, listed, None, faults)
    types = {mark.title for pictures in marks.values() for _, _, own in pictures for mark in own if not mark.ignored}
    names = {name for title in types for name in title.split(ANY)}  # of "a|b" both a and b are classes
    return class_list(sorted(names) + sorted(types - names), (), path, None, faults)
