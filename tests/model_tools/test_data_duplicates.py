"""Duplicates: copies are found however they were saved, other pictures are not, splits that share them are named."""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from unina.cli.data import main
from unina.data import Dataset, load_dataset
from unina.data.duplicates import BITS, DISTANCE, close_pairs, find_duplicates, perceptual_hashes

REAL = Path(__file__).parents[3] / "shared" / "data" / "cones"


def scene(seed: int) -> np.ndarray:
    """A plain sky over a blotched ground: as little structure as a track picture may have."""
    rng = np.random.default_rng(seed)
    ground = cv2.resize(rng.integers(40, 200, (6, 16, 3)).astype(np.float32), (640, 360), interpolation=cv2.INTER_CUBIC)
    ground[: rng.integers(60, 140)] = rng.integers(120, 240, 3)
    return np.clip(ground + rng.normal(0, 3, ground.shape), 0, 255).astype(np.uint8)


SCENES = {index: scene(index) for index in range(5)}


def real(name: str) -> Dataset:
    """A real data set; skips the test where it is not here."""
    path = REAL / name / "data.yaml"
    if not path.exists():
        pytest.skip(f"{path} is not here: the real pictures may not be distributed")
    return load_dataset(path)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three scenes in train, two others in val, all as JPEG."""
    for split, indices in (("train", (0, 1, 2)), ("val", (3, 4))):
        for kind in ("images", "labels"):
            (tmp_path / kind / split).mkdir(parents=True)
        for index in indices:
            cv2.imwrite(str(tmp_path / f"images/{split}/{index}.jpg"), SCENES[index])
            (tmp_path / f"labels/{split}/{index}.txt").write_text("0 .5 .5 .1 .1\n")
    path = tmp_path / "data.yaml"
    path.write_text("train: images/train\nval: images/val\nnames: [cone]\n")
    return path


ALTERED = {
    "the same file": lambda p: p,
    "JPEG at quality 30": lambda p: cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], 1),
    "half the size": lambda p: cv2.resize(p, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "square, as some exports stretch": lambda p: cv2.resize(p, (416, 416)),
    "brighter": lambda p: np.clip(p * 1.15 + 10, 0, 255).astype(np.uint8),
    "noise": lambda p: np.clip(p + np.random.default_rng(0).normal(0, 8, p.shape), 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_copy_in_another_split_is_found_and_the_answer_is_no(
    data: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["duplicates", str(data)]) == 0
    assert capsys.readouterr().out == "0 across splits, 0 inside one\n"
    cv2.imwrite(str(data.parent / "images/val/copy.png"), ALTERED[name](SCENES[1]))
    (data.parent / "labels/val/copy.txt").write_text("")
    assert main(["duplicates", str(data), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["across"], report["within"]) == (1, 0)
    (pair,) = report["pairs"]
    assert [Path(picture).name for picture in pair["pictures"]] == ["1.jpg", "copy.png"]
    assert pair["splits"] == ["train", "val"]
    assert pair["distance"] <= DISTANCE


def test_a_copy_inside_a_split_is_told_but_no_fault(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(data.parent / "images/train/copy.png"), SCENES[1])
    (data.parent / "labels/train/copy.txt").write_text("")
    assert main(["duplicates", str(data)]) == 0
    out = capsys.readouterr().out
    assert "bits: train" in out
    assert "1.jpg = train" in out
    assert out.endswith("0 across splits, 1 inside one\n")


def test_validate_warns_of_them_when_asked(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(data.parent / "images/val/copy.png"), SCENES[2])
    (data.parent / "labels/val/copy.txt").write_text("")
    assert main(["validate", str(data)]) == 0
    assert "looks like" not in capsys.readouterr().out
    assert main(["validate", str(data), "--duplicates"]) == 0
    expected = r"images/train/2\.jpg: train: looks like \S+/val/copy\.png of val \(\d bits apart\): .* \(warning\)\n"
    assert re.search(expected, capsys.readouterr().out)


def test_two_data_sets_are_compared_as_one(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    (other / "images").mkdir(parents=True)
    cv2.imwrite(str(other / "images/x.png"), cv2.resize(SCENES[3], (320, 180), interpolation=cv2.INTER_AREA))
    (other / "data.yaml").write_text("train: images\nnames: [cone]\n")
    (other / "labels").mkdir()
    (other / "labels/x.txt").write_text("0 .5 .5 .1 .1\n")
    assert main(["duplicates", str(data), str(other), "--json"]) == 1
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    assert pair["splits"][1] == "other:train"
    assert [Path(picture).name for picture in pair["pictures"]] == ["3.jpg", "x.png"]


def test_two_data_sets_in_folders_of_one_name_are_two(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for parent in ("yours", "mine"):
        for name in ("images", "labels"):
            shutil.copytree(data.parent / name / "train", tmp_path / parent / "cones" / name)
        (tmp_path / parent / "cones" / "data.yaml").write_text("train: images\nnames: [cone]\n")
    places = [str(tmp_path / parent / "cones") for parent in ("yours", "mine")]
    assert main(["duplicates", *places, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["across"], report["within"]) == (3, 0)
    assert report["pairs"][0]["splits"] == ["cones#1:train", "cones#2:train"]


def test_noise_on_a_plain_ground_decides_nothing() -> None:
    plain = [
        np.clip(np.random.default_rng(seed).normal(180, 5, (360, 640)), 0, 255).astype(np.uint8) for seed in (0, 1)
    ]
    first, second = (perceptual_hashes(grey)[0] for grey in plain)
    assert first.tolist() == second.tolist() == [-1.0] * BITS


def test_a_mirrored_picture_is_another_one() -> None:
    grey = cv2.cvtColor(SCENES[0], cv2.COLOR_BGR2GRAY)
    hashes = np.stack([perceptual_hashes(grey), perceptual_hashes(np.ascontiguousarray(grey[:, ::-1]))])
    assert close_pairs(hashes, DISTANCE) == []


@pytest.mark.parametrize("block", [7, 1024])
def test_the_quick_search_finds_what_brute_force_finds(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unina.data.duplicates.BLOCK", block)
    rng = np.random.default_rng(0)
    centres = rng.choice([-1.0, 1.0], (9, 2, BITS))
    hashes = np.concatenate([np.where(rng.random((9, 2, BITS)) < rate, -1, 1) * centres for rate in (0, 0.05, 0.2)])
    apart = (hashes[:, None] != hashes[None]).sum(axis=3).max(axis=2)
    expected = {(i, j, int(apart[i, j])) for i in range(27) for j in range(i + 1, 27) if apart[i, j] <= 12}
    assert len(expected) > 9
    assert set(close_pairs(hashes.astype(np.float32), 12)) == expected


def test_a_distance_without_meaning_is_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["duplicates", str(data), "--distance", "65"]) == 2
    assert "--distance: 65: must lie in 0…32 bits" in capsys.readouterr().err


def test_the_real_validation_set_shares_no_picture_with_training() -> None:
    pairs = find_duplicates([real("fs_feb")])
    assert not [pair for pair in pairs if pair.across]
    found = {picture.image.name.split("_")[0] for pair in pairs for picture in (pair.first, pair.second)}
    assert found == {"onboard"}  # neighbouring frames of the on-board video, all in train


def test_two_real_sets_of_one_video_are_caught() -> None:
    """fs_osu and the rain pictures of fs_feb are stills of one video; two pairs are of the same second."""
    pairs = [pair for pair in find_duplicates([real("fs_feb"), real("fs_osu")], distance=15) if pair.across]
    assert [pair.distance for pair in pairs] == [7, 11]
    assert {pair.first.image.name.split("_")[0] for pair in pairs} == {"rain"}
    assert {pair.second.split for pair in pairs} == {"fs_osu:train"}
