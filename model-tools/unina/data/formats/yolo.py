"""YOLO-txt data sets: a data.yaml, pictures under `images/`, one text file of boxes a picture under `labels/`.

The layout is Darknet's, data.yaml as YOLO trainers have it, and one key of our own, `ignore` (docs/data.md).
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import yaml

from unina.data.class_list import IGNORED, NO_CLASS, ClassList, class_list, titles_of
from unina.data.data_yaml import DataYaml, read_data_yaml
from unina.data.dataset import Dataset, Sample
from unina.data.faults import DataError, Fault
from unina.data.formats.naming import picture_names
from unina.data.formats.reading import Reading
from unina.data.images import SUFFIXES, image_size
from unina.data.yolo import format_labels, read_labels

NOT_LABELS = frozenset({"classes.txt", "labels.txt", "notes.txt", "obj.names"})
"""Files that label tools leave beside the labels."""


def read(path: Path, splits: Sequence[str] | None = None) -> Reading:
    """Reads the data set of a data.yaml.

    Raises:
        DataError: the data.yaml itself can't be used.
    """
    table = read_data_yaml(path)
    faults: list[Fault] = []
    classes = class_list(table.names, table.ignore, path, None, faults)
    if faults:
        raise DataError(faults)
    wanted = tuple(splits) if splits is not None else tuple(table.sources)
    faults += [
        Fault(path, None, split, f"no such split; add `{split}: images/{split}` to it")
        for split in wanted
        if split not in table.sources
    ]
    warnings: list[Fault] = []
    loaded: dict[str, tuple[Sample, ...]] = {}
    for split in (name for name in wanted if name in table.sources):
        images = list(_images(table, split, faults))
        samples = (_sample(image, table.names, classes, faults, warnings) for image in images)
        loaded[split] = tuple(sample for sample in samples if sample)
        if not images and not faults:
            faults.append(Fault(path, table.lines[split], split, "holds no picture; add some or delete the line"))
    return Reading(Dataset(path, classes.names, loaded, tuple(warnings), classes.groups), tuple(faults))


def write(dataset: Dataset, folder: Path, place: Callable[[Sample, Path], None]) -> None:
    """Writes data.yaml, pictures and labels into an empty folder.

    Args:
        dataset: what to write.
        folder: where.
        place: is told where each sample's picture belongs.
    """
    titles = titles_of(dataset)
    table: dict[str, object] = {"path": "."}
    for split, samples in dataset.splits.items():
        table[split] = f"images/{split}"
        images, labels = folder / "images" / split, folder / "labels" / split
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for sample, name in zip(samples, picture_names(samples), strict=True):
            place(sample, images / name)
            classes = np.concatenate([sample.classes, np.full(len(sample.ignored), len(titles) - 1, np.int64)])
            boxes = np.concatenate([sample.boxes, sample.ignored])
            text = format_labels(boxes, classes, width=sample.width, height=sample.height)
            (labels / name).with_suffix(".txt").write_text(text, encoding="utf-8")
    table["names"] = dict(enumerate(titles))
    if titles != dataset.labels:
        table["ignore"] = [IGNORED]
    text = yaml.safe_dump(table, sort_keys=False, allow_unicode=True, width=200)
    (folder / "data.yaml").write_text(text, encoding="utf-8")


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
            parts = source.relative_to(table.root).parts if source.is_relative_to(table.root) else ()
            inner = Path(*(part for part in parts if part != ".."))
            if ".." in parts and (table.root / inner).is_dir():  # as Roboflow writes it
                message = f"leads out of the data set's folder; write `{split}: {inner.as_posix()}`"
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


def _sample(
    image: Path, names: Sequence[str], classes: ClassList, faults: list[Fault], warnings: list[Fault]
) -> Sample | None:
    """One picture and its boxes; None where the picture is at fault."""
    width, height = 0, 0
    try:
        width, height = image_size(image)
    except DataError as error:
        faults.extend(error.faults)
    path = label_path(image)
    boxes, titles = np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
    if path.exists():
        labels = read_labels(path, names)
        faults.extend(labels.faults)
        boxes, titles = labels.boxes, labels.classes
    else:
        message = f"no label file ({path}): counts as a picture without objects; add an empty one to say so"
        warnings.append(Fault(image, None, "", message))
    if not width:
        return None
    scaled = (boxes * (width, height, width, height)).astype(np.float32)
    indices = np.array([classes.index[name] for name in names], np.int64)[titles]
    counted = indices != NO_CLASS
    return Sample(image, width, height, scaled[counted], indices[counted], scaled[~counted], path)
