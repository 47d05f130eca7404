"""Batches of crops: pictures are decoded once and kept in memory, crops are a pure function of seed and position.

Since crop i of a run depends on nothing but the spec and i, resuming at any step continues the same stream.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unina.data import Sample, read_image
from unina.data.threads import in_threads
from unina.train.assigner import Targets
from unina.train.augment import augment
from unina.train.mixture import Mixture
from unina.train.picture import Picture
from unina.train.spec import RunSpec

ORDER, CROP, PATTERN = 0, 1, 2  # what a random stream is for
PATTERN_LENGTH = 1000
"""Positions after which the mixture of the sources repeats; a share is kept to a thousandth."""


@dataclass(frozen=True)
class Batch:
    """What one optimiser step sees."""

    x: Tensor
    """N×3×crop×crop, float32, RGB pixel − 128"""
    targets: Targets
    images: tuple[str, ...]
    """file names, to name a batch that went wrong"""


class Loader:
    """The endless, seeded stream of training batches."""

    def __init__(
        self,
        mixture: Mixture,
        spec: RunSpec,
        advance: Callable[[], None] = lambda: None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        """`advance` is called after each picture that is read; `share` (r, w): crops r, r + w, … of every batch.

        Raises DataError for an unreadable picture.
        """
        self.spec = spec
        self.share = share
        self.samples = mixture.samples
        self.cache: list[Picture | None] = []
        left = spec.train.cache_mb * 2**20
        for picture in in_threads(self.decoded, self.samples):
            left -= picture.pixels.nbytes
            self.cache.append(picture if left >= 0 else None)
            advance()
        first = np.cumsum([0, *(len(source.samples) for source in mixture.sources)])
        self.streams = [
            Stream(source.samples, int(start), spec.augment.balance, (spec.train.seed, ORDER, number))
            for number, (source, start) in enumerate(zip(mixture.sources, first, strict=False))
        ]
        self.pattern = draw_pattern([source.share for source in mixture.sources], spec.train.seed)
        self.holders = holders(self.samples)

    def decoded(self, sample: Sample) -> Picture:
        """The picture as it lies on disk, and how much smaller the network will see it."""
        model = self.spec.model
        scale = min(model.input_height / sample.height, model.input_width / sample.width)
        pixels = np.ascontiguousarray(cv2.cvtColor(read_image(sample.image), cv2.COLOR_BGR2RGB))
        return Picture(np.asarray(pixels, np.uint8), sample.boxes, sample.classes, sample.ignored, scale)

    def picture(self, index: int) -> Picture:
        """Picture number `index` of all sources, from memory or from disk."""
        return self.cache[index] or self.decoded(self.samples[index])

    def index_at(self, position: int) -> int:
        """Which picture crop number `position` of the run is cut from."""
        turn, place = divmod(position, PATTERN_LENGTH)
        source = int(self.pattern[place])
        before = turn * int((self.pattern == source).sum()) + int((self.pattern[:place] == source).sum())
        return self.streams[source].index_at(before)

    def crop(self, position: int) -> tuple[Picture, str]:
        """Crop number `position` of the run and the name of its picture."""
        train, spec = self.spec.train, self.spec.augment
        index = self.index_at(position)
        rng = np.random.default_rng((train.seed, CROP, position))
        mosaic_open = position < (1 - spec.mosaic_close) * train.steps * train.batch
        crop = augment(self.picture(index), train.crop, spec, rng, self.another, self.donor, mosaic_open)
        return crop, self.samples[index].image.name

    def another(self, rng: np.random.Generator) -> Picture:
        """Any picture, the sources mixed as ever."""
        return self.picture(self.index_at(int(rng.integers(0, 2**31))))

    def donor(self, rng: np.random.Generator) -> Picture:
        """A picture with objects, of a class drawn evenly."""
        chosen = self.holders[int(rng.integers(len(self.holders)))]
        return self.picture(int(rng.choice(chosen)))

    def batch(self, step: int) -> Batch:
        """The batch of optimiser step `step`."""
        whole, (first, stride) = self.spec.train.batch, self.share
        crops = [self.crop(step * whole + i) for i in range(first, whole, stride)]
        size = len(crops)
        pictures = [picture for picture, _ in crops]
        # NumPy only: a torch operator in this thread starts a second team of OpenMP threads and halves the speed
        planes = np.empty((size, 3, self.spec.train.crop, self.spec.train.crop), np.float32)
        for plane, picture in zip(planes, pictures, strict=True):
            plane[:] = picture.pixels.transpose(2, 0, 1)
        planes -= 128
        targets = Targets(
            torch.from_numpy(np.concatenate([picture.boxes for picture in pictures])),
            torch.from_numpy(np.concatenate([picture.classes for picture in pictures])),
            torch.from_numpy(np.repeat(np.arange(size), [len(picture.boxes) for picture in pictures])),
            torch.from_numpy(np.concatenate([picture.ignored for picture in pictures])),
            torch.from_numpy(np.repeat(np.arange(size), [len(picture.ignored) for picture in pictures])),
        )
        return Batch(torch.from_numpy(planes), targets, tuple(name for _, name in crops))

    def batches(self, first: int, last: int) -> Generator[Batch]:
        """Batches of steps first … last − 1; the next one is prepared while one is used."""
        with ThreadPoolExecutor(1) as pool:
            ahead = pool.submit(self.batch, first)
            for step in range(first, last):
                batch = ahead.result()
                if step + 1 < last:
                    ahead = pool.submit(self.batch, step + 1)
                yield batch


class Stream:
    """The endless order of one source's pictures: pass after pass, each shuffled anew, rare classes repeated."""

    def __init__(
        self, samples: Sequence[Sample], start: int, balance: float | Literal["auto"], key: tuple[int, ...]
    ) -> None:
        """`start`: index of the first sample among those of all sources; `key` seeds the order."""
        self.start, self.key = start, key
        self.repeats = repeat_factors(samples, balance)
        self.length = int(np.floor(self.repeats.sum()))
        self.order = lru_cache(maxsize=4)(self.draw_order)

    def index_at(self, position: int) -> int:
        """The picture at a position of the stream."""
        turn, place = divmod(position, self.length)
        return self.start + self.order(turn)[place]

    def draw_order(self, turn: int) -> list[int]:
        """One pass: every sample, rare classes repeated, shuffled; as many entries as the repeats sum to, rounded."""
        rng = np.random.default_rng((*self.key, turn))
        whole = np.floor(self.repeats)
        chance = self.repeats - whole
        count = whole.astype(np.int64)
        extra = self.length - int(count.sum())
        if extra > 0:
            count[rng.choice(len(count), extra, replace=False, p=chance / chance.sum())] += 1
        order = np.repeat(np.arange(len(count)), count)
        return [int(i) for i in rng.permutation(order)]


def draw_pattern(shares: Sequence[float], seed: int) -> npt.NDArray[np.int64]:
    """Which source each of PATTERN_LENGTH positions takes: every source at least once, by share, shuffled."""
    counts = np.maximum(1, np.floor(np.array(shares) * PATTERN_LENGTH)).astype(np.int64)
    counts[int(np.argmax(counts))] += PATTERN_LENGTH - int(counts.sum())
    pattern = np.repeat(np.arange(len(counts)), counts)
    return np.random.default_rng((seed, PATTERN)).permutation(pattern)


def repeat_factors(samples: Sequence[Sample], share: float | Literal["auto"]) -> npt.NDArray[np.float64]:
    """How often each of N pictures appears in a pass: √(share / frequency) of its rarest class, at least once.

    Repeat-factor sampling (LVIS, arXiv 1908.03195, section 4): `share` is the part of the pictures below which a class
    counts as rare; "auto": the frequency of the commonest class.
    """
    present = [np.unique(sample.classes) for sample in samples]
    frequency = np.bincount(np.concatenate([*present, np.zeros(0, np.int64)])) / len(samples)
    rare_below = float(frequency.max(initial=0.0)) if share == "auto" else share
    factor = np.sqrt(np.maximum(1.0, rare_below / np.maximum(frequency, 1e-9)))
    return np.array([factor[classes].max(initial=1.0) for classes in present])


def holders(samples: Sequence[Sample]) -> list[npt.NDArray[np.int64]]:
    """For each class that occurs, the indices of the pictures it stands in, of shape (pictures,)."""
    labels = sorted({int(label) for sample in samples for label in sample.classes})
    return [np.array([i for i, sample in enumerate(samples) if label in sample.classes]) for label in labels]
