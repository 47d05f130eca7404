"""The formats of data sets, one file each; all read into a `Dataset` and write one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unina.data.dataset import Dataset, Sample
from unina.data.formats import coco, kitti, supervisely, yolo
from unina.data.formats.reading import Reading

__all__ = ["FORMATS", "Format", "Reading"]


@dataclass(frozen=True)
class Format:
    """One format's two halves."""

    read: Callable[[Path, Sequence[str] | None], Reading]
    write: Callable[[Dataset, Path, Callable[[Sample, Path], None]], None]
    entry: str
    """what to name to read the written data set, relative to its folder"""


FORMATS = {
    "yolo": Format(yolo.read, yolo.write, "data.yaml"),
    "coco": Format(coco.read, coco.write, "."),
    "kitti": Format(kitti.read, kitti.write, "."),
    "supervisely": Format(supervisely.read, supervisely.write, "."),
}
