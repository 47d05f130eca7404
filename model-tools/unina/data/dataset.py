"""A data set in memory: what each picture is called, how large it is and what stands on it. Pixels stay on disk."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unina.data.data_yaml import DataYaml, read_data_yaml
from unina.data.faults import DataError, Fault
from unina.data.images import SUFFIXES, image_size
from unina.data.yolo import read_labels

NOT_LABELS = frozenset({"classes.txt", "labels.txt", "notes.txt", "obj.names"})
"""Files that label tools leave beside the labels."""
ANY = "|"
"""Joins the names of classes where a label says "one of these": `orange_cone|large_orange_cone`."""


def _no_boxes() -> npt.NDArray[np.float32]:
    return np.zeros((0, 4), np.float32)


@dataclass(frozen=True, eq=False)
class Sample:
    """One labelled picture."""

    image: Path
    width: int
    height: int
    boxes: npt.NDArray[np.float32]
    """N×4 (x0, y0, x1, y1), source pixels, inside the picture"""
    classes: npt.NDArray[np.int64]
    """N; below len(names): a class; from there on: any class of a group (`Dataset.groups`)"""
    ignored: npt.NDArray[np.float32] = field(default_factory=_no_boxes)
    """M×4, as `boxes`: regions where the trainer asks for nothing and the scorer counts neither hit nor miss"""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, checked."""

    path: Path
    """the data.yaml, json or folder that it was read from"""
    names: tuple[str, ...]
    """classes to detect; ignored classes are none of them"""
    splits: dict[str, tuple[Sample, ...]]
    """only those that data.yaml names"""
    warnings: tuple[Fault, ...] = ()
    """what is odd but usable"""
    groups: tuple[tuple[int, ...], ...] = ()
    """what a sample's class len(names) + g means: any of the classes groups[g]"""

    @property
    def labels(self) -> tuple[str, ...]:
        """What a sample's class is called: the names, then the groups as `a|b`."""
        return (*self.names, *(ANY.join(self.names[index] for index in group) for group in self.groups))

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of one split.

        Raises:
            DataError: the data set has no such split.
        """
        if name not in self.splits:
            raise DataError([Fault(self.path, None, name, f"no such split; there is {', '.join(self.splits)}")])
        return self.splits[name]

    @cached_property
    def sha256(self) -> str:
        """Of data.yaml, labels and the bytes of every picture, in the order of the splits; independent of the place."""
        digest = hashlib.sha256(self.path.read_bytes())
        for name, samples in self.splits.items():
            for sample in samples:
                label = label_path(sample.image)
                for file in (sample.image, label):
                    content = file.read_bytes() if file.exists() else b""
                    digest.update(f"{name}/{file.name}:{len(content)}\n".encode())
                    digest.update(content)
        return digest.hexdigest()


def load_dataset(path: Path, splits: Sequence[str] | None = None) -> Dataset:
    """Reads and checks a YOLO-txt data set (docs/data.md).

    Args:
        path: the data.yaml.
        splits: names of those to read; None: all that data.yaml names.

    Raises:
        DataError: with every fault of the files read.
    """
    path = Path(path)
    table = read_data_yaml(path)
    wanted = tuple(splits) if splits is not None else tuple(table.sources)
    faults = [
        Fault(path, None, split, f"no such split; add `{split}: images/{split}` to it")
        for split in wanted
        if split not in table.sources
    ]
    warnings: list[Fault] = []
    loaded: dict[str, tuple[Sample, ...]] = {}
    owner: dict[Path, str] = {}
    for split in (name for name in wanted if name in table.sources):
        images = list(_images(table, split, faults))
        samples = [sample for image in images if (sample := _sample(image, table.names, faults, warnings))]
        loaded[split] = tuple(samples)
        if not images and not faults:
            faults.append(Fault(path, table.lines[split], split, "holds no picture; add some or delete the line"))
        for image in images:
            first = owner.setdefault(image.resolve(), split)
            if first != split:
                message = f"stands in {first} and in {split}: scores on it say nothing; keep it in one"
                warnings.append(Fault(image, None, "", message))
    if not faults and not any(len(sample.boxes) for samples in loaded.values() for sample in samples):
        where = "labels lie in `labels/`, beside `images/`, under the same names with .txt"
        faults.append(Fault(path, None, "", f"not one box in {', '.join(loaded)}; {where}"))
    if faults:
        raise DataError(faults)
    return Dataset(path, table.names, loaded, tuple(warnings))


def label_path(image: Path) -> Path:
    """Where a picture's labels lie: the last folder `images` becomes `labels`, the suffix .txt; else beside it."""
    parts = list(image.parts)
    folders = [index for index, part in enumerate(parts[:-1]) if part == "images"]
    if folders:
        parts[folders[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _images(table: DataYaml, split: str, faults: list[Fault]) -> Iterator[Path]:
    """The pictures of a split, sorted within each source; adds to `faults`."""
    line = table.lines[split]
    for source in table.sources[split]:
        if source.is_dir():
            images = sorted(file for file in source.rglob("*") if file.suffix.lower() in SUFFIXES)
            yield from images
            faults.extend(_orphans(source, images))
        elif source.suffix == ".txt" and source.is_file():
            yield from _listed(table, source, faults)
        elif source.is_file() and source.suffix.lower() in SUFFIXES:
            yield source
        else:
            message = "no such folder or list file; mend the line, or `path`, to which it is relative"
            faults.append(Fault(table.path, line, f"{split}: {source}", message))


def _listed(table: DataYaml, source: Path, faults: list[Fault]) -> Iterator[Path]:
    """The pictures of a list file: one path a line, relative to the list, or else to the data set's root."""
    try:
        text = source.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        faults.append(Fault(source, None, "", "not UTF-8 text; save the list as plain UTF-8 text"))
        return
    for number, entry in enumerate(text.splitlines(), start=1):
        if not entry.strip():
            continue
        image = next((p for p in (source.parent / entry.strip(), table.root / entry.strip()) if p.is_file()), None)
        if image is None:
            faults.append(Fault(source, number, entry.strip(), "no such picture; mend the path or delete the line"))
        elif image.suffix.lower() not in SUFFIXES:
            faults.append(Fault(source, number, entry.strip(), "not a picture; list JPEG or PNG files"))
        else:
            yield image


def _orphans(source: Path, images: Sequence[Path]) -> Iterator[Fault]:
    """Label files of a folder that belong to no picture."""
    folder = label_path(source / "name.jpg").parent
    if not folder.is_dir():
        return
    owned = {label_path(image) for image in images}
    for label in sorted(folder.rglob("*.txt")):
        if label not in owned and label.name not in NOT_LABELS:
            image = f"{source / label.relative_to(folder).with_suffix('')}.*"
            yield Fault(label, None, "", f"labels without a picture; restore {image} or delete the labels")


def _sample(image: Path, names: Sequence[str], faults: list[Fault], warnings: list[Fault]) -> Sample | None:
    """One picture and its boxes; None where a fault stands in the way."""
    before = len(faults)
    width, height = 0, 0
    try:
        width, height = image_size(image)
    except DataError as error:
        faults.extend(error.faults)
    path = label_path(image)
    boxes, classes = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
    if path.exists():
        labels = read_labels(path, names)
        faults.extend(labels.faults)
        boxes, classes = labels.boxes, labels.classes
    else:
        message = f"no label file ({path}): counts as a picture without objects; add an empty one to say so"
        warnings.append(Fault(image, None, "", message))
    if len(faults) > before:
        return None
    scaled = (boxes * (width, height, width, height)).astype(np.float32)
    return Sample(image, width, height, scaled, classes)
