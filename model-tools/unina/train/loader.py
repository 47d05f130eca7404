"""Batches of crops: pictures are letterboxed once and kept in memory, crops are a pure function of seed and position.

Since crop i of a run depends on nothing but the seed and i, resuming at any step continues the same stream.
"""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unina.data import Sample, read_image
from unina.data.letterbox import letterbox_sample
from unina.train.assigner import Targets
from unina.train.augment import Picture, augment
from unina.train.spec import RunSpec

ORDER, CROP = 0, 1  # what a random stream is for


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

    def __init__(self, samples: Sequence[Sample], spec: RunSpec, advance: Callable[[], None] = lambda: None) -> None:
        """`advance` is called after each picture that is read. Raises DataError for an unreadable one."""
        self.samples = samples
        self.spec = spec
        size = spec.model.input_height * spec.model.input_width * 3
        kept = min(len(samples), spec.train.cache_mb * 2**20 // size)

        def read(index: int) -> Picture:
            picture = self.letterboxed(samples[index])
            advance()
            return picture

        with ThreadPoolExecutor(2) as pool:
            self.cache = list(pool.map(read, range(kept)))
        self.repeats = repeat_factors(samples, spec.augment.balance)
        self.order = lru_cache(maxsize=4)(self.draw_order)
        self.pass_length = int(np.floor(self.repeats.sum()))

    def letterboxed(self, sample: Sample) -> Picture:
        """The sample as the network will see it on the device."""
        height, width = self.spec.model.input_height, self.spec.model.input_width
        pixels, boxes, _ = letterbox_sample(read_image(sample.image), sample.boxes, height, width)
        return Picture(pixels, boxes, sample.classes)

    def draw_order(self, turn: int) -> list[int]:
        """One pass: every sample, rare classes repeated, shuffled; as many entries as the repeats sum to, rounded."""
        rng = np.random.default_rng((self.spec.train.seed, ORDER, turn))
        whole = np.floor(self.repeats)
        chance = self.repeats - whole
        count = whole.astype(np.int64)
        extra = self.pass_length - int(count.sum())
        if extra > 0:
            count[rng.choice(len(count), extra, replace=False, p=chance / chance.sum())] += 1
        order = np.repeat(np.arange(len(count)), count)
        return [int(i) for i in rng.permutation(order)]

    def crop(self, position: int) -> tuple[Picture, str]:
        """Crop number `position` of the run and the name of its picture."""
        turn, place = divmod(position, self.pass_length)
        index = self.order(turn)[place]
        picture = self.cache[index] if index < len(self.cache) else self.letterboxed(self.samples[index])
        rng = np.random.default_rng((self.spec.train.seed, CROP, position))
        return augment(picture, self.spec.train.crop, self.spec.augment, rng), self.samples[index].image.name

    def batch(self, step: int) -> Batch:
        """The batch of optimiser step `step`."""
        size = self.spec.train.batch
        crops = [self.crop(step * size + i) for i in range(size)]
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


def repeat_factors(samples: Sequence[Sample], share: float) -> npt.NDArray[np.float64]:
    """How often each picture appears in a pass: √(share / frequency) of its rarest class, at least once.

    Repeat-factor sampling (LVIS, arXiv 1908.03195, section 4): `share` is the part of the pictures below which a class
    counts as rare.
    """
    present = [np.unique(sample.classes) for sample in samples]
    frequency = np.bincount(np.concatenate([*present, np.zeros(0, np.int64)])) / len(samples)
    factor = np.sqrt(np.maximum(1.0, share / np.maximum(frequency, 1e-9)))
    return np.array([factor[classes].max(initial=1.0) for classes in present])
