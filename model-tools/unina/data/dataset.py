"""A data set in memory: what each picture is called, how large it is and what stands on it. Pixels stay on disk."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unina.data.faults import DataError, Fault

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
    label_file: Path | None = None
    """the label file of this picture alone, where the format has one; it need not exist"""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, checked."""

    path: Path
    """the data.yaml, json or folder that it was read from"""
    names: tuple[str, ...]
    """classes to detect; ignored classes are none of them"""
    splits: dict[str, tuple[Sample, ...]]
    """only those that it has, in the order of SPLITS"""
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
        """Of the data.yaml or json, the labels and every picture, by splits; independent of the place."""
        head = self.path.read_bytes() if self.path.is_file() else repr((self.names, self.groups)).encode()
        digest = hashlib.sha256(head)
        for name, samples in self.splits.items():
            for sample in samples:
                for file in (sample.image, sample.label_file):
                    if file is not None:
                        content = file.read_bytes() if file.exists() else b""
                        digest.update(f"{name}/{file.name}:{len(content)}\n".encode())
                        digest.update(content)
                if sample.label_file is None:  # a folder's jsons are not in `head`
                    for table in (sample.boxes, sample.classes, sample.ignored):
                        digest.update(f"{len(table)}\n".encode() + table.tobytes())
        return digest.hexdigest()
