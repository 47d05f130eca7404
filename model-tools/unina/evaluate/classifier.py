"""How often a classifier is right, and how often its forms agree, over the pictures of a data set of boxes.

A picture shows a class when all its boxes are of that class; other pictures count for the agreement alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unina.data import Sample, read_image
from unina.evaluate.picture_input import PictureInput
from unina.evaluate.stages import centred

Logits = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
"""float32 1×3×H×W, pixel − 128 → one value a class, in any shape"""


@dataclass(frozen=True)
class ClassifierScores:
    """Of every form of the network, by its name."""

    images: int
    labelled: int
    """of them, those that show one class"""
    agreement: dict[str, float]
    """share of the pictures with the same first class as the first form"""
    top1: dict[str, float]
    """share of the labelled pictures with the right first class; empty where none is labelled"""

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            name: {"agreement": share, "images": self.images}
            | ({"top1": self.top1[name], "labelled": self.labelled} if name in self.top1 else {})
            for name, share in self.agreement.items()
        }


def score_classifier(
    forms: Mapping[str, Logits],
    samples: Iterable[Sample],
    picture: PictureInput,
    classes: Sequence[str],
    names: Sequence[str],
    advance: Callable[[], None] = lambda: None,
) -> ClassifierScores:
    """Runs every form over the samples.

    Args:
        forms: the one that the others are held against first.
        classes: of the network.
        names: of the data set, whose labels count where the network has a class of that name.

    Raises:
        DataError: a picture that cannot be read.
        ValueError: no pictures.
    """
    firsts: dict[str, list[int]] = {name: [] for name in forms}
    truth: list[int] = []
    for sample in samples:
        x = centred(picture.pixels(read_image(sample.image))[0])
        for name, form in forms.items():
            firsts[name].append(int(np.argmax(form(x))))
        truth.append(_shown(sample, classes, names))
        advance()
    if not truth:
        raise ValueError("no pictures to compare the forms of the classifier on")
    found = {name: np.array(values) for name, values in firsts.items()}
    first = next(iter(found.values()))
    wanted = np.array(truth)
    labelled = wanted >= 0
    return ClassifierScores(
        len(truth),
        int(labelled.sum()),
        {name: float((values == first).mean()) for name, values in found.items()},
        {name: float((values == wanted)[labelled].mean()) for name, values in found.items() if labelled.any()},
    )


def _shown(sample: Sample, classes: Sequence[str], names: Sequence[str]) -> int:
    """The network's class that a picture shows; −1: none, or not one."""
    labels = set(sample.classes.tolist())
    if len(labels) != 1:
        return -1
    (label,) = labels
    return list(classes).index(names[label]) if label < len(names) and names[label] in classes else -1
