"""Opens a data set of any format by its path."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from unina.data.dataset import Dataset
from unina.data.faults import DataError, Fault
from unina.data.formats import FORMATS, Reading, coco, kitti, supervisely

KNOWN = (
    "name a data.yaml (YOLO-txt), a COCO json, or a folder with annotations/*.json (COCO), ann/ and img/ (Supervisely) "
    "or label_2/ and image_2/ (KITTI)"
)


def load_dataset(
    path: Path, splits: Sequence[str] | None = None, form: str | None = None, *, empty: bool = False
) -> Dataset:
    """Reads and checks a data set (docs/data.md).

    Args:
        path: a data.yaml, a json, or a folder; says the format.
        splits: names of those to read; None: all there are.
        form: yolo, coco, kitti or supervisely; None: as the path says.
        empty: not one box is no fault: the set shows what must not be found.

    Raises:
        DataError: with every fault of the files read.
    """
    reading = read_dataset(path, splits, form, empty=empty)
    if reading.faults:
        raise DataError(reading.faults)
    return reading.dataset


def read_dataset(
    path: Path, splits: Sequence[str] | None = None, form: str | None = None, *, empty: bool = False
) -> Reading:
    """As `load_dataset`, but gives what is good together with the faults.

    Raises:
        DataError: there is nothing that could be read.
    """
    path = Path(path)
    name = form or recognise(path)
    if name not in FORMATS:
        raise DataError([Fault(path, None, f"format {name}", f"is none of {', '.join(FORMATS)}")])
    reading = FORMATS[name].read(path / "data.yaml" if name == "yolo" and path.is_dir() else path, splits)
    dataset = reading.dataset
    faults = list(reading.faults)
    for split, samples in dataset.splits.items():
        if not samples and not faults:
            faults.append(Fault(path, None, split, "holds no picture; add some or leave the split out"))
    boxes = sum(len(sample.boxes) for samples in dataset.splits.values() for sample in samples)
    if not (boxes or empty or faults):
        where = "; labels lie in `labels/`, beside `images/`, under the same names with .txt" if name == "yolo" else ""
        faults.append(Fault(path, None, "", f"not one box in {', '.join(dataset.splits)}{where}"))
    warnings = (*dataset.warnings, *_shared(dataset))
    return Reading(replace(dataset, warnings=warnings), tuple(faults))


def recognise(path: Path) -> str:
    """The format of the data set at a path: yolo, coco, kitti or supervisely.

    Raises:
        DataError: there is nothing, or nothing known.
    """
    if path.suffix.lower() in (".yaml", ".yml") and not path.is_dir():
        return "yolo"
    if path.is_file():
        if path.suffix.lower() == ".json":
            return "coco"
        raise DataError([Fault(path, None, "", f"no data set; {KNOWN}")])
    if not path.is_dir():
        raise DataError([Fault(path, None, "", f"no such file or folder; {KNOWN}")])
    if (path / "data.yaml").is_file():
        return "yolo"
    if coco.tables(path):
        return "coco"
    if kitti.folders(path):
        return "kitti"
    if supervisely.folders(path):
        return "supervisely"
    raise DataError([Fault(path, None, "", f"no data set in this folder; {KNOWN}")])


def _shared(dataset: Dataset) -> list[Fault]:
    """A warning for each picture file that stands in two splits."""
    owner: dict[Path, str] = {}
    found = []
    for split, samples in dataset.splits.items():
        for sample in samples:
            first = owner.setdefault(sample.image.resolve(), split)
            if first != split:
                message = f"stands in {first} and in {split}: scores on it say nothing; keep it in one"
                found.append(Fault(sample.image, None, "", message))
    return found
