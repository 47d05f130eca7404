"""The self-test of a bundle holds what its network finds beyond doubt, and none is made that would show nothing."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from unina.data.scenes.render import render_scene
from unina.export import selftest as module
from unina.export.selftest import selftest
from unina_runtime import Detections


class Seeing:
    """A stage that sees the same in every picture but the third, where it sees one more."""

    def __init__(self, scores: list[float]) -> None:
        self.scores, self.seen = scores, 0

    def __call__(self, image: npt.NDArray[np.uint8]) -> Detections:
        self.seen += 1
        scores = [*self.scores, 0.99] if self.seen == 3 else self.scores
        boxes = np.array([[10.0 * n, 5, 10 * n + 8, 20] for n in range(len(scores))], np.float32).reshape(-1, 4)
        return Detections(boxes, np.array(scores, np.float32), np.array([n % 2 for n in range(len(scores))], np.int32))


def test_it_takes_the_picture_with_most_of_what_is_beyond_doubt() -> None:
    made = selftest(Seeing([0.95, 0.9, 0.61, 0.5]), [0.2, 0.8])
    assert made is not None
    content, entry = made
    assert entry["picture"] == "selftest.png"
    assert [(one["class_id"], one["box"][0]) for one in entry["expected"]] == [
        (0, 0.0),
        (1, 10.0),
        (0, 20.0),
        (0, 40.0),
    ]
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    scenes = [render_scene(module.SEED, 2, index, module.WIDTH, module.HEIGHT).pixels for index in range(module.OF)]
    assert any(np.array_equal(image, scene) for scene in scenes)


def test_who_finds_nothing_in_scenes_is_shown_pictures(tmp_path: Path) -> None:
    paths = []
    for number, width in enumerate((1280, 320)):
        paths.append(tmp_path / f"{number}.png")
        cv2.imwrite(str(paths[-1]), np.full((width // 2, width, 3), 50 * number + 50, np.uint8))

    def host(image: npt.NDArray[np.uint8]) -> Detections:
        count = {50: 3, 100: 4}.get(int(image[0, 0, 0]), 0) if (image == image[0, 0, 0]).all() else 2
        boxes = np.array([[10.0 * n, 5, 10 * n + 8, 20] for n in range(count)], np.float32).reshape(-1, 4)
        return Detections(boxes, np.full(count, 0.9, np.float32), np.zeros(count, np.int32))

    made = selftest(host, [0.3], paths)
    assert made is not None and len(made[1]["expected"]) == 4
    assert cv2.imdecode(np.frombuffer(made[0], np.uint8), cv2.IMREAD_COLOR).shape == (160, 320, 3)
    large = selftest(host, [0.3], paths[:1])
    assert large is not None
    assert cv2.imdecode(np.frombuffer(large[0], np.uint8), cv2.IMREAD_COLOR).shape == (320, 640, 3)
    assert selftest(host, [0.3]) is None


@pytest.mark.parametrize("scores", [[], [0.6, 0.6]])
def test_a_network_that_finds_too_little_gets_none(scores: list[float]) -> None:
    assert selftest(Seeing(scores), [0.5, 0.5]) is None
