"""The report: the matrix counts right; the page shows pictures with errors, worst first, and needs no other file."""

import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scored_sets import found, sample

from unina.evaluate.classes import same_classes
from unina.evaluate.confusion import confusion_matrix, picture_errors
from unina.evaluate.report import FALSE, HIT, IGNORED, MISSED, draw, write_report
from unina.evaluate.summary import Scored
from unina_runtime import Detections

NAMES = ("blue", "yellow")
A, B, C, FAR = [20.0, 20, 60, 80], [100.0, 20, 140, 80], [200.0, 20, 240, 80], [400.0, 300, 440, 380]


def scored(*pictures: tuple[list[list[float]], list[int], list[list[float]], Detections]) -> Scored:
    samples = [sample(boxes, labels, ignored, f"p{i}.png") for i, (boxes, labels, ignored, _) in enumerate(pictures)]
    return Scored.of(same_classes(NAMES, (), samples), samples, [one[3] for one in pictures])


def test_confusion_by_hand() -> None:
    one = scored(
        ([A, B, C], [0, 0, 1], [], found((0.9, A, 0), (0.8, A, 0), (0.7, B, 1), (0.6, FAR, 1), (0.1, C, 1))),
        ([A], [1], [FAR], found((0.9, A, 1), (0.8, FAR, 0))),
    )
    errors = picture_errors(one, one.matches(), (0.5, 0.5))
    # blue: A found (and again, which is background), B as yellow; yellow: one found, C missed (its score is too low)
    assert confusion_matrix(one, errors).tolist() == [[1, 1, 0], [0, 1, 1], [1, 1, 0]]
    assert (errors[0].duplicates.tolist(), errors[0].swaps) == ([1], ((2, 1),))
    assert [e.errors for e in errors] == [5, 0]


def test_rows_of_the_matrix_sum_to_the_labels_and_columns_to_the_detections() -> None:
    generator = np.random.default_rng(0)
    pictures = []
    for _ in range(5):
        boxes = [[40.0 * k, 10, 40.0 * k + 20, 60] for k in range(6)]
        rows = [
            (float(generator.uniform(0.1, 1)), boxes[int(generator.integers(6))], int(generator.integers(2)))
            for _ in range(9)
        ]
        pictures.append((boxes, generator.integers(0, 2, 6).tolist(), [], found(*rows)))
    one = scored(*pictures)
    matrix = confusion_matrix(one, picture_errors(one, one.matches(), (0.0, 0.0)))
    labels = np.concatenate([truth.classes for truth in one.truths])
    guesses = np.concatenate([detections.classes for detections in one.detections])
    assert matrix[:2].sum(axis=1).tolist() == np.bincount(labels, minlength=2).tolist()
    assert matrix[:, :2].sum(axis=0).tolist() == np.bincount(guesses, minlength=2).tolist()


@pytest.fixture
def pictured(tmp_path: Path) -> Scored:
    """Three pictures on disk: one error, none, three errors."""
    one = scored(
        ([A, B], [0, 0], [], found((0.9, A, 0))),
        ([A], [1], [], found((0.9, A, 1))),
        ([A, B], [0, 0], [FAR], found((0.95, C, 0), (0.9, A, 0), (0.7, C, 1), (0.6, FAR, 0))),
    )
    paths = tuple(tmp_path / path for path in one.pictures)
    for path in paths:
        cv2.imwrite(str(path), np.full((480, 640, 3), 90, np.uint8))
    return replace(one, pictures=paths)


def test_boxes_are_drawn_in_the_colours_of_what_they_are(pictured: Scored) -> None:
    errors = picture_errors(pictured, pictured.matches(), (0.5, 0.5))
    image = draw(pictured, errors[2])
    assert image[50, 20].tolist() == list(HIT)
    assert image[50, 100].tolist() == list(MISSED)
    assert image[50, 200].tolist() == list(FALSE)
    assert image[340, 400].tolist() == list(IGNORED)


def test_the_page_is_self_contained_and_shows_the_worst_first(pictured: Scored, tmp_path: Path) -> None:
    page = write_report(tmp_path / "report", pictured, title="cones <b>").read_text()
    assert [path.name for path in sorted((tmp_path / "report").iterdir())] == [
        "confusion.png",
        "f1.png",
        "index.html",
        "precision_recall.png",
        "recall_by_height.png",
    ]
    assert re.findall(r"<figcaption>(p\d.png)", page) == ["p2.png", "p0.png"]
    assert "cones &lt;b&gt;" in page
    assert all(source.startswith("data:image/") for source in re.findall(r"src='([^']*)", page))
    assert "http" not in page


def test_a_report_of_no_detections_still_stands(pictured: Scored, tmp_path: Path) -> None:
    page = write_report(tmp_path / "report", pictured.changed(lambda _: Detections.empty()))
    assert page.read_text().count("<figure>") == 3
