"""Small labelled sets and detections for the tests of evaluation."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from unina.data import Sample
from unina.evaluate.classes import Truth
from unina_runtime import Detections

NO_BOXES = np.zeros((0, 4), np.float32)


def sample(
    boxes: Sequence[Sequence[float]],
    classes: Sequence[int],
    ignored: Sequence[Sequence[float]] = (),
    name: str = "a.jpg",
) -> Sample:
    """A picture of 640×480."""
    return Sample(
        image=Path(name),
        width=640,
        height=480,
        boxes=np.asarray(boxes, np.float32).reshape(-1, 4),
        classes=np.asarray(classes, np.int64),
        ignored=np.asarray(ignored, np.float32).reshape(-1, 4),
    )


def truth(boxes: Sequence[Sequence[float]], classes: Sequence[int], ignored: Sequence[Sequence[float]] = ()) -> Truth:
    """Of a picture of 640×480."""
    return Truth(
        np.asarray(boxes, np.float32).reshape(-1, 4),
        np.asarray(classes, np.int64),
        np.asarray(ignored, np.float32).reshape(-1, 4),
        640,
        480,
    )


def found(*rows: tuple[float, Sequence[float], int]) -> Detections:
    """From (score, box, class)."""
    return Detections(
        np.asarray([box for _, box, _ in rows], np.float32).reshape(-1, 4),
        np.asarray([score for score, _, _ in rows], np.float32),
        np.asarray([label for _, _, label in rows], np.int32),
    )


@st.composite
def split(draw: st.DrawFn, classes: int = 2) -> tuple[list[Truth], list[Detections]]:
    """Pictures full of overlapping boxes: some detections lie near labelled ones, some anywhere, scores often equal."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pictures = draw(st.integers(1, 5))
    truths, detections = [], []
    for _ in range(pictures):
        boxes = _boxes(generator, int(generator.integers(0, 6)))
        near = np.repeat(boxes, 2, axis=0) + generator.integers(-4, 5, (2 * len(boxes), 4))
        offered = np.concatenate([near, _boxes(generator, int(generator.integers(0, 6)))]).astype(np.float32)
        offered[:, 2:] = np.maximum(offered[:, 2:], offered[:, :2] + 1)
        labels = generator.integers(0, classes, len(boxes))
        guesses = np.concatenate([np.repeat(labels, 2), generator.integers(0, classes, len(offered) - len(near))])
        ignored = _boxes(generator, int(generator.integers(0, 3)))
        truths.append(Truth(boxes, labels, ignored, 640, 480))
        scores = generator.integers(1, 40, len(offered)).astype(np.float32) / 40
        order = np.argsort(-scores, kind="stable")
        detections.append(Detections(offered[order], scores[order], guesses.astype(np.int32)[order]))
    return truths, detections


def _boxes(generator: np.random.Generator, count: int) -> np.ndarray:
    """N×4 whole-numbered boxes of 4…50 pixels in a corner of the picture."""
    low = generator.integers(0, 60, (count, 2))
    return np.concatenate([low, low + generator.integers(4, 50, (count, 2))], axis=1).astype(np.float32)
