"""From `unina-compile` to detections by the unit's own command line, on stand-ins of trtexec and NVIDIA's libraries."""

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from compile_machine import Machine, make_machine
from service_process import ServiceProcess, make_frames, until
from standin_dla import Dla

from unina_runtime import Detector

UNIT = Path(__file__).parents[2] / "runtime" / "systemd" / "detector.service.in"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def arguments(machine: Machine) -> list[str]:
    """The unit's ExecStart, with its variables, behind `unina-detector serve`."""
    current = machine.state / "current" / "detector"
    text = UNIT.read_text().replace("\\\n", " ").replace("@UNINA_CURRENT@", str(current))
    text = text.replace("@UNINA_CONFIG@", str(machine.folder / "detector.toml")).replace("@UNINA_PLACES@", "")
    for line in (current / "detector.env").read_text().splitlines():
        name, _, value = line.partition("=")
        text = text.replace(f"${{{name}}}", value)
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
