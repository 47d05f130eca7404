"""Synthetic scenes: boxes distributed as real ones, boxes that fit the painted cones, the same bytes every time."""

import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from unina.cli.data import main
from unina.data import DataError, load_dataset
from unina.data.scenes import props, real_boxes
from unina.data.scenes.camera import Camera
from unina.data.scenes.cones import BLUE, LARGE_ORANGE, NAMES, SHAPES, YELLOW, Cone
from unina.data.scenes.layout import MIN_HEIGHT_PX, NEGATIVE_SHARE, finish, silhouette_box
from unina.data.scenes.light import sample_light
from unina.data.scenes.overlay import paint_overlay
from unina.data.scenes.own_car import NOTHING, OwnCar
from unina.data.scenes.paint_cones import BATCH, cast, paint_cone, sample_look
from unina.data.scenes.render import render_scene, scene_layout
from unina.data.synthesize import synthesize

WIDTH, HEIGHT = 1280, 720
Array = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def layouts() -> list[tuple[Array, npt.NDArray[np.int64]]]:
    """Boxes (relative) and classes of 1500 scenes; no pixel is drawn."""
    scenes = [scene_layout(0, 0, index, WIDTH, HEIGHT) for index in range(1500)]
    return [(scene.boxes / (WIDTH, HEIGHT, WIDTH, HEIGHT), scene.classes) for scene in scenes]


@pytest.mark.parametrize("what", ["width", "height", "centre y"])
def test_boxes_are_distributed_as_real_ones(layouts: list[tuple[Array, npt.NDArray[np.int64]]], what: str) -> None:
    x0, y0, x1, y1 = np.concatenate([boxes for boxes, _ in layouts]).T
    values, real = {
        "width": (x1 - x0, real_boxes.WIDTH),
        "height": (y1 - y0, real_boxes.HEIGHT),
        "centre y": ((y0 + y1) / 2, real_boxes.CENTRE_Y),
    }[what]
    np.testing.assert_allclose(np.percentile(values, real_boxes.PERCENTILES) / np.array(real), 1.0, atol=0.25)


def test_pictures_hold_as_many_cones_as_real_ones(layouts: list[tuple[Array, npt.NDArray[np.int64]]]) -> None:
    counts = [len(boxes) for boxes, _ in layouts if len(boxes)]
    synthetic = np.percentile(counts, real_boxes.PERCENTILES)
    np.testing.assert_allclose(synthetic, real_boxes.BOXES_PER_PICTURE, rtol=0.35, atol=1)
    assert 1 - len(counts) / len(layouts) == pytest.approx(NEGATIVE_SHARE, abs=0.03)


def test_every_class_is_common_enough_to_learn(layouts: list[tuple[Array, npt.NDArray[np.int64]]]) -> None:
    shares = np.bincount(np.concatenate([classes for _, classes in layouts]), minlength=4) / sum(
        len(classes) for _, classes in layouts
    )
    assert shares.min() > 0.05
    assert shares.max() < 0.5


def test_boxes_lie_in_the_picture_and_are_not_specks(layouts: list[tuple[Array, npt.NDArray[np.int64]]]) -> None:
    boxes = np.concatenate([boxes for boxes, _ in layouts])
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert ((boxes[:, 3] - boxes[:, 1]) * HEIGHT).min() >= MIN_HEIGHT_PX


def camera(**changes: float) -> Camera:
    values = {"focal_px": 1000.0, "mount_m": 0.8, "pitch": 0.1, "roll": 0.0} | changes
    return Camera(WIDTH, HEIGHT, **values)


@pytest.mark.parametrize("kind", range(4), ids=NAMES)
def test_a_cone_has_its_size_in_metres(kind: int) -> None:
    """Ten metres ahead, level camera at half the cone's height: size in pixels is focal × metres / distance."""
    shape = SHAPES[kind]
    box = silhouette_box(camera(pitch=0.0, mount_m=shape.height / 2), Cone(kind, 0.0, 10.0, 0.0))
    assert box is not None
    widest = 10.0 - 0.8 * shape.base / 2  # where the plate's cut corners begin
    assert box[2] - box[0] == pytest.approx(1000 * shape.base / widest, rel=0.001)
    assert box[3] - box[1] == pytest.approx(1000 * shape.height / 10.0, rel=0.02)


def test_pixels_of_the_ground_lead_back_to_the_ground() -> None:
    view = camera(roll=0.05)
    points = np.array([(0.0, 3.0), (-2.0, 8.0), (4.0, 30.0)])
    pixels, _ = view.project(np.column_stack([points, np.zeros(3)]))
    np.testing.assert_allclose(view.on_ground(pixels), points, atol=1e-9)
    homogeneous = np.column_stack([points, np.ones(3)]) @ view.ground_homography().T
    np.testing.assert_allclose(homogeneous[:, :2] / homogeneous[:, 2:], pixels, atol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_the_box_fits_what_the_rays_hit(seed: int) -> None:
    """Two ways to the same silhouette: projected outline points, and rays cast against the solid."""
    rng = np.random.default_rng(seed)
    view = camera(pitch=rng.uniform(0, 0.4), roll=rng.normal(0, 0.05), mount_m=rng.uniform(0.4, 2.5))
    place = (rng.uniform(-0.8, 0.8), rng.uniform(2.5, 6), rng.uniform(0, 6))
    cone = Cone(int(rng.integers(0, 4)), *place, fallen=seed % 3 == 0)
    box = silhouette_box(view, cone)
    assert box is not None
    u = np.arange(np.floor(box[0]) - 4, np.ceil(box[2]) + 4, 0.25)
    v = np.arange(np.floor(box[1]) - 4, np.ceil(box[3]) + 4, 0.25)
    hit = cast(view, cone, np.stack(np.meshgrid(u, v), axis=-1)).part > 0
    columns, rows = u[hit.any(axis=0)], v[hit.any(axis=1)]
    np.testing.assert_allclose([columns.min(), rows.min(), columns.max(), rows.max()], box, atol=0.4)


def test_painted_pixels_fill_the_box() -> None:
    view = camera()
    cone = Cone(YELLOW, 0.3, 4.0, 0.4)
    rng = np.random.default_rng(0)
    canvas = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
    paint_cone(canvas, view, cone, sample_look(rng, YELLOW, cone.shape, np.zeros(BATCH)), sample_light(rng, 0.15))
    changed = np.abs(canvas.astype(int) - 90).max(axis=2) > 4
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    layout = finish(view, NOTHING, [cone])
    np.testing.assert_allclose([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], layout.boxes[0], atol=1.5)


def test_a_hidden_cone_has_no_label_and_a_half_hidden_one_the_box_of_what_is_seen() -> None:
    view = camera(pitch=0.0, mount_m=0.3)
    front, hidden = Cone(LARGE_ORANGE, 0.0, 3.0, 0.0), Cone(BLUE, 0.0, 5.0, 0.0)
    assert finish(view, NOTHING, [front, hidden]).classes.tolist() == [LARGE_ORANGE]
    alone = finish(view, NOTHING, [hidden]).boxes[0]
    middle = round(float(alone[0] + alone[2]) / 2)
    curtain = np.array([(0, 0), (middle, 0), (middle, HEIGHT), (0, HEIGHT)], dtype=np.int32)
    seen = finish(view, OwnCar(curtain, (), ()), [hidden])
    np.testing.assert_allclose(seen.boxes[0], [middle, alone[1], alone[2], alone[3]], atol=1.6)


def test_a_thing_before_a_cone_takes_its_pixels_and_one_behind_does_not() -> None:
    view = camera(pitch=0.0)
    cone = Cone(BLUE, 0.0, 6.0, 0.0)
    alone = finish(view, NOTHING, [cone]).boxes[0]
    size = (props.TILE_PX, props.TILE_PX)
    tile = props.Tile(np.zeros((*size, 3), dtype=np.uint8), np.full(size, 255, dtype=np.uint8), 1.0)
    before, behind = props.Prop(tile, 0.5, 5.5, False), props.Prop(tile, 0.5, 6.5, False)
    (seen,) = finish(view, NOTHING, [cone], (before,)).boxes
    edge = props.prop_box(view, tile, 0.5, 5.5)[0]
    np.testing.assert_allclose(seen, [alone[0], alone[1], edge, alone[3]], atol=1.6)
    np.testing.assert_array_equal(finish(view, NOTHING, [cone], (behind,)).boxes[0], alone)


def test_writing_over_the_picture_leaves_the_cones_alone() -> None:
    boxes = np.array([[20.0, 300, 60, 359], [500, 0, 540, 40], [200, 320, 420, 360]])
    drawn = np.zeros((360, 640, 3), dtype=np.uint8)
    for seed in range(60):
        canvas = np.full((360, 640, 3), 77, dtype=np.uint8)
        paint_overlay(canvas, boxes, np.random.default_rng(seed))
        drawn |= canvas ^ 77
    assert drawn.any()
    for x0, y0, x1, y1 in boxes.astype(int):
        assert not drawn[y0:y1, x0:x1].any()


def test_photographs_stand_above_the_horizon_and_move_no_box(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "pink.png"), np.full((300, 500, 3), (200, 40, 240), dtype=np.uint8))
    changed = 0
    for index in range(12):
        plain = render_scene(4, 0, index, 320, 180)
        photographed = render_scene(4, 0, index, 320, 180, (tmp_path / "pink.png",))
        np.testing.assert_array_equal(plain.layout.boxes, photographed.layout.boxes)
        changed += bool((plain.pixels != photographed.pixels).any())
    assert 0 < changed < 12


def test_a_folder_without_photographs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    words = ["synthesize", "--output", str(tmp_path / "set"), "--train", "1", "--val", "0"]
    assert main([*words, "--backdrops", str(tmp_path / "none")]) == 2
    assert "none: holds no picture" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_the_command_takes_photographs_as_backdrops(tmp_path: Path) -> None:
    (tmp_path / "photographs").mkdir()
    cv2.imwrite(str(tmp_path / "photographs" / "pink.png"), np.full((300, 500, 3), (200, 40, 240), dtype=np.uint8))
    small = ["--train", "12", "--val", "0", "--width", "128", "--height", "96", "--workers", "1", "--seed", "4"]
    assert main(["synthesize", "--output", str(tmp_path / "plain"), *small]) == 0
    photographs = ["--backdrops", str(tmp_path / "photographs")]
    assert main(["synthesize", "--output", str(tmp_path / "photographed"), *small, *photographs]) == 0
    plain, photographed = (sorted((tmp_path / name).rglob("*.jpg")) for name in ("plain", "photographed"))
    changed = sum(a.read_bytes() != b.read_bytes() for a, b in zip(plain, photographed, strict=True))
    assert 0 < changed < 12


def test_a_cone_at_the_edge_is_clipped_to_the_picture() -> None:
    view = camera(pitch=0.0)
    edge = 640 / 1000 * 5.0
    (box,) = finish(view, NOTHING, [Cone(BLUE, edge, 5.0, 0.0)]).boxes
    assert box[2] == WIDTH
    assert not len(finish(view, NOTHING, [Cone(BLUE, edge + 0.15, 5.0, 0.0)]).boxes)


def test_rendered_pictures_have_the_boxes_of_their_geometry() -> None:
    picture = render_scene(3, 1, 5, 640, 360)
    layout = scene_layout(3, 1, 5, 640, 360)
    assert picture.pixels.shape == (360, 640, 3)
    np.testing.assert_array_equal(picture.layout.boxes, layout.boxes)
    np.testing.assert_array_equal(picture.layout.classes, layout.classes)


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def test_same_seed_same_bytes_whatever_the_number_of_workers(tmp_path: Path) -> None:
    sizes = {"train": 5, "val": 2, "width": 320, "height": 180}
    one = synthesize(tmp_path / "one", **sizes, workers=1).parent
    two = synthesize(tmp_path / "two", **sizes, workers=2).parent
    other = synthesize(tmp_path / "other", **sizes, workers=1, seed=1).parent
    assert digest(one) == digest(two)
    assert digest(one).keys() == digest(other).keys()
    assert digest(one)["images/train/scene_000000.jpg"] != digest(other)["images/train/scene_000000.jpg"]
    assert digest(one)["images/train/scene_000000.jpg"] != digest(one)["images/val/scene_000000.jpg"]


def test_a_synthetic_set_passes_its_own_checks_and_holds_the_drawn_boxes(tmp_path: Path) -> None:
    path = synthesize(tmp_path / "set", train=4, val=2, width=640, height=360, workers=1)
    dataset = load_dataset(path)
    assert dataset.names == NAMES
    assert not dataset.warnings
    for index, sample in enumerate(dataset.split("train")):
        layout = scene_layout(0, 0, index, 640, 360)
        np.testing.assert_allclose(sample.boxes, layout.boxes, atol=1e-3)
        assert sample.classes.tolist() == layout.classes.tolist()


def test_a_folder_that_is_not_empty_is_kept_unless_forced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "precious").write_text("x")
    small = ["--train", "1", "--val", "1", "--width", "128", "--height", "96", "--workers", "1"]
    assert main(["synthesize", "--output", str(tmp_path / "set"), *small]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert (tmp_path / "set" / "precious").exists()
    assert main(["synthesize", "--output", str(tmp_path / "set"), *small, "--force"]) == 0
    assert not (tmp_path / "set" / "precious").exists()


@pytest.mark.parametrize("bad", [{"train": -1}, {"train": 0, "val": 0}, {"width": 10}, {"workers": 0}], ids=json.dumps)
def test_senseless_arguments_are_refused(tmp_path: Path, bad: dict[str, int]) -> None:
    with pytest.raises(DataError):
        synthesize(tmp_path / "set", **bad)
    assert not list(tmp_path.iterdir())


def test_stopping_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "unina.cli.data", "synthesize", "--output", str(tmp_path / "set")]
    process = subprocess.Popen(
        [*command, "--train", "100000", "--width", "320", "--height", "180"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"stopped; nothing was written" in error
    assert b"Traceback" not in error
    assert not list(tmp_path.iterdir())


def test_jpeg_keeps_the_cones_colours(tmp_path: Path) -> None:
    """The colour is the class: blue bodies stay blue, yellow ones yellow, through the camera's faults and JPEG."""
    right = {BLUE: 0, YELLOW: 0}
    seen = {BLUE: 0, YELLOW: 0}
    for index in range(24):
        picture = render_scene(11, 0, index, WIDTH, HEIGHT)
        _, data = cv2.imencode(".jpg", picture.pixels, [cv2.IMWRITE_JPEG_QUALITY, picture.jpeg_quality])
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert pixels is not None
        for box, kind in zip(picture.layout.boxes, picture.layout.classes, strict=True):
            x0, y0, x1, y1 = box
            if kind not in seen or y1 - y0 < 40 or x0 <= 0 or x1 >= WIDTH or y1 >= HEIGHT:
                continue
            rows = slice(int(y0 + 0.72 * (y1 - y0)), int(y0 + 0.86 * (y1 - y0)))  # below the stripe
            columns = slice(int(x0 + 0.4 * (x1 - x0)), int(x0 + 0.6 * (x1 - x0)))
            middle = pixels[rows, columns]
            blue, _, red = middle.reshape(-1, 3).mean(axis=0)
            seen[int(kind)] += 1
            right[int(kind)] += bool(blue > red) == (kind == BLUE)
    assert min(seen.values()) > 8
    assert all(right[kind] >= 0.9 * seen[kind] for kind in seen)
