"""Malformed files of every format: each row is one fault, and its message says file, place, value and what to do."""

import base64
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from unina.data import DataError, Dataset, Sample, load_dataset
from unina.data.convert import write_dataset
from unina.data.load import read_dataset

NAMES = ("blue_cone", "yellow_cone")
BOXES = np.array([[1, 2, 11, 12], [5, 5, 30.5, 20.25]], np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Two pictures of 40×30 in train and one in val, two boxes each."""
    for name in ("a.png", "b.png", "c.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((30, 40), np.uint8))
    samples = [Sample(tmp_path / name, 40, 30, BOXES, np.array([0, 1])) for name in ("a.png", "b.png", "c.png")]
    return Dataset(tmp_path, NAMES, {"train": tuple(samples[:2]), "val": tuple(samples[2:])})


def faults(path: Path) -> list[str]:
    """The lines of the error that loading must raise, paths relative to the data set."""
    with pytest.raises(DataError) as error:
        load_dataset(path)
    return [str(fault).replace(f"{path}/", "") for fault in error.value.faults]


Table = dict[str, Any]


def annotation(**changes: object) -> Callable[[Table], None]:
    """Changes to the second annotation; None takes an entry away."""

    def change(table: Table) -> None:
        table["annotations"][1].update(changes)
        table["annotations"][1] = {k: v for k, v in table["annotations"][1].items() if v is not None}

    return change


def entry(table_name: str, index: int, /, **changes: object) -> Callable[[Table], None]:
    """Changes to an entry of another table."""
    return lambda table: table[table_name][index].update(changes)


COCO: list[tuple[str, Callable[[Table], object], str]] = [
    ("no images", lambda t: t.pop("images"), "`images` is missing; add it: a list […]"),
    ("images is a table", lambda t: t.update(images={}), "images: must be a list […]"),
    ("annotations is a text", lambda t: t.update(annotations="x"), 'annotations: "x": must be a list […]'),
    (
        "no category id",
        lambda t: t["categories"][0].pop("id"),
        "categories[0]: `id` is missing; add it: a whole number",
    ),
    ("category id twice", entry("categories", 1, id=1), "categories[1].id: 1: two categories of one id"),
    ("category twice", entry("categories", 1, name="blue_cone"), 'categories[1].name: "blue_cone": two categories of'),
    ("nameless category", entry("categories", 1, name=" "), 'categories[1].name: " ": every category needs a name'),
    (
        "a group of nothing",
        entry("categories", 1, name="a|b"),
        "a|b: a title with | means one of several classes; each",
    ),
    ("picture id is a text", entry("images", 0, id="1"), 'images[0].id: "1": must be a whole number'),
    ("picture id twice", entry("images", 1, id=1), "images[1].id: 1: two pictures of one id"),
    ("picture is gone", entry("images", 1, file_name="z.png"), 'images[1].file_name: "z.png": no such picture in '),
    ("a name with NUL", entry("images", 1, file_name="a\0"), 'images[1].file_name: "a\\u0000": no such picture in '),
    ("other size", entry("images", 1, width=80), "images[1]: 80×30: the picture is 40×30: its boxes would sit wrong"),
    ("no box", annotation(bbox=None), "annotations[1]: `bbox` is missing"),
    ("box of three", annotation(bbox=[1, 2, 3]), "annotations[1].bbox: [1, 2, 3]: 3 numbers; write 4"),
    ("box of texts", annotation(bbox=[1, 2, "3", 4]), 'annotations[1].bbox[2]: "3": is not a number'),
    ("box of truths", annotation(bbox=[1, True, 3, 4]), "annotations[1].bbox[1]: true: is not a number"),
    ("NaN", annotation(bbox=[1, 2, float("nan"), 4]), "annotations[1].bbox[2]: NaN: is no length in pixels"),
    ("huge", annotation(bbox=[1, 2, 10**400, 4]), "annotations[1].bbox[2]: Infinity: is no length in pixels"),
    ("no width", annotation(bbox=[5, 5, 0, 4]), "annotations[1].bbox: left 5, right 5: the width must be above 0"),
    (
        "negative height",
        annotation(bbox=[5, 5, 1, -4]),
        "annotations[1].bbox: top 5, bottom 1: the height must be above",
    ),
    (
        "over the edge",
        annotation(bbox=[5, 5, 36, 4]),
        "annotations[1].bbox: right 41: the box leaves the picture (0…40 px)",
    ),
    ("shares", annotation(bbox=[-0.5, 0.5, 0.1, 0.1]), "annotations[1].bbox: left -0.5: the box leaves the picture"),
    (
        "twice",
        annotation(bbox=[1, 2, 10, 10], category_id=1),
        "annotations[1].bbox: the same box as annotations[0].bbox",
    ),
    (
        "unknown category",
        annotation(category_id=9),
        "annotations[1].category_id: 9: no category of that id; there is 1, 2",
    ),
    ("unknown picture", annotation(image_id=9), "annotations[1].image_id: 9: no picture of that id in `images`"),
]


@pytest.mark.parametrize(("spoil", "expected"), [row[1:] for row in COCO], ids=[row[0] for row in COCO])
def test_a_bad_coco_json_is_named_by_its_path(data: Dataset, spoil: Callable[[Table], object], expected: str) -> None:
    folder = data.path / "coco"
    write_dataset(data, folder, "coco")
    file = folder / "annotations" / "instances_train.json"
    table = json.loads(file.read_text())
    spoil(table)
    file.write_text(json.dumps(table))
    first = faults(folder)[0].removeprefix(f"{folder}: ")
    assert first.removeprefix("annotations/instances_train.json: ").startswith(expected)


JSON = [
    ("empty", b"", "the file is empty"),
    ("cut short", b'{"images": [\n{"id": 1,', ':2: {"id": 1,: not JSON (Expecting property name'),
    ("a comma too many", b'{"images": [],}', ':1: {"images": [],}: not JSON ('),
    ("Latin-1", b'{"images":\n "\xb5"}', ":2: byte 0xb5 at 13: not UTF-8 text"),
    ("nested too deep", b"[" * 100_000, "not usable JSON (nested too deep)"),
    ("a list", b"[]", "[]: must be a table {…}"),
]


@pytest.mark.parametrize("form", ["coco", "supervisely"])
@pytest.mark.parametrize(("content", "expected"), [row[1:] for row in JSON], ids=[row[0] for row in JSON])
def test_what_is_no_json_is_named_by_line_and_byte(data: Dataset, form: str, content: bytes, expected: str) -> None:
    folder = data.path / form
    write_dataset(data, folder, form)
    file = folder / ("annotations/instances_train.json" if form == "coco" else "train/ann/b.png.json")
    file.write_bytes(content)
    (line,) = faults(folder)
    assert line.removeprefix(str(file.relative_to(folder))).lstrip(": ").startswith(expected.lstrip(": "))
    assert (":2:" in line) == expected.startswith(":2:")


def label(text: str) -> str:
    """A KITTI line whose first columns are as given."""
    return f"{text} -1 -1 -1 -1000 -1000 -1000 -10"


KITTI = [
    ("five columns", "0 .5 .5 .1 .1", "0 .5 .5 .1 .1: 5 columns; write 15: type truncated occluded alpha left top"),
    ("a word", label("blue_cone 0 3 -10 1 2 x 12"), "x: right is not a number"),
    ("a comma", label("blue_cone 0 3 -10 1,5 2 11 12"), "1,5: left is not a number"),
    ("NaN", label("blue_cone 0 3 -10 1 nan 11 12"), "top nan: is not finite"),
    ("no width", label("blue_cone 0 3 -10 11 2 11 12"), "left 11, right 11: the width must be above 0"),
    ("upside down", label("blue_cone 0 3 -10 1 12 11 2"), "top 12, bottom 2: the height must be above 0"),
    ("over the edge", label("blue_cone 0 3 -10 1 2 11 31"), "bottom 31: the box leaves the picture (0…30 px)"),
    ("outside", label("blue_cone 0 3 -10 40 2 40.05 12"), "40 2 40.05 12: the box holds no part of the picture"),
    ("unknown class", label("Car 0 3 -10 1 2 11 12"), "Car: no such class; there is blue_cone, yellow_cone"),
    ("twice", label("yellow_cone 0 3 -10 5 5 30.5 20.25"), "the same box as line 2; delete one of the two"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in KITTI], ids=[row[0] for row in KITTI])
def test_a_bad_kitti_line_is_named_by_its_number(data: Dataset, text: str, expected: str) -> None:
    folder = data.path / "kitti"
    write_dataset(data, folder, "kitti")
    file = folder / "train" / "label_2" / "b.txt"
    file.write_text(f"{file.read_text()}\n{text}\n")
    (line,) = faults(folder)
    assert line.startswith(f"train/label_2/b.txt:4: {expected}")


def rectangle(**changes: object) -> Callable[[Table], None]:
    """Changes to the second object."""
    return lambda table: table["objects"][1].update(changes)


def corners(*points: object) -> Callable[[Table], None]:
    """Other corners for the second object."""
    return rectangle(points={"exterior": list(points), "interior": []})


def mask(pixels: np.ndarray, origin: tuple[int, int] = (0, 0)) -> Table:
    """A bitmap as Supervisely writes it."""
    png = cv2.imencode(".png", pixels)[1].tobytes()
    return {"data": base64.b64encode(zlib.compress(png)).decode(), "origin": list(origin)}


def text_of(content: bytes) -> Table:
    """A bitmap of these bytes."""
    return {"data": base64.b64encode(zlib.compress(content)).decode(), "origin": [0, 0]}


ONE = np.full((4, 4), 255, np.uint8)
PNG = cv2.imencode(".png", ONE)[1].tobytes()
HUGE = PNG[:16] + (60000).to_bytes(4, "big") * 2 + PNG[24:]
SUPERVISELY: list[tuple[str, Callable[[Table], object], str]] = [
    ("no size", lambda t: t.pop("size"), "`size` is missing"),
    ("no width", lambda t: t["size"].pop("width"), "size: `width` is missing; add it: a whole number"),
    ("other size", lambda t: t["size"].update(width=80), "size: 80×30: the picture is 40×30"),
    ("no objects", lambda t: t.pop("objects"), "`objects` is missing"),
    ("no class", lambda t: t["objects"][1].pop("classTitle"), "objects[1]: `classTitle` is missing; add it: a text"),
    (
        "class not in meta",
        rectangle(classTitle="Car"),
        "objects[1].points.exterior: Car: no such class; there is blue_",
    ),
    ("a line", rectangle(geometryType="line"), 'objects[1].geometryType: "line": has no box; draw it as rectangle or'),
    ("no points", rectangle(points=None), "objects[1]: `points` is missing"),
    ("no exterior", rectangle(points={}), "objects[1].points: `exterior` is missing"),
    ("one corner", corners([1, 2]), "objects[1].points.exterior: [[1, 2]]: needs two corners"),
    ("corner of three", corners([1, 2], [3, 4, 5]), "objects[1].points.exterior[1]: [3, 4, 5]: 3 numbers; write 2"),
    ("corner of texts", corners([1, 2], [3, "4"]), 'objects[1].points.exterior[1][1]: "4": is not a number'),
    ("flat", corners([1, 2], [11, 2]), "objects[1].points.exterior: top 2, bottom 2: the height must be above 0"),
    ("over the edge", corners([-9, 2], [11, 12]), "objects[1].points.exterior: left -9: the box leaves the picture"),
    (
        "twice",
        lambda t: t["objects"].append(t["objects"][1]),
        "objects[2].points.exterior: the same box as objects[1].",
    ),
    (
        "mask no base64",
        rectangle(bitmap={"data": "?", "origin": [0, 0]}),
        'objects[1].bitmap.data: "?": is no zlib stream',
    ),
    (
        "mask no zlib",
        rectangle(bitmap={"data": "aGk=", "origin": [0, 0]}),
        'objects[1].bitmap.data: "aGk=": is no zlib',
    ),
    ("mask no PNG", rectangle(bitmap=text_of(b"hello")), "objects[1].bitmap.data: "),
    ("mask cut short", rectangle(bitmap=text_of(PNG[:40])), "objects[1].bitmap.data: "),
    (
        "mask of absurd size",
        rectangle(bitmap=text_of(HUGE)),
        "objects[1].bitmap.origin: [0, 0]: the mask covers 0 0 60000",
    ),
    ("mask empty", rectangle(bitmap=mask(0 * ONE)), "objects[1].bitmap.data: "),
    (
        "mask outside",
        rectangle(bitmap=mask(ONE, (37, 0))),
        "objects[1].bitmap.origin: [37, 0]: the mask covers 37 0 41 4",
    ),
    ("mask nowhere", rectangle(bitmap={"data": "aGk="}), "objects[1].bitmap: `origin` is missing"),
]


@pytest.mark.parametrize(("spoil", "expected"), [row[1:] for row in SUPERVISELY], ids=[row[0] for row in SUPERVISELY])
def test_a_bad_supervisely_json_is_named_by_its_path(
    data: Dataset, spoil: Callable[[Table], object], expected: str
) -> None:
    folder = data.path / "supervisely"
    write_dataset(data, folder, "supervisely")
    file = folder / "train" / "ann" / "b.png.json"
    table = json.loads(file.read_text())
    spoil(table)
    file.write_text(json.dumps(table))
    (line,) = faults(folder)
    assert line.startswith(f"train/ann/b.png.json: {expected}")
    assert line.rpartition("; ")[2] or line.rpartition(": ")[2]


ORPHANS = {
    "yolo": "labels/train/z.txt",
    "kitti": "train/label_2/z.txt",
    "supervisely": "train/ann/z.png.json",
}


@pytest.mark.parametrize("form", ORPHANS)
def test_labels_without_picture_are_a_fault_and_a_picture_without_labels_a_warning(data: Dataset, form: str) -> None:
    folder = data.path / form
    write_dataset(data, folder, form)
    orphan = folder / ORPHANS[form]
    own = orphan.with_name(orphan.name.replace("z", "a"))
    own.rename(orphan)
    reading = read_dataset(folder)
    assert [str(fault) for fault in reading.faults] == [
        f"{orphan}: labels without a picture; restore {folder / fix} or delete the labels"
        for fix in [{"yolo": "images/train/z.*", "kitti": "train/image_2/z.*", "supervisely": "train/img/z.png"}[form]]
    ]
    assert ["counts as a picture without objects" in str(warning) for warning in reading.dataset.warnings] == [True]


@pytest.mark.parametrize("form", ["yolo", "coco", "kitti", "supervisely"])
def test_a_damaged_picture_is_named_and_the_rest_is_read(data: Dataset, form: str) -> None:
    folder = data.path / form
    write_dataset(data, folder, form)
    (picture,) = (path for path in folder.rglob("b.png"))
    picture.write_bytes(picture.read_bytes()[:-30])
    reading = read_dataset(folder)
    assert [str(fault).partition(";")[0] for fault in reading.faults] == [
        f"{picture}: the PNG is truncated: its end (IEND) is missing"
    ]
    assert [sample.image.name for sample in reading.dataset.split("train")] == ["a.png"]


@pytest.mark.parametrize("form", ["yolo", "coco", "kitti", "supervisely"])
def test_a_set_without_any_box_is_refused_in_every_format(data: Dataset, form: str) -> None:
    empty = {
        split: tuple(Sample(s.image, 40, 30, s.boxes[:0], s.classes[:0]) for s in samples)
        for split, samples in data.splits.items()
    }
    path = write_dataset(Dataset(data.path, NAMES, empty), data.path / form, form).entry
    with pytest.raises(DataError, match="not one box in train, val"):
        load_dataset(path)


FOLDERS = [
    ("nothing known", ["x/y.txt"], "no data set in this folder; name a data.yaml (YOLO-txt), a COCO json, or a folder"),
    ("two jsons of one split", ["annotations/train.json", "annotations/train2.json"], "two files for the split train"),
    (
        "two KITTI trains",
        ["a/image_2/x", "a/label_2/x", "b/image_2/x", "b/label_2/x"],
        "two folders for the split train",
    ),
]


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in FOLDERS], ids=[row[0] for row in FOLDERS])
def test_a_folder_that_cannot_be_read_says_what_can(tmp_path: Path, files: list[str], expected: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("{}")
    with pytest.raises(DataError, match=r"\S") as error:
        load_dataset(tmp_path)
    assert expected in str(error.value)


def test_every_fault_of_a_set_is_collected(data: Dataset) -> None:
    folder = data.path / "kitti"
    write_dataset(data, folder, "kitti")
    for name in ("train/label_2/a.txt", "train/label_2/b.txt", "val/label_2/c.txt"):
        (folder / name).write_text(f"{label('blue_cone 0 3 -10 1 2 1 12')}\nshort\n")
    assert [line.split(": ")[0] for line in faults(folder)] == [
        "train/label_2/a.txt:2",
        "train/label_2/b.txt:2",
        "val/label_2/c.txt:2",
        "train/label_2/a.txt:1",
        "train/label_2/b.txt:1",
        "val/label_2/c.txt:1",
    ]


IGNORE = [
    ("no such class", "ignore: [red]", "data.yaml:4: ignore: red: is none of `names` (blue, yellow); mend it"),
    ("a table", "ignore: {0: blue}", "data.yaml:4: ignore: (mapping): is none of `names`"),
    ("all of them", "ignore: [blue, yellow]", "data.yaml: leaves no class to detect"),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in IGNORE], ids=[row[0] for row in IGNORE])
def test_a_bad_ignore_key_is_named_by_line(data: Dataset, text: str, expected: str) -> None:
    folder = data.path / "yolo"
    write_dataset(data, folder, "yolo")
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames: [blue, yellow]\n{text}\n")
    assert faults(folder)[0].startswith(expected)


def test_a_set_of_negatives_is_read_when_the_caller_says_that_it_is_one(data: Dataset) -> None:
    empty = {"train": tuple(Sample(s.image, 40, 30, s.boxes[:0], s.classes[:0]) for s in data.split("train"))}
    path = write_dataset(Dataset(data.path, NAMES, empty), data.path / "none", "yolo").entry
    assert [len(sample.boxes) for sample in load_dataset(path, empty=True).split("train")] == [0, 0]
    (path.parent / "labels/train/a.txt").write_text("0 .5 .5")
    with pytest.raises(DataError, match="3 columns"):
        load_dataset(path, empty=True)
