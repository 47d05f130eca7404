"""`selftest.png` of a bundle: a picture, and what the integer engine finds in it beyond doubt.

The health check of an update (docs/update.md): a device that finds hardly any of it does not run this network.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from unina.data import read_image
from unina.data.scenes.render import render_scene, scene_layout
from unina.evaluate import Stage

Image = npt.NDArray[np.uint8]
PICTURE = "selftest.png"
SEED, OF, TRIED = 2027, 24, 8
"""Scenes of a seed that nothing trains on: of the first OF those with most cones are looked at."""
WIDTH, HEIGHT = 640, 360
BEYOND_DOUBT = 0.5
"""of the way from a class's threshold to 1: what INT8 on another device moves a score by is far less"""
LEAST = 3
"""objects, or it would show nothing"""


def selftest(
    host: Stage, thresholds: Sequence[float], pictures: Sequence[Path] = ()
) -> tuple[bytes, dict[str, Any]] | None:
    """PNG, and the manifest's entry; None for a network that finds fewer than three objects in everything it is shown.

    Args:
        pictures: that take the place of the rendered scenes, where a network finds nothing in those: not all detect
            cones. They are made smaller, and one of them is in the bundle.
    """
    for images in (_scenes(), _shown(pictures)):
        seen = ((image, _beyond_doubt(host, image, thresholds)) for image in images)
        image, expected = max(seen, key=lambda one: len(one[1]), default=(None, []))
        if image is not None and len(expected) >= LEAST:
            return cv2.imencode(".png", image)[1].tobytes(), {"picture": PICTURE, "expected": expected}
    return None


def _scenes() -> Iterator[Image]:
    """Those with most cones of the first."""
    cones = [len(scene_layout(SEED, 2, index, WIDTH, HEIGHT).boxes) for index in range(OF)]
    fullest = sorted(range(OF), key=lambda index: -cones[index])[:TRIED]
    for index in fullest:
        yield np.ascontiguousarray(render_scene(SEED, 2, index, WIDTH, HEIGHT).pixels)


def _shown(pictures: Sequence[Path]) -> Iterator[Image]:
    """Some of them, from the first to the last, not wider than a scene."""
    for path in pictures[:: max(1, len(pictures) // OF)][:OF]:
        image = read_image(path)
        share = min(1.0, WIDTH / image.shape[1])
        yield np.asarray(cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)


def _beyond_doubt(host: Stage, image: Image, thresholds: Sequence[float]) -> list[dict[str, Any]]:
    found = host(image)
    return [
        {"class_id": int(label), "box": [round(float(side), 2) for side in box]}
        for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True)
        if score >= thresholds[label] + BEYOND_DOUBT * (1 - thresholds[label])
    ]
