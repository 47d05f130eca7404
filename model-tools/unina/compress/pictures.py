"""Calibration pictures as the network sees them."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unina.compress.calibrate import CalibrationError, Input
from unina.data import read_image
from unina.evaluate import centred


class Preprocessing(Protocol):
    """What makes the network's picture: a Head, or a PictureInput."""

    def pixels(self, image: npt.NDArray[np.uint8], /) -> tuple[npt.NDArray[np.uint8], Any]:
        """uint8 H×W×3 BGR to uint8 h×w×3 in the network's colour order, and where the picture lies in it."""


@dataclass(frozen=True)
class CalibrationPictures:
    """Network inputs made from picture files, read and letterboxed anew each time they are walked through."""

    paths: Sequence[Path]
    picture: Preprocessing

    def __len__(self) -> int:
        return len(self.paths)

    def __iter__(self) -> Iterator[Input]:
        """float32 1×3×H×W, pixel − 128.

        Raises DataError for a picture that cannot be read, CalibrationError when every picture is of one colour.
        """
        all_flat = True
        for path in self.paths:
            image = read_image(path)
            all_flat = all_flat and bool((image == image[0, 0]).all())
            yield centred(self.picture.pixels(image)[0])
        if self.paths and all_flat:
            raise CalibrationError(
                f"all {len(self.paths)} calibration pictures are of one colour, {self.paths[0]} for instance; "
                "calibrate on pictures of the kind that the camera will see"
            )


def sample_paths(paths: Sequence[Path], count: int, seed: int) -> tuple[Path, ...]:
    """At most `count` different paths, drawn by the seed, in their original order."""
    distinct = list(dict.fromkeys(paths))
    if count >= len(distinct):
        return tuple(distinct)
    chosen = set(random.Random(seed).sample(range(len(distinct)), count))
    return tuple(path for position, path in enumerate(distinct) if position in chosen)
