"""Several data sets become one training set: classes told in the model's words, crops shared out exactly."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from unina.data import DataError
from unina.model import ModelSpec
from unina.train import RunSpec, TrainSpec
from unina.train.loader import PATTERN_LENGTH, Loader, draw_pattern
from unina.train.mixture import load_mixture
from unina.train.spec import SourceSpec


def write_set(root: Path, names: list[str], labels: list[list[int]], splits: tuple[str, ...] = ("train",)) -> str:
    """One grey picture for each list of classes, a box for each class; returns the data.yaml."""
    for split in splits:
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number, classes in enumerate(labels):
            cv2.imwrite(str(root / "images" / split / f"{root.name}{number}.png"), np.full((64, 64, 3), 90, np.uint8))
            lines = [f"{label} 0.5 0.5 0.{2 + row} 0.3" for row, label in enumerate(classes)]
            (root / "labels" / split / f"{root.name}{number}.txt").write_text("\n".join(lines))
    text = "path: .\n" + "".join(f"{split}: images/{split}\n" for split in splits) + f"names: [{', '.join(names)}]\n"
    (root / "data.yaml").write_text(text)
    return str(root / "data.yaml")


def spec_of(*sources: SourceSpec, classes: tuple[str, ...] = (), validation: SourceSpec | None = None) -> RunSpec:
    return RunSpec(
        sources=sources,
        classes=classes,
        validation=validation,
        model=ModelSpec(input_height=64, input_width=64),
        train=TrainSpec(epochs=1, crop=64, batch=4),
    )


def test_labels_are_told_in_the_models_classes(tmp_path: Path) -> None:
    real = write_set(tmp_path / "real", ["yellow", "orange", "person"], [[0, 1], [1, 2]], ("train", "val"))
    drawn = write_set(tmp_path / "drawn", ["small", "large", "yellow"], [[0, 1, 2]])
    words = {"orange": "small|large", "person": "ignore"}
    mixture = load_mixture(
        spec_of(
            SourceSpec(real, classes=words),
            SourceSpec(drawn),
            classes=("yellow", "small", "large"),
            validation=SourceSpec(real, "val", classes=words),
        )
    )
    assert mixture.names == ("yellow", "small", "large") and mixture.groups == ((1, 2),)
    assert [sample.classes.tolist() for sample in mixture.samples] == [[0, 3], [3], [1, 2, 0]]
    assert [len(sample.ignored) for sample in mixture.samples] == [0, 1, 0]
    assert [sample.classes.tolist() for sample in mixture.validation] == [[0, 3], [3]]


def test_a_class_without_a_meaning_is_named_with_the_fix(tmp_path: Path) -> None:
    real = write_set(tmp_path / "real", ["yellow", "person"], [[0, 1]])
    with pytest.raises(DataError, match=r"data\.yaml: person: .*`ignore`"):
        load_mixture(spec_of(SourceSpec(real), classes=("yellow",)))


def test_one_source_may_be_all_negatives_but_not_every_one(tmp_path: Path) -> None:
    cones = write_set(tmp_path / "cones", ["yellow"], [[0]])
    streets = write_set(tmp_path / "streets", ["yellow"], [[], []])
    mixture = load_mixture(spec_of(SourceSpec(cones, share=3), SourceSpec(streets, share=1)))
    assert [source.share for source in mixture.sources] == [0.75, 0.25]
    with pytest.raises(DataError, match="not one labelled box in 2 pictures"):
        load_mixture(spec_of(SourceSpec(streets)))


def test_crops_are_shared_out_exactly_and_no_picture_is_left_out(tmp_path: Path) -> None:
    cones = write_set(tmp_path / "cones", ["yellow"], [[0]] * 3)
    streets = write_set(tmp_path / "streets", ["yellow"], [[]] * 7)
    spec = spec_of(SourceSpec(cones, share=0.8), SourceSpec(streets, share=0.2))
    loader = Loader(load_mixture(spec), spec)
    drawn = Counter(loader.index_at(position) for position in range(2 * PATTERN_LENGTH))
    of_cones, of_streets = [drawn[i] for i in range(3)], [drawn[i] for i in range(3, 10)]
    assert sum(of_cones) == 1600 and sum(of_streets) == 400
    assert max(of_cones) - min(of_cones) <= 1 and max(of_streets) - min(of_streets) <= 1


@pytest.mark.parametrize("shares", [[1.0], [0.5, 0.5], [0.9995, 0.0005], [0.2, 0.3, 0.1, 0.4]])
def test_every_source_has_its_share_of_the_pattern(shares: list[float]) -> None:
    counts = np.bincount(draw_pattern(shares, 0), minlength=len(shares))
    assert counts.sum() == PATTERN_LENGTH and counts.min() >= 1
    assert np.abs(counts / PATTERN_LENGTH - shares).max() < 0.002
