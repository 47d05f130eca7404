"""FSOCO: Supervisely json as the teams' tool writes it, masks, and the black frame around every picture."""

import base64
import json
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unina.cli.data import main
from unina.data import DataError, load_dataset, read_image
from unina.data.border import FSOCO_PX, find_border

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "cones" / "unlabelled_onboard" / "images"
SIZE = (320, 240)
OUTER = (SIZE[0] + 2 * FSOCO_PX, SIZE[1] + 2 * FSOCO_PX)


def framed(rng: np.random.Generator) -> np.ndarray:
    """A picture with FSOCO's frame, and a red team mark in the lower bar."""
    pixels = np.zeros((OUTER[1], OUTER[0], 3), np.uint8)
    pixels[FSOCO_PX:-FSOCO_PX, FSOCO_PX:-FSOCO_PX] = rng.integers(30, 255, (SIZE[1], SIZE[0], 3))
    pixels[-120:-40, 150:260] = (0, 0, 255)
    return pixels


def rectangle(title: str, x0: float, y0: float, x1: float, y1: float) -> dict:  # type: ignore[type-arg]
    """An object of FSOCO's bounding-box set, corners in any order, fields that nobody needs included."""
    return {
        "id": 7,
        "classId": 9993505,
        "classTitle": title,
        "geometryType": "rectangle",
        "tags": [{"name": "knocked_over", "value": None}],
        "points": {"exterior": [[x1, y0], [x0, y1]], "interior": []},
        "bitmap": None,
    }


def bitmap(title: str, mask: np.ndarray, left: int, top: int) -> dict:  # type: ignore[type-arg]
    """An object of FSOCO's segmentation set."""
    data = base64.b64encode(zlib.compress(cv2.imencode(".png", mask)[1].tobytes())).decode()
    return {"classTitle": title, "geometryType": "bitmap", "bitmap": {"data": data, "origin": [left, top]}}


def write_team(project: Path, team: str, pictures: dict, suffix: str = "png") -> None:  # type: ignore[type-arg]
    """One team's data set: name → (pixels, objects)."""
    for name, (pixels, objects) in pictures.items():
        (project / team / "img").mkdir(parents=True, exist_ok=True)
        (project / team / "ann").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(project / team / "img" / f"{name}.{suffix}"), pixels)
        size = {"height": pixels.shape[0], "width": pixels.shape[1]}
        table = {"description": "", "tags": [], "size": size, "objects": objects}
        (project / team / "ann" / f"{name}.{suffix}.json").write_text(json.dumps(table))


@pytest.fixture
def fsoco(tmp_path: Path) -> Path:
    """Two teams, a picture each; one box reaches into the frame, one lies in it."""
    rng = np.random.default_rng(0)
    cones = [
        rectangle("blue_cone", 200, 180, 220, 215),
        rectangle("unknown_cone", 300, 200, 310, 220),
        rectangle("yellow_cone", 130, 150, 150, 190),
        rectangle("yellow_cone", 20, 30, 40, 60),
    ]
    write_team(tmp_path / "fsoco", "amz", {"amz_00001": (framed(rng), cones)})
    write_team(
        tmp_path / "fsoco", "ff", {"ff_00001": (framed(rng), [rectangle("large_orange_cone", 141, 142, 160, 190)])}
    )
    return tmp_path / "fsoco"


def test_a_project_is_read_team_by_team(fsoco: Path) -> None:
    dataset = load_dataset(fsoco)
    assert dataset.names == ("blue_cone", "large_orange_cone", "unknown_cone", "yellow_cone")
    amz, ff = dataset.split("train")
    assert amz.image == fsoco / "amz" / "img" / "amz_00001.png"
    assert (amz.width, amz.height) == OUTER
    assert amz.boxes[0].tolist() == [200, 180, 220, 215]
    assert amz.classes.tolist() == [0, 2, 3, 3]
    assert ff.classes.tolist() == [1]


def test_meta_json_orders_the_classes(fsoco: Path) -> None:
    titles = ["yellow_cone", "blue_cone", "orange_cone", "large_orange_cone", "unknown_cone"]
    (fsoco / "meta.json").write_text(json.dumps({"classes": [{"title": title} for title in titles]}))
    assert load_dataset(fsoco).names == tuple(titles)
    assert load_dataset(fsoco / "amz").names == tuple(titles)  # one team's folder, the project's list


def test_conversion_cuts_the_frame_off_and_moves_the_boxes(
    fsoco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(fsoco), str(out), "--ignore", "unknown_cone"]) == 0
    said = capsys.readouterr()
    assert "amz_00001.png: 20 30 40 60: lies in the border (left out)" in said.err
    assert "train: 2 pictures, 3 boxes, 1 ignored" in said.out  # what was written, not what was read
    dataset = load_dataset(out)
    assert dataset.names == ("blue_cone", "large_orange_cone", "yellow_cone")
    amz, ff = dataset.split("train")
    assert (amz.width, amz.height) == SIZE
    assert amz.boxes.tolist() == [[60, 40, 80, 75], [0, 10, 10, 50]]
    assert amz.ignored.tolist() == [[160, 60, 170, 80]]
    assert ff.boxes.tolist() == [[1, 2, 20, 50]]
    before = read_image(fsoco / "amz" / "img" / "amz_00001.png")
    np.testing.assert_array_equal(read_image(amz.image), before[FSOCO_PX:-FSOCO_PX, FSOCO_PX:-FSOCO_PX])


def test_a_border_of_so_many_pixels_is_cut_off_anything(
    fsoco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", str(fsoco), str(tmp_path / "a"), "--border", "0"]) == 0
    assert load_dataset(tmp_path / "a").split("train")[0].width == OUTER[0]
    assert main(["convert", str(tmp_path / "a"), str(tmp_path / "b"), "--border", "100", "--link"]) == 0
    assert load_dataset(tmp_path / "b").split("train")[0].boxes[0].tolist() == [100, 80, 120, 115]
    assert main(["convert", str(tmp_path / "a"), str(tmp_path / "c"), "--border", "260"]) == 2
    assert "600×520: smaller than a border of 260 px on every side" in capsys.readouterr().err
    assert not (tmp_path / "c").exists()


def test_boxes_that_the_cut_makes_the_same_are_written_once(tmp_path: Path) -> None:
    cones = [rectangle("blue_cone", left, 150, 150, 190) for left in (120, 130, 139)]
    write_team(tmp_path / "p", "amz", {"a": (framed(np.random.default_rng(3)), cones)})
    assert main(["convert", str(tmp_path / "p"), str(tmp_path / "out")]) == 0
    assert load_dataset(tmp_path / "out").split("train")[0].boxes.tolist() == [[0, 10, 10, 50]]


def test_a_picture_without_frame_stays_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(1).integers(30, 255, (400, 400, 3), dtype=np.uint8)
    write_team(tmp_path / "p", "amz", {"a": (pixels, [rectangle("blue_cone", 20, 30, 40, 60)])})
    assert main(["convert", str(tmp_path / "p"), str(tmp_path / "out")]) == 0
    out = load_dataset(tmp_path / "out").split("train")[0]
    assert out.image.read_bytes() == (tmp_path / "p/amz/img/a.png").read_bytes()
    assert out.boxes.tolist() == [[20, 30, 40, 60]]


def test_the_frame_is_told_from_dark_pictures() -> None:
    rng = np.random.default_rng(2)
    picture = framed(rng)
    assert find_border(picture) == FSOCO_PX
    assert find_border(cv2.imdecode(cv2.imencode(".jpg", picture)[1], cv2.IMREAD_COLOR)) == FSOCO_PX
    assert find_border(np.zeros_like(picture)) == 0
    assert find_border(picture[FSOCO_PX:-FSOCO_PX, FSOCO_PX:-FSOCO_PX]) == 0
    night = picture.copy()
    night[FSOCO_PX:400, :FSOCO_PX] = 60  # dark sky above, a lit wall to the left
    assert find_border(night) == 0


@settings(deadline=None)
@given(st.data())
def test_the_box_of_a_mask_is_tight(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Against brute force over the pixels; grey, colour, and alpha masks."""
    height, width = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    left, top = data.draw(st.integers(0, 40 - width)), data.draw(st.integers(0, 30 - height))
    seed = data.draw(st.integers(0, 1000))
    mask = (np.random.default_rng(seed).random((height, width)) < 0.15).astype(np.uint8)
    mask[data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))] = 1
    kind = data.draw(st.sampled_from(["grey", "colour", "alpha"]))
    pixels = {
        "grey": mask * 255,
        "colour": np.dstack([0 * mask, mask * 200, 0 * mask]),
        "alpha": np.dstack([np.full((height, width, 3), 255, np.uint8), mask * 255]),
    }[kind]
    folder = tmp_path_factory.mktemp("mask")
    objects = [bitmap("seg_blue_cone", pixels, left, top)]
    write_team(folder, "amz", {"a": (np.zeros((30, 40, 3), np.uint8), objects)})
    points = [(left + x, top + y) for y in range(height) for x in range(width) if mask[y, x]]
    expected = [f(p[axis] for p in points) + add for f, add in ((min, 0), (max, 1)) for axis in (0, 1)]
    assert load_dataset(folder).split("train")[0].boxes.tolist() == [expected]


def test_a_polygon_and_an_old_file_name_are_read(tmp_path: Path) -> None:
    triangle = {"classTitle": "cone", "geometryType": "polygon", "points": {"exterior": [[5, 20], [10, 3], [15, 20]]}}
    write_team(tmp_path, "amz", {"a": (np.zeros((30, 40, 3), np.uint8), [triangle])})
    (tmp_path / "amz/ann/a.png.json").rename(tmp_path / "amz/ann/a.json")
    assert load_dataset(tmp_path).split("train")[0].boxes.tolist() == [[5, 3, 15, 20]]


def test_folders_named_train_and_val_are_splits(fsoco: Path) -> None:
    (fsoco / "val").mkdir()
    (fsoco / "ff").rename(fsoco / "val" / "ff")
    assert {split: len(samples) for split, samples in load_dataset(fsoco).splits.items()} == {"train": 1, "val": 1}


def test_teams_are_split_whole(fsoco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", str(fsoco), str(tmp_path / "out"), "--by-folder", "--val", "0.5", "--json"]) == 0
    splits = json.loads(capsys.readouterr().out)["splits"]
    assert {name for split in splits.values() for name in split["groups"]} == {"amz", "ff"}


def test_a_faulty_object_can_be_left_out(fsoco: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = fsoco / "amz" / "ann" / "amz_00001.png.json"
    table = json.loads(file.read_text())
    table["objects"].append(rectangle("blue_cone", 50, 50, 50, 60))
    file.write_text(json.dumps(table))
    arguments = ["convert", str(fsoco), str(tmp_path / "out"), "--border", "0"]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert "amz_00001.png.json: objects[4].points.exterior: left 50, right 50: the width must be above 0" in error
    assert "--skip-faults" in error
    assert main([*arguments, "--skip-faults"]) == 0
    assert "objects[4].points.exterior" in capsys.readouterr().err
    assert len(load_dataset(tmp_path / "out").split("train")[0].boxes) == 4


def test_fsoco_s_own_pictures_have_the_frame_and_no_others_do() -> None:
    if not SAMPLES.is_dir():
        pytest.skip(f"{SAMPLES} is not here: the real pictures may not be distributed")
    found = {path.name: find_border(read_image(path)) for path in sorted((SAMPLES / "fsoco_samples").iterdir())}
    assert list(found.values()) == [FSOCO_PX] * 10, found
    assert not any(find_border(read_image(path)) for path in sorted((SAMPLES / "calib").iterdir())[::8])


def test_a_format_that_the_path_does_not_show_must_be_right(fsoco: Path) -> None:
    with pytest.raises(DataError, match="holds no image_2/ beside label_2/"):
        load_dataset(fsoco, form="kitti")
