"""Pictures that show the same thing, found by perceptual hash: the same file again, re-encoded, resized or retouched.

Two 64-bit hashes a picture: the difference hash (N. Krawetz, "Kind of Like That", 2013: is a cell of a 9×8 thumbnail
darker than its right neighbour?) and one of the low frequencies of a 32×32 thumbnail's cosine transform ("pHash"; the
same, "Looks Like It", 2011). Track pictures are alike in their coarse layout, sky above asphalt: both must agree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.dataset import Dataset
from unina.data.images import read_thumbnail
from unina.data.threads import in_threads

BITS = 64
DISTANCE = 10
"""Bits of 64 in which either hash of two pictures may differ and they still count as one. Measured on 334 pictures of
Formula Student: copies re-encoded, scaled, brightened or with noise differ by 8 at most, cut by 2 % by 12; pictures of
different videos by 16 and more; pictures of one video and one second by 7 … 17."""
FLAT = 0.5
"""Grey levels by which a cell must be lighter than the one before it: less is noise on an even ground."""
BLOCK = 1024
"""Rows of the table of distances held at once: 10,000 pictures cost 40 MB and a second."""


@dataclass(frozen=True)
class Picture:
    """A picture of a data set."""

    image: Path
    split: str
    """split, with the data set before it where there are several"""


@dataclass(frozen=True)
class Pair:
    """Two pictures that look the same."""

    first: Picture
    second: Picture
    distance: int
    """bits of 64, the larger of the two hashes'"""

    @property
    def across(self) -> bool:
        """Whether they stand in different splits: what is learned on one is then asked on the other."""
        return self.first.split != self.second.split


def find_duplicates(
    datasets: Sequence[Dataset],
    distance: int = DISTANCE,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Pair, ...]:
    """All pairs of look-alikes, nearest first, those across splits before those inside one.

    Args:
        datasets: one or several, looked at together.
        distance: highest number of bits in which either hash may differ.
        progress: called with (pictures done, pictures in all).

    Raises:
        DataError: a picture can't be read.
    """
    pictures = []
    for name, dataset in zip(_names(datasets), datasets, strict=True):
        prefix = f"{name}:" if len(datasets) > 1 else ""
        for split, samples in dataset.splits.items():
            pictures += [Picture(sample.image, prefix + split) for sample in samples]
    hashes = np.zeros((len(pictures), 2, BITS), np.float32)
    for row, pair in enumerate(in_threads(_hashed, pictures)):
        hashes[row] = pair
        progress(row + 1, len(pictures))
    pairs = [
        Pair(pictures[i], pictures[j], apart)
        for i, j, apart in close_pairs(hashes, distance)
        if pictures[i].image.resolve() != pictures[j].image.resolve() or pictures[i].split != pictures[j].split
    ]
    return tuple(sorted(pairs, key=lambda pair: (not pair.across, pair.distance)))


def perceptual_hashes(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Both hashes of a picture, float32 2×64 of ±1. A scaled or re-encoded copy differs in a few bits.

    Args:
        grey: uint8 H×W.
    """
    # 9·32 × 8·32: whole cells for both thumbnails; float32: rounded averages of plain sky would be decided by noise
    even = cv2.resize(grey.astype(np.float32), (288, 256), interpolation=cv2.INTER_AREA)
    cells = cv2.resize(even, (9, 8), interpolation=cv2.INTER_AREA)
    difference = cells[:, 1:] > cells[:, :-1] + FLAT
    frequencies = cv2.dct(cv2.resize(even, (32, 32), interpolation=cv2.INTER_AREA))[:8, :8].ravel()
    low = frequencies > np.median(frequencies[1:])  # the first is the mean brightness
    return np.where(np.stack([difference.ravel(), low]), 1, -1).astype(np.float32)


def close_pairs(hashes: npt.NDArray[np.float32], distance: int) -> list[tuple[int, int, int]]:
    """Rows i < j both of whose hashes differ in at most `distance` bits, and the larger of the two differences.

    Args:
        hashes: N×2×64 of ±1: the product of two rows is 64 − 2 · (bits that differ), exact in float32.
    """
    found = []
    for start in range(0, len(hashes), BLOCK):
        block = hashes[start : start + BLOCK]
        apart = np.maximum(*((BITS - block[:, k] @ hashes[start:, k].T) / 2 for k in range(2)))
        for i, j in np.argwhere(apart <= distance):
            if i < j:
                found.append((start + int(i), start + int(j), int(apart[i, j])))
    return found


def _hashed(picture: Picture) -> npt.NDArray[np.float32]:
    return perceptual_hashes(read_thumbnail(picture.image, 256))


def _names(datasets: Sequence[Dataset]) -> list[str]:
    """What to call data sets beside each other: after their folders, with a number where two are called alike."""
    folders = [path.parent if path.is_file() else path for path in (dataset.path.absolute() for dataset in datasets)]
    names = [folder.name for folder in folders]
    return [name if names.count(name) == 1 else f"{name}#{number}" for number, name in enumerate(names, start=1)]
