"""`selftest.png` of a bundle: a rendered scene, and what the integer engine finds in it beyond doubt.

The health check of an update (docs/update.md): a device that finds hardly any of it does not run this network.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

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


def selftest(host: Stage, thresholds: Sequence[float]) -> tuple[bytes, dict[str, Any]] | None:
    """PNG, and the manifest's entry; None for a network that finds fewer than three objects in every scene."""
    cones = [len(scene_layout(SEED, 2, index, WIDTH, HEIGHT).boxes) for index in range(OF)]
    fullest = sorted(range(OF), key=lambda index: -cones[index])[:TRIED]
    images = [np.ascontiguousarray(render_scene(SEED, 2, index, WIDTH, HEIGHT).pixels) for index in fullest]
    image, expected = max(
        ((image, _beyond_doubt(host, image, thresholds)) for image in images), key=lambda one: len(one[1])
    )
    if len(expected) < LEAST:
        return None
    return cv2.imencode(".png", image)[1].tobytes(), {"picture": PICTURE, "expected": expected}


def _beyond_doubt(host: Stage, image: Image, thresholds: Sequence[float]) -> list[dict[str, Any]]:
    found = host(image)
    return [
        {"class_id": int(label), "box": [round(float(side), 2) for side in box]}
        for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True)
        if score >= thresholds[label] + BEYOND_DOUBT * (1 - thresholds[label])
    ]
