"""What unina-detector and unina-bench write: the documented lines, the same detections as in Python, drawn pictures."""

import hashlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from programs import PROGRAMS, run
from tiny_bundle import CLASSES, TinyBundle

from unina_runtime import Detector


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("b.jpg", "a.png", "c.BMP", "d.webp", "e f.jpeg"):
        cv2.imwrite(str(folder / name), rng.integers(0, 256, (72, 128, 3), dtype=np.uint8))
    (folder / "notes.txt").write_text("left alone")
    return folder


def assert_documented(line: dict[str, Any], number: int, source: str) -> None:
    """docs/bundle.md, "Detections as JSON Lines"."""
    assert list(line) == ["schema", "frame", "source", "width", "height", "latency_ms", "run", "detections"]
    assert (line["schema"], line["frame"], line["source"]) == (1, number, source)
    assert list(line["latency_ms"]) == ["read", "preprocess", "infer", "decode"]
    assert all(value >= 0 for value in line["latency_ms"].values())
    for one in line["detections"]:
        assert list(one) == ["class", "class_id", "score", "box"]
        assert one["class"] == CLASSES[one["class_id"]]
        x0, y0, x1, y1 = one["box"]
        assert 0 <= x0 < x1 <= line["width"] and 0 <= y0 < y1 <= line["height"]
    scores = [one["score"] for one in line["detections"]]
    assert scores == sorted(scores, reverse=True)


def test_lines_hold_what_python_detects_bit_for_bit(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = run("unina-detector", "--bundle", bundle.path, "--source", f"images:{frames}", "--output", out)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("unina-detector: 5 frames in ") and done.stderr.count("\n") == 1
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    names = sorted(p.name for p in frames.iterdir() if p.suffix != ".txt")
    assert len(lines) == len(names)
    detector = Detector(bundle.path)
    for number, (line, name) in enumerate(zip(lines, names, strict=True)):
        assert_documented(line, number, str(frames / name))
        if name.endswith(("jpg", "jpeg", "webp")):
            continue  # two builds of a lossy codec need not agree
        found = detector.detect(cv2.imread(str(frames / name)))
        assert len(found) > 0
        np.testing.assert_array_equal(np.float32([one["score"] for one in line["detections"]]), found.scores)
        np.testing.assert_array_equal(np.float32([one["box"] for one in line["detections"]]), found.boxes)
        assert [one["class_id"] for one in line["detections"]] == list(found.classes)


@pytest.mark.parametrize("threshold", [None, 0.005])
def test_every_line_says_what_made_it(bundle: TinyBundle, frames: Path, threshold: float | None) -> None:
    words = [] if threshold is None else ["--score-threshold", threshold]
    done = run("unina-detector", "--bundle", bundle.path, "--source", f"images:{frames}", *words)
    wanted = {
        "bundle": "tiny",
        "manifest_sha256": hashlib.sha256((bundle.path / "manifest.json").read_bytes()).hexdigest(),
        "accelerator": "host",
        "classes": list(CLASSES),
        "input": {"width": 64, "height": 32},
        "thresholds": [0.9, 0.8] if threshold is None else [threshold] * 2,
        "max_detections": 300,
    }
    assert [json.loads(line)["run"] for line in done.stdout.splitlines()] == [wanted] * 5


def test_standard_output_is_the_default(bundle: TinyBundle, frames: Path) -> None:
    done = run("unina-detector", "--bundle", bundle.path, "--source", f"images:{frames}", "--score-threshold", "1")
    assert done.returncode == 0
    assert [json.loads(line)["detections"] for line in done.stdout.splitlines()] == [[]] * 5


def test_annotated_pictures_keep_their_names_and_show_boxes(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    drawn = tmp_path / "drawn"
    arguments = ["--bundle", bundle.path, "--source", f"images:{frames}", "--annotate", drawn]
    for _ in range(2):  # the second time into a directory that is there
        assert run("unina-detector", *arguments).returncode == 0
        assert sorted(p.name for p in drawn.iterdir()) == ["a.png", "b.jpg", "c.BMP", "d.webp", "e f.jpeg"]
        (drawn / "mine.txt").write_text("stays")
        plain, picture = cv2.imread(str(frames / "a.png")), cv2.imread(str(drawn / "a.png"))
        assert picture.shape == plain.shape and (picture != plain).any()
        assert (drawn / "mine.txt").read_text() == "stays"
        (drawn / "mine.txt").unlink()
    assert not [p for p in tmp_path.iterdir() if ".tmp" in p.name]


def test_links_to_pictures_are_followed(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "1.png").symlink_to(frames / "a.png")
    done = run("unina-detector", "--bundle", bundle.path, "--source", f"images:{links}")
    assert json.loads(done.stdout)["source"] == str(links / "1.png")


def test_video(tmp_path: Path, bundle: TinyBundle) -> None:
    video = tmp_path / "drive.avi"
    writer = cv2.VideoWriter(str(video), cv2.CAP_OPENCV_MJPEG, cv2.VideoWriter.fourcc(*"MJPG"), 10, (128, 72))
    rng = np.random.default_rng(0)
    for _ in range(4):
        writer.write(rng.integers(0, 256, (72, 128, 3), dtype=np.uint8))
    writer.release()
    done = run(
        "unina-detector", "--bundle", bundle.path, "--source", f"video:{video}", "--annotate", tmp_path / "drawn"
    )
    assert done.returncode == 0, done.stderr
    for number, line in enumerate(done.stdout.splitlines()):
        assert_documented(json.loads(line), number, f"{video}#{number}")
    assert sorted(p.name for p in (tmp_path / "drawn").iterdir()) == [f"00000{i}.jpg" for i in range(4)]


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path, bundle: TinyBundle) -> None:
    frames = tmp_path / "frames"
    frames.mkdir()
    picture = cv2.imencode(".png", np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), dtype=np.uint8))[1]
    (frames / "0.png").write_bytes(picture.tobytes())
    for i in range(1, 400):
        os.link(frames / "0.png", frames / f"{i}.png")
    before = sorted(tmp_path.rglob("*"))
    outputs = ["--output", str(tmp_path / "out.jsonl"), "--annotate", str(tmp_path / "drawn")]
    command = [str(PROGRAMS / "unina-detector"), "--bundle", str(bundle.path), "--source", f"images:{frames}", *outputs]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob(".drawn.tmp-*/*")):
            assert process.poll() is None, process.communicate()[1]
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert "no file was written" in stderr and stderr.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_picture_that_fails_late_takes_everything_with_it(tmp_path: Path, bundle: TinyBundle, frames: Path) -> None:
    # Its first bytes are good, so it is found only when it is read, after pictures were drawn.
    (frames / "z.png").write_bytes((frames / "a.png").read_bytes()[:-50])
    before = sorted(tmp_path.rglob("*"))
    outputs = ["--output", tmp_path / "out.jsonl", "--annotate", tmp_path / "drawn"]
    done = run("unina-detector", "--bundle", bundle.path, "--source", f"images:{frames}", *outputs)
    assert done.returncode == 2 and "z.png" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("program", ["unina-detector", "unina-bench"])
def test_help_explains_every_option(program: str) -> None:
    done = run(program, "--help")
    assert done.returncode == 0
    for word in ("--bundle", "--source", "--threads", "--accelerator", "Exit code"):
        assert word in done.stdout
    assert run(program, "--version").stdout.strip() == "0.1.0"


def test_bench_reports_every_stage(bundle: TinyBundle, frames: Path) -> None:
    common = ["--bundle", bundle.path, "--iterations", "20"]
    report = json.loads(run("unina-bench", *common, "--size", "320x200", "--threads", "1", "--json").stdout)
    assert (report["schema"], report["iterations"], report["threads"]) == (1, 20, 1)
    assert report["source_size"] == [320, 200] and report["input_size"] == [64, 32]
    assert list(report["stages"]) == ["preprocess", "infer", "decode", "total"]
    for stage in report["stages"].values():
        assert 0 <= stage["p50_ms"] <= stage["p95_ms"] <= stage["p99_ms"]
    table = run("unina-bench", *common, "--source", f"images:{frames}").stdout
    assert "128x72 pictures into 64x32" in table
    for word in ("preprocess", "infer", "decode", "total", "p50", "p95", "p99", "frames/s"):
        assert word in table
