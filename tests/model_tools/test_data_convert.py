"""`unina-data convert`: the classes asked for, the whole data set or nothing, and never over its own source."""

import json
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from unina.cli.data import main
from unina.data import DataError, Dataset, Sample, load_dataset
from unina.data import convert as convert_module
from unina.data.convert import write_dataset
from unina.data.formats.naming import picture_names

REAL = Path(__file__).parents[3] / "shared" / "data" / "cones"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A YOLO-txt set of three classes; every picture holds one box of each."""
    for split in ("train", "val"):
        (tmp_path / "set/images" / split).mkdir(parents=True)
        (tmp_path / "set/labels" / split).mkdir(parents=True)
        for name in ("a", "b"):
            cv2.imwrite(str(tmp_path / f"set/images/{split}/{name}.png"), np.zeros((30, 40, 3), np.uint8))
            text = "0 .25 .5 .25 .5\n1 .5 .5 .25 .5\n2 .75 .5 .25 .5\n"
            (tmp_path / f"set/labels/{split}/{name}.txt").write_text(text)
    path = tmp_path / "set/data.yaml"
    path.write_text("train: images/train\nval: images/val\nnames: [blue, orange, unknown]\n")
    return path


def run(*arguments: object) -> int:
    """The command's exit code."""
    return main([str(argument) for argument in arguments])


def test_classes_are_renamed_joined_ignored_and_dropped(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = "blue=blue_cone,orange=orange_cone|large_orange_cone"
    assert run("convert", data, out, "--classes", words, "--ignore", "unknown") == 0
    dataset = load_dataset(out)
    assert dataset.names == ("blue_cone", "orange_cone", "large_orange_cone")
    assert dataset.labels[3:] == ("orange_cone|large_orange_cone",)
    sample = dataset.split("val")[1]
    assert sample.classes.tolist() == [0, 3]
    assert sample.ignored.tolist() == [[25, 7.5, 35, 22.5]]
    assert run("convert", data, out, "--drop", "unknown,orange", "--force") == 0
    assert load_dataset(out).names == ("blue",)
    assert not any(len(sample.ignored) for sample in load_dataset(out).split("train"))


def test_a_class_map_may_be_a_file_and_names_set_the_order(data: Path, tmp_path: Path) -> None:
    table = tmp_path / "map.yaml"
    table.write_text("blue: blue_cone\norange: orange_cone\nunknown: ignore\n")
    out = tmp_path / "out"
    assert run("convert", data, out, "--classes", table, "--names", "yellow_cone,orange_cone,blue_cone") == 0
    dataset = load_dataset(out)
    assert dataset.names == ("yellow_cone", "orange_cone", "blue_cone")
    assert dataset.split("train")[0].classes.tolist() == [2, 1]


REFUSED = [
    (["--classes", "blau=blue_cone"], "--classes: blau: no such class; there is blue, orange, unknown"),
    (["--classes", "blue"], "--classes: blue: must be `old=new`"),
    (["--classes", "none.yaml"], "none.yaml: no such file"),
    (["--drop", "red"], "--drop: red: no such class"),
    (["--drop", "blue", "--ignore", "blue"], "--ignore: blue: is to become drop already"),
    (["--names", "blue"], "orange: `orange` is none of the classes blue; map `orange` to one of them"),
    (["--drop", "blue,orange", "--ignore", "unknown"], "no class is left to detect"),
    (["--border", "-3"], "--border: -3: must be a number of pixels"),
    (["--border", "20"], "40×30: smaller than a border of 20 px on every side"),
    (["--from", "coco"], "holds no annotations/*.json"),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_what_makes_no_sense_is_refused_and_leaves_nothing(
    data: Path, tmp_path: Path, options: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = data.parent if "--from" in options else data
    assert run("convert", source, tmp_path / "out", *options) == 2
    assert expected in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_an_interruption_leaves_the_old_folder_and_nothing_else(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("x")
    assert run("convert", data, out) == 2
    assert "is not empty; name another folder, or replace it with --force" in capsys.readouterr().err
    copy = convert_module.shutil.copyfile
    calls = []

    def stop(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 3:
            raise KeyboardInterrupt
        copy(source, target)

    monkeypatch.setattr(convert_module.shutil, "copyfile", stop)
    assert run("convert", data, out, "--force") == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]
    assert [path.name for path in out.iterdir()] == ["mine"]
    monkeypatch.undo()
    assert run("convert", data, out, "--force") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "set"]
    assert sorted(path.name for path in out.iterdir()) == ["data.yaml", "images", "labels"]


def test_the_source_is_never_replaced_by_its_own_conversion(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (data.parent, tmp_path, data.parent / "images"):
        assert run("convert", data, folder, "--force", "--link") == 2
        assert "holds the source itself" in capsys.readouterr().err
    assert len(load_dataset(data).split("train")) == 2


def test_links_lead_to_the_source_and_copies_do_not_need_it(data: Path, tmp_path: Path) -> None:
    assert run("convert", data, tmp_path / "linked", "--link") == 0
    assert run("convert", data, tmp_path / "copied") == 0
    linked = load_dataset(tmp_path / "linked").split("train")[0].image
    assert linked.is_symlink()
    assert Path(os.path.realpath(linked)) == data.parent / "images/train/a.png"
    data.parent.rename(tmp_path / "moved")
    assert len(load_dataset(tmp_path / "copied").split("train")) == 2
    with pytest.raises(DataError, match="no such picture"):
        load_dataset(tmp_path / "linked")


def test_the_report_counts_what_was_written(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("convert", data, tmp_path / "out", "--to", "coco", "--ignore", "unknown", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["data"] == str(tmp_path / "out")
    assert report["classes"] == ["blue", "orange"]
    assert report["splits"]["val"] == {"pictures": 2, "boxes": 4, "ignored": 2}


def test_stats_count_groups_and_ignored_boxes(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "orange=orange|large,unknown=ignore"
    assert run("convert", data, tmp_path / "out", "--to", "kitti", "--classes", words) == 0
    capsys.readouterr()
    assert run("stats", tmp_path / "out", "--json") == 0
    counts = json.loads(capsys.readouterr().out)["train"]["counts"]
    assert counts == {
        "pictures": 2,
        "without boxes": 0,
        "boxes": 4,
        "blue": 2,
        "orange": 0,
        "large": 0,
        "orange|large": 2,
        "ignored": 2,
    }


def test_pictures_of_one_name_from_two_folders_both_survive(tmp_path: Path) -> None:
    samples = []
    for index, name in enumerate(("amz/img/1.png", "ff/img/1.png", "ff/img/2.png", "tum/IMG/1.jpg", "tum/1.png")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((30, 40), index * 9, np.uint8))
        box = np.array([[index, 0, 20, 20]], np.float32)
        samples.append(Sample(path, 40, 30, box, np.zeros(1, np.int64)))
    dataset = Dataset(tmp_path, ("cone",), {"train": tuple(samples)})
    assert picture_names(samples)[:3] == ["amz_1.png", "ff_1.png", "2.png"]
    for form in ("yolo", "coco", "kitti", "supervisely"):
        path = write_dataset(dataset, tmp_path / f"out_{form}", form).entry
        found = {(s.image.read_bytes(), float(s.boxes[0, 0])) for s in load_dataset(path).split("train")}
        assert found == {(s.image.read_bytes(), float(s.boxes[0, 0])) for s in samples}


def test_kitti_refuses_a_class_that_its_columns_cannot_hold(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("convert", data, tmp_path / "out", "--to", "kitti", "--classes", "blue=blue cone") == 2
    assert (
        "blue cone: KITTI's columns can't hold a blank in a class; rename it with --classes" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("name", "forms"), [("ignored", ("yolo", "coco", "kitti", "supervisely")), ("DontCare", ("kitti",))]
)
def test_a_class_called_as_ignored_boxes_are_is_refused_until_it_is_renamed_or_ignored(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, forms: tuple[str, ...]
) -> None:
    data.write_text(data.read_text().replace("unknown", name))
    for form in forms:
        assert run("convert", data, tmp_path / form, "--to", form) == 2
        assert f"{name}: is what ignored boxes are called; rename" in capsys.readouterr().err
        assert not (tmp_path / form).exists()
        assert run("convert", data, tmp_path / form, "--to", form, "--ignore", name) == 0
        assert load_dataset(tmp_path / form).names == ("blue", "orange")


def test_kitti_without_class_list_has_the_classes_that_occur(data: Path, tmp_path: Path) -> None:
    words = "orange=orange|large,unknown=ignore"
    assert run("convert", data, tmp_path / "out", "--to", "kitti", "--classes", words) == 0
    (tmp_path / "out" / "classes.txt").unlink()
    dataset = load_dataset(tmp_path / "out")
    assert dataset.labels == ("blue", "large", "orange", "orange|large")
    assert [len(sample.ignored) for sample in dataset.split("train")] == [1, 1]


@pytest.mark.parametrize("layout", ["official", "roboflow", "beside"])
def test_coco_pictures_are_found_where_exporters_put_them(data: Path, tmp_path: Path, layout: str) -> None:
    write_dataset(load_dataset(data), tmp_path / "out", "coco")
    out, folder = tmp_path / "out", tmp_path / "set2"
    for split, word in (("train", "train2017"), ("val", "val2017")):
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        json_file = out / "annotations" / f"instances_{split}.json"
        if layout == "official":
            json_file.rename(folder / "annotations" / f"instances_{word}.json")
            (folder / "annotations" / f"captions_{word}.json").write_text("{}")
            (out / "images" / split).rename(folder / word)
        elif layout == "roboflow":
            (out / "images" / split).rename(folder / {"val": "valid"}.get(split, split))
            json_file.rename(folder / {"val": "valid"}.get(split, split) / "_annotations.coco.json")
        else:
            json_file.rename(folder / "annotations" / f"{split}.json")
            (out / "images" / split).rename(folder / "annotations" / "images" if split == "train" else folder / split)
    dataset = load_dataset(folder)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 2, "val": 2}
    single = {"official": "annotations/instances_val2017.json", "roboflow": "valid/_annotations.coco.json"}
    if layout in single:
        assert list(load_dataset(folder / single[layout]).splits) == ["val"]


def test_a_json_of_another_tool_is_read_by_the_format_not_by_our_habits(tmp_path: Path) -> None:
    """Ids that are no row numbers, categories in no order, a crowd of a usual category, entries that nobody needs."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((30, 40), np.uint8))
    table = {
        "info": {"year": 2017},
        "categories": [{"id": 90, "name": "yellow", "supercategory": "cone"}, {"id": 7, "name": "blue"}],
        "images": [{"id": 397133, "file_name": "a.png", "license": 3}],
        "annotations": [
            {"id": 5, "image_id": 397133, "category_id": 90, "bbox": [1, 2, 10, 20], "segmentation": [[1, 2, 3, 4]]},
            {"id": 5, "image_id": 397133, "category_id": 90, "bbox": [5, 5, 20.5, 20], "iscrowd": 1},
            {"id": 9, "image_id": 397133, "category_id": 7, "bbox": [3, 3, 4, 5.25], "iscrowd": 0},
        ],
    }
    (tmp_path / "result.json").write_text(json.dumps(table))
    dataset = load_dataset(tmp_path / "result.json")
    assert dataset.names == ("blue", "yellow")
    (sample,) = dataset.split("train")
    assert sample.classes.tolist() == [1, 0]
    assert sample.boxes.tolist() == [[1, 2, 11, 22], [3, 3, 7, 8.25]]
    assert sample.ignored.tolist() == [[5, 5, 25.5, 25]]


def test_a_kitti_label_of_the_benchmark_itself_is_read(tmp_path: Path) -> None:
    """3D columns filled, DontCare, a results file's score, several classes; folders as the benchmark names them."""
    for folder in ("training/image_2", "training/label_2"):
        (tmp_path / folder).mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "training/image_2/000000.png"), np.zeros((300, 700), np.uint8))
    (tmp_path / "training/label_2/000000.txt").write_text(
        "Car 0.00 0 1.85 387.63 181.54 423.81 203.12 1.67 1.87 3.69 -16.53 2.39 58.49 1.57\n"
        "Pedestrian 0.00 0 -0.20 612.40 143.00 680.73 270.92 1.89 0.48 1.20 1.84 1.47 8.41 0.01 0.97\n"
        "DontCare -1 -1 -10 503.89 169.71 590.61 190.13 -1 -1 -1 -1000 -1000 -1000 -10\n"
    )
    dataset = load_dataset(tmp_path)
    assert dataset.names == ("Car", "Pedestrian")
    (sample,) = dataset.split("train")
    assert sample.classes.tolist() == [0, 1]
    np.testing.assert_array_equal(sample.boxes[0], np.float32([387.63, 181.54, 423.81, 203.12]))
    np.testing.assert_array_equal(sample.ignored, np.float32([[503.89, 169.71, 590.61, 190.13]]))


def test_the_hash_of_a_set_follows_its_labels_in_every_format(data: Path, tmp_path: Path) -> None:
    for form in ("yolo", "coco", "kitti", "supervisely"):
        path = write_dataset(load_dataset(data), tmp_path / form, form).entry
        before = load_dataset(path).sha256
        moved = (tmp_path / form).rename(tmp_path / f"{form}_moved")
        assert load_dataset(moved).sha256 == before
        changed = write_dataset(load_dataset(data, splits=["train"]), tmp_path / f"{form}_train", form).entry
        assert load_dataset(changed).sha256 != before
        original = load_dataset(data)
        first, *others = original.splits["train"]
        wider = replace(first, boxes=first.boxes + np.float32([0, 0, 1, 0]))
        altered = replace(original, splits=original.splits | {"train": (wider, *others)})
        assert load_dataset(write_dataset(altered, tmp_path / f"{form}_altered", form).entry).sha256 != before


@pytest.mark.parametrize("form", ["coco", "kitti", "supervisely"])
def test_real_cones_come_back_as_they_were(tmp_path: Path, form: str) -> None:
    path = REAL / "fs_feb" / "data.yaml"
    if not path.exists():
        pytest.skip(f"{path} is not here: the real pictures may not be distributed")
    assert run("convert", path, tmp_path / "out", "--to", form, "--link") == 0
    assert run("convert", tmp_path / "out", tmp_path / "back", "--to", "yolo", "--link", "--border", "0") == 0
    before, after = load_dataset(path), load_dataset(tmp_path / "back")
    assert after.names == before.names
    for split, samples in before.splits.items():
        for one, other in zip(samples, after.split(split), strict=True):
            assert one.image.name == other.image.name
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.classes, other.classes)
