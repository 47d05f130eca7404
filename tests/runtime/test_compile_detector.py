"""From `unina-compile` to detections by the unit's own command line, on stand-ins of trtexec and NVIDIA's libraries."""

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from compile_machine import Machine, make_machine
from frame_ring import FrameRing
from programs import run
from service_process import ServiceProcess, make_frames, until
from standin_dla import Dla
from update_car import Steps

from unina_runtime import Detector

UNIT = Path(__file__).parents[2] / "runtime" / "systemd" / "detector.service.in"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def arguments(machine: Machine) -> list[str]:
    """The unit's ExecStart, behind `unina-detector serve`."""
    text = UNIT.read_text().replace("\\\n", " ").replace("@UNINA_MODEL@", str(machine.links / "detector"))
    text = text.replace("@UNINA_CONFIG@", str(machine.folder / "detector.toml")).replace("@UNINA_PLACES@", "")
    found = re.search(r"^ExecStart=\S+ serve (.*)$", text, re.MULTILINE)
    assert found
    return shlex.split(found[1])


def served(machine: Machine, sockets: Path, frames: Path) -> list[list[float]]:
    """The boxes of a picture, as the service publishes them."""
    sockets.mkdir()
    source = f"images:{frames}?fps=50&loop=1"
    with ServiceProcess(sockets, *arguments(machine), "--source", source).wait_ready() as service:
        reader = service.connect()
        message = until(
            lambda: next((m for m in service.messages(reader, 1) if m["source"].endswith("0.png")), None), "picture 0"
        )
        reader.close()
        assert service.stop() == 0
    boxes: list[list[float]] = [one["box"] for one in message["detections"]]
    return boxes


@pytest.mark.parametrize("dla", [None, "0", "1", "both"])
def test_what_was_compiled_is_what_serves(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch, dla: str | None
) -> None:
    frames = make_frames(tmp_path / "frames")
    expected = Detector(str(machine.bundle.path), accelerator="host").detect(cv2.imread(str(frames / "0.png")))
    assert len(expected.boxes) > 0
    if dla is None:
        machine.l4t(None)
    else:
        machine.detector(dla=dla)
    assert machine.good()["outcome"] == ("host" if dla is None else "compiled")
    device = Dla(monkeypatch, tmp_path / "report.txt")
    if dla is not None:
        device.plug_in()
    boxes = served(machine, tmp_path / "sockets", frames)
    np.testing.assert_allclose(np.asarray(boxes), expected.boxes, atol=0.01)
    if dla is not None:
        assert device.report().calls["cudlaModuleLoadFromMemory"] == (2 if dla == "both" else 1)


def test_the_detector_takes_a_signed_bundle(tmp_path: Path, machine: Machine) -> None:
    (machine.bundle.path / "signature").write_bytes(b"s" * 64)
    machine.l4t(None)
    machine.good()
    assert served(machine, tmp_path / "sockets", make_frames(tmp_path / "frames"))


def test_a_link_that_comes_to_point_elsewhere_is_followed_and_hardly_a_picture_is_lost(
    tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Dla(monkeypatch, tmp_path / "report.txt")
    device.plug_in()
    first = machine.good()["served"]
    source, sockets = tmp_path / "frames.ring", tmp_path / "sockets"
    sockets.mkdir()
    flags = (*arguments(machine), "--source", f"frames:{source}")
    with FrameRing(source, 72, 128) as ring, ServiceProcess(sockets, *flags) as service:
        with Steps(service, ring) as steps:
            assert service.status()["model"] == first
            machine.change_bundle(1)
            second = machine.good()["served"]
            until(lambda: service.status()["model"] == second, "the other model")
            host = machine.good("--accelerator", "host")["served"]
            until(lambda: service.status()["model"] == host, "another accelerator, by the same way")
            assert service.status()["accelerator"] == "host" and service.status()["reloads"] == 2
        assert service.stop() == 0
    assert steps.lost <= 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not what unina-compile makes: a folder with a detector.env"),
        ("UNINA_ACCELERATOR=npu\n", "detector.env: UNINA_ACCELERATOR: 'npu': this build has"),
        ("UNINA_DLA=3\n", "detector.env: UNINA_DLA: '3': expected one of 0, 1, both"),
    ],
)
def test_a_folder_that_is_no_model_is_refused_in_one_line(tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "detector.env").write_text(content)
    done = run("unina-detector", "serve", "--model", tmp_path, "--source", "images:x")
    assert done.returncode == 2 and says in done.stderr and done.stderr.count("\n") == 1, done.stderr
