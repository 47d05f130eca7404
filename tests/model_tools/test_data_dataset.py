"""Data sets: what is loaded is what lies on disk, and everything that is wrong is said at once."""

import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from unina.cli.data import main
from unina.data import DataError, image_size, load_dataset, read_image

REAL = Path(__file__).parents[3] / "shared" / "data" / "cones"
YAML = "path: .\ntrain: images/train\nval: images/val\nnames: [blue, yellow]\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A good data set of two splits with two pictures each; returns its data.yaml."""
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir(parents=True)
        (tmp_path / "labels" / split).mkdir(parents=True)
        for name, (width, height) in {"a.png": (40, 30), "b.jpg": (64, 48)}.items():
            pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "images" / split / name), pixels)
            (tmp_path / "labels" / split / name).with_suffix(".txt").write_text("0 .5 .5 .5 .5\n1 .25 .5 .1 .2\n")
    path = tmp_path / "data.yaml"
    path.write_text(YAML)
    return path


def faults(path: Path) -> list[str]:
    """The lines of the error that loading must raise, paths relative to the data set."""
    with pytest.raises(DataError) as error:
        load_dataset(path)
    return [str(fault).replace(f"{path.parent}/", "") for fault in error.value.faults]


def test_boxes_are_in_pixels_of_the_picture(data: Path) -> None:
    first = load_dataset(data).split("train")[0]
    assert (first.image.name, first.width, first.height) == ("a.png", 40, 30)
    np.testing.assert_allclose(first.boxes, [[10, 7.5, 30, 22.5], [8, 12, 12, 18]], atol=1e-5)
    assert first.boxes.dtype == np.float32
    assert first.classes.tolist() == [0, 1]


def test_only_the_splits_asked_for_are_read(data: Path) -> None:
    (data.parent / "labels/val/a.txt").write_text("nonsense")
    assert list(load_dataset(data, splits=["train"]).splits) == ["train"]
    with pytest.raises(DataError, match="no such split; add `test: images/test`"):
        load_dataset(data, splits=["test"])


def test_names_may_be_a_table_and_train_a_list_file(data: Path) -> None:
    (data.parent / "train.txt").write_text("./images/train/b.jpg\n")
    data.write_text("train: train.txt\nval: [images/val]\nnames:\n  1: yellow\n  0: blue\n")
    dataset = load_dataset(data)
    assert dataset.names == ("blue", "yellow")
    assert [sample.image.name for sample in dataset.split("train")] == ["b.jpg"]
    assert len(dataset.split("val")) == 2


def test_a_picture_without_label_file_counts_as_negative_with_a_warning(data: Path) -> None:
    (data.parent / "labels/train/a.txt").unlink()
    dataset = load_dataset(data)
    assert len(dataset.split("train")[0].boxes) == 0
    assert ["counts as a picture without objects" in str(w) for w in dataset.warnings] == [True]


def test_an_empty_label_file_is_a_negative_without_a_warning(data: Path) -> None:
    (data.parent / "labels/train/a.txt").write_text("")
    dataset = load_dataset(data)
    assert len(dataset.split("train")[0].boxes) == 0
    assert not dataset.warnings


def test_the_same_picture_in_two_splits_is_a_warning(data: Path) -> None:
    data.write_text(YAML.replace("images/val", "images/train"))
    assert any("stands in train and in val" in str(w) for w in load_dataset(data).warnings)


BAD_YAML = [
    ("not YAML", "train: [\nval: x", "data.yaml:2: val: x: not YAML"),
    ("a tab", "names:\n\t- blue", "data.yaml:2: - blue: not YAML"),
    ("a list", "- train", "data.yaml:1: must hold `path`, `train`, `val` and `names`"),
    ("no names", "train: images/train\nval: images/val", "data.yaml: `names` is missing"),
    ("a gap", "train: images/train\nnames:\n  0: a\n  2: b", "data.yaml:2: names: 0, 2: the indices must be 0, 1, 2"),
    ("twins", "train: images/train\nnames: [a, a]", "data.yaml:2: names: a: two classes of one name"),
    ("wrong nc", "train: images/train\nnames: [a]\nnc: 3", "data.yaml:3: nc: 3: `names` holds 1"),
    ("no split", "names: [a]", "data.yaml: names no split; add `train: images/train`"),
    ("no folder", "train: nowhere\nnames: [a]", "data.yaml:1: train: nowhere: no such folder or list file"),
    ("a group of one", "train: images/train\nnames: [a, a|a]", "data.yaml: a|a: a title with | means one of several"),
    ("a group of strangers", "train: images/train\nnames: [a, a|b]", "data.yaml: a|b: a title with | means one of sev"),
    ("absolute folder", "train: /no/where\nnames: [a]", "data.yaml:1: train: /no/where: no such folder or list file"),
    ("no root", "path: gone\ntrain: x\nnames: [a]", "data.yaml:1: path: gone: no such folder"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in BAD_YAML], ids=[row[0] for row in BAD_YAML])
def test_a_bad_data_yaml_is_named_by_line(data: Path, text: str, expected: str) -> None:
    data.write_text(text)
    assert faults(data)[0].startswith(expected)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def no_scan(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:30])


BAD_FILES: list[tuple[str, str, Callable[[Path], object], str]] = [
    ("truncated JPEG", "images/train/b.jpg", truncate, "the JPEG is truncated: its end marker is missing"),
    ("JPEG without pixels", "images/train/b.jpg", no_scan, "the JPEG is truncated: it ends before its pixels begin"),
    ("truncated PNG", "images/train/a.png", truncate, "the PNG is truncated: its end (IEND) is missing"),
    ("PNG header only", "images/train/a.png", lambda p: p.write_bytes(p.read_bytes()[:12]), "the PNG header is cut"),
    ("empty picture", "images/train/a.png", lambda p: p.write_bytes(b""), "the file is empty"),
    (
        "no picture",
        "images/train/a.png",
        lambda p: p.write_bytes(b"hello, world"),
        "not a picture that OpenCV",
    ),
    ("orphaned labels", "labels/train/c.txt", lambda p: p.write_text(""), "labels without a picture"),
]


@pytest.mark.parametrize(("name", "spoil", "expected"), [r[1:] for r in BAD_FILES], ids=[r[0] for r in BAD_FILES])
def test_a_bad_file_is_named(data: Path, name: str, spoil: Callable[[Path], object], expected: str) -> None:
    spoil(data.parent / name)
    (line,) = faults(data)
    assert line.startswith(f"{name}: {expected}")


def test_every_fault_is_reported_at_once(data: Path) -> None:
    (data.parent / "labels/train/a.txt").write_text("9 .5 .5 .1 .1\n0 .5 .5 .1\n")
    (data.parent / "labels/val/b.txt").write_text("0 2 .5 .1 .1\n")
    truncate(data.parent / "images/val/a.png")
    assert [line.split(": ")[0] for line in faults(data)] == [
        "labels/train/a.txt:1",
        "labels/train/a.txt:2",
        "images/val/a.png",
        "labels/val/b.txt:1",
    ]


def test_a_set_without_any_box_is_refused(data: Path) -> None:
    for label in data.parent.rglob("labels/*/*.txt"):
        label.write_text("")
    assert faults(data)[0].startswith("data.yaml: not one box in train, val")


def test_an_empty_split_is_refused(data: Path) -> None:
    (data.parent / "images/none").mkdir()
    data.write_text(YAML.replace("images/val", "images/none"))
    assert faults(data) == ["data.yaml:3: val: holds no picture; add some or delete the line"]


def test_sha256_follows_every_byte_and_no_place(data: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    before = load_dataset(data).sha256
    moved = data.parent.rename(tmp_path_factory.mktemp("moved") / "set")
    assert load_dataset(moved / "data.yaml").sha256 == before
    (moved / "labels/val/b.txt").write_text("0 .5 .5 .5 .4\n")
    assert load_dataset(moved / "data.yaml").sha256 != before


def test_a_turned_jpeg_has_the_size_of_its_pixels(tmp_path: Path) -> None:
    """Exif orientation 6: a phone held upright; OpenCV turns the pixels, so the header's size must turn too."""
    path = tmp_path / "turned.jpg"
    cv2.imwrite(str(path), np.zeros((20, 50, 3), np.uint8))
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    body = b"Exif\0\0" + tiff
    plain = path.read_bytes()
    path.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:])
    assert image_size(path) == (20, 50)
    assert read_image(path).shape == (50, 20, 3)


def test_a_png_of_absurd_size_is_measured_without_being_decoded(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path = tmp_path / "huge.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IEND", b""))
    assert image_size(path) == (60000, 60000)
    with pytest.raises(DataError, match="OpenCV can't decode this picture"):
        read_image(path)


def test_validate_prints_every_fault_and_their_number(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(data)]) == 0
    assert "4 pictures, no fault" in capsys.readouterr().out
    (data.parent / "labels/train/a.txt").write_text("".join(f"7 .5 .5 .{i} .1\n" for i in range(1, 40)))
    assert main(["validate", str(data)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 40
    assert lines[-1] == "39 faults"
    assert main(["validate", str(data), "--json"]) == 1
    assert len(json.loads(capsys.readouterr().out)["faults"]) == 39


def test_validate_counts_pictures_and_warns_beside_faults(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data.parent / "labels/train/a.txt").write_text("7 .5 .5 .1 .1\n")
    (data.parent / "labels/val/a.txt").unlink()
    assert main(["validate", str(data), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert (report["pictures"], len(report["faults"]), len(report["warnings"])) == (4, 1, 1)


def test_a_reader_that_has_seen_enough_is_no_error(data: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `unina-data validate … | head -0` does
    command = [sys.executable, "-m", "unina.cli.data", "validate", str(data)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_validate_says_two_when_it_cannot_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml: no such file" in capsys.readouterr().err


def test_validate_says_two_of_a_folder_without_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path)]) == 2
    assert "no data set in this folder; name a data.yaml (YOLO-txt), a COCO json" in capsys.readouterr().err


def test_a_folder_with_a_data_yaml_stands_for_it(data: Path) -> None:
    assert load_dataset(data.parent).sha256 == load_dataset(data).sha256


def test_roboflow_s_way_out_of_the_folder_is_named_with_the_way_in(data: Path) -> None:
    data.write_text(YAML.replace("images/train", "../images/train"))
    (line,) = faults(data)
    assert line.endswith("images/train: leads out of the data set's folder; write `train: images/train`")


def test_ignored_classes_and_groups_are_taken_out_of_the_names(data: Path) -> None:
    data.write_text("train: images/train\nval: images/val\nnames: [blue, yellow, red, red|yellow]\nignore: [blue]\n")
    (data.parent / "labels/train/a.txt").write_text("0 .5 .5 .5 .5\n2 .25 .5 .1 .2\n3 .5 .5 .2 .2\n")
    dataset = load_dataset(data)
    assert (dataset.names, dataset.groups) == (("yellow", "red"), ((1, 0),))
    first = dataset.split("train")[0]
    assert first.classes.tolist() == [1, 2]
    np.testing.assert_allclose(first.ignored, [[10, 7.5, 30, 22.5]], atol=1e-5)


def test_stats_count_boxes_and_bands(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", str(data), "--json"]) == 0
    train = json.loads(capsys.readouterr().out)["train"]
    assert train["counts"] == {"pictures": 2, "without boxes": 0, "boxes": 4, "blue": 2, "yellow": 2}
    # a.png is 40 × 30, so 640 px wide its boxes are 240 and 96 px high; b.jpg has the same shape
    assert train["height_bands_at_640"]["≥ 32 px"] == 1.0
    assert train["percentiles"]["width"]["50"] == pytest.approx(0.3, abs=1e-6)
    assert main(["stats", str(data)]) == 0
    assert re.search(r"yellow +│ +2 │ +2 │", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["fs_feb", "fs_osu"])
def test_real_cones_are_read(name: str) -> None:
    path = REAL / name / "data.yaml"
    if not path.exists():
        pytest.skip(f"{path} is not here: the real pictures may not be distributed")
    boxes = {split: sum(len(s.boxes) for s in samples) for split, samples in load_dataset(path).splits.items()}
    assert boxes == {"fs_feb": {"train": 1397, "val": 436}, "fs_osu": {"train": 241}}[name]
    assert main(["validate", str(path)]) == 0
