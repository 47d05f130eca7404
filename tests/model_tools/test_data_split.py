"""`unina-data split`: videos stay whole, classes are balanced as far as that allows, and what can't be done is said."""

import json
from itertools import product
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.cli.data import main
from unina.data import DataError, Sample, load_dataset
from unina.data.video_split import Group, group_by_folder, group_by_name, split_groups


def sample(name: str, *classes: int) -> Sample:
    """A picture that exists by name alone."""
    boxes = np.array([(i, 0, i + 1, 2) for i in range(len(classes))], np.float32).reshape(-1, 4)
    return Sample(Path(name), 100, 100, boxes, np.array(classes, np.int64))


NAMES = [
    ("rain_vlcsnap_2019_10_17_13h27m36s157.jpg", "rain_vlcsnap"),
    ("capture_Capture10.jpg", "capture_Capture"),
    ("amz_00016.png", "amz"),
    ("run2_frame-000123.png", "run2_frame"),
    ("2021-05-12T14.30.59Z.png", "drive"),
    ("000042.png", "drive"),
    ("skidpad (3).png", "skidpad"),
    ("amz_00016_jpg.rf.0a1b2c3d4e.jpg", "amz"),
    ("noon.png", "noon"),
    ("pathos.png", "pathos"),
]


@pytest.mark.parametrize(("name", "group"), NAMES)
def test_a_video_is_the_name_without_numbers_at_its_end(name: str, group: str) -> None:
    (found,) = group_by_name([sample(f"drive/images/train/{name}")])
    assert found.name == group


def test_a_regular_expression_names_the_video_by_its_first_group() -> None:
    samples = [sample(f"{car}_run{run}_{n}.png") for car in "ab" for run in (1, 2) for n in range(3)]
    assert {group.name: len(group.samples) for group in group_by_name(samples, r"_(run\d)_")} == {"run1": 6, "run2": 6}
    assert [group.name for group in group_by_name(samples, "^[ab]_run.")] == ["a_run1", "a_run2", "b_run1", "b_run2"]


def test_folders_that_only_hold_pictures_name_no_video() -> None:
    names = ["fsoco/amz/img/1.png", "fsoco/ff/img/1.png", "fsoco/amz/img/2.png", "fsoco/tum/images/train/1.png"]
    groups = group_by_folder([sample(name) for name in names])
    assert {group.name: len(group.samples) for group in groups} == {"amz": 2, "ff": 1, "tum": 1}


def test_a_rule_that_fits_no_name_is_refused() -> None:
    with pytest.raises(DataError, match=r"b\.png: b: `\(a\)` doesn't match; widen it"):
        group_by_name([sample("a.png"), sample("b.png")], "(a)")
    with pytest.raises(DataError, match="--by: \\(a: no regular expression"):
        group_by_name([sample("a.png")], "(a")


@st.composite
def videos(draw: st.DrawFn) -> tuple[Group, ...]:
    """Two to seven videos of one to six pictures with boxes of three classes."""
    groups = []
    for video in range(draw(st.integers(2, 7))):
        pictures = draw(st.lists(st.lists(st.integers(0, 2), max_size=4), min_size=1, max_size=6))
        groups.append(Group(f"v{video}", tuple(sample(f"v{video}_{i}.png", *own) for i, own in enumerate(pictures))))
    return tuple(groups)


def cost(groups: tuple[Group, ...], place: tuple[int, ...], share: float) -> float:
    """The documented measure, written out: squares of (share got − share wanted), over pictures and classes."""
    total = 0.0
    kinds = [lambda s: 1, *(lambda s, k=k: int((s.classes == k).sum()) for k in range(3))]
    for kind in kinds:
        each = [sum(kind(s) for s in group.samples) for group in groups]
        if sum(each):
            val = sum(n for n, own in zip(each, place, strict=True) if own) / sum(each)
            total += 2 * (val - share) ** 2
    return total


@settings(max_examples=40, deadline=None)
@given(videos(), st.sampled_from([0.1, 0.2, 0.5]), st.integers(0, 3))
def test_splits_hold_whole_videos_each_once_and_are_as_balanced_as_can_be(
    groups: tuple[Group, ...], share: float, seed: int
) -> None:
    placed = split_groups(groups, {"train": 1 - share, "val": share}, seed=seed)
    assert sorted(group.name for own in placed.values() for group in own) == [group.name for group in groups]
    assert all(placed.values())
    in_val = {group.name for group in placed["val"]}
    got = cost(groups, tuple(int(group.name in in_val) for group in groups), share)
    every = [place for place in product((0, 1), repeat=len(groups)) if 0 < sum(place) < len(groups)]
    assert got <= min(cost(groups, place, share) for place in every) + 1e-9


def test_a_hundred_videos_and_three_splits_come_near_the_shares() -> None:
    rng = np.random.default_rng(0)
    groups = [
        Group(f"v{v}", tuple(sample(f"v{v}_{i}", *rng.integers(0, 4, rng.integers(0, 9))) for i in range(1 + v % 9)))
        for v in range(130)
    ]
    shares = {"train": 0.7, "val": 0.2, "test": 0.1}
    placed = split_groups(groups, shares)
    for label in range(4):
        boxes = {
            split: sum(int((s.classes == label).sum()) for group in own for s in group.samples)
            for split, own in placed.items()
        }
        for split, share in shares.items():
            assert boxes[split] / sum(boxes.values()) == pytest.approx(share, abs=0.01)
    assert split_groups(groups, shares) == placed


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three videos, split at random between train and val."""
    for index, name in enumerate(["day_1", "day_2", "rain_1", "rain_2", "night_1", "night_2"]):
        split = "val" if name.endswith("2") else "train"
        for kind in ("images", "labels"):
            (tmp_path / "set" / kind / split).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / f"set/images/{split}/{name}.png"), np.full((30, 40), 40 * index, np.uint8))
        (tmp_path / f"set/labels/{split}/{name}.txt").write_text("0 .5 .5 .25 .5\n")
    path = tmp_path / "set/data.yaml"
    path.write_text("train: images/train\nval: images/val\nnames: [cone]\n")
    return path


def test_the_command_prints_the_videos_and_writes_them_whole(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["split", str(data), str(tmp_path / "out"), "--val", "0.3", "--to", "coco"]) == 0
    printed = capsys.readouterr().out
    assert all(f"  {video}: 2 pictures" in printed for video in ("day", "rain", "night"))
    splits = load_dataset(tmp_path / "out").splits
    assert {split: len(samples) for split, samples in splits.items()} == {"train": 4, "val": 2}
    (video,) = {s.image.stem.split("_")[0] for s in splits["val"]}
    assert video not in {s.image.stem.split("_")[0] for s in splits["train"]}


REFUSED = [
    (["--by", "_"], "1 group: _: can't fill train and val without tearing one apart; group otherwise with --by"),
    (["--by-folder"], "1 group: set: can't fill train and val"),
    (["--by", "^(d|r|n)", "--test", "0.1", "--val", "0.1"], ""),
    (["--by", "(.*)_", "--val", "1.2"], "val 1.2: the shares must lie between 0 and 1"),
    (["--val", "0"], "val 0: the shares must lie between 0 and 1"),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_a_split_that_would_tear_a_video_apart_is_refused(
    data: Path, tmp_path: Path, options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["split", str(data), str(tmp_path / "out"), *options])
    assert code == (2 if expected else 0)
    assert expected in capsys.readouterr().err
    assert (tmp_path / "out").exists() == (not expected)


def test_names_that_tell_no_videos_are_not_taken_for_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index, path in enumerate(sorted((data.parent / "images").rglob("*.png"))):
        name = "qwertz"[index] * 5
        (data.parent / "labels" / path.parent.name / f"{path.stem}.txt").rename(
            data.parent / "labels" / path.parent.name / f"{name}.txt"
        )
        path.rename(path.with_name(f"{name}.png"))
    assert main(["split", str(data), str(tmp_path / "out"), "--json"]) == 2
    assert "6 groups of 6 pictures: the names tell no videos; say what does with --by REGEX" in capsys.readouterr().err
    assert main(["split", str(data), str(tmp_path / "out"), "--by", "^(.)", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["splits"]["train"]["groups"]) >= 3
