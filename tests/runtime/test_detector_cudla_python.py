"""unina_runtime.Detector on the DLA: the stand-ins of NVIDIA's libraries, behind LD_LIBRARY_PATH of a process."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from standin_dla import Dla, standin_loadable
from tiny_bundle import TinyBundle

PRELUDE = """
import json, sys
import numpy as np
from unina_runtime import Detector, UninaError

bundle, loadable = sys.argv[1:]
images = [np.random.default_rng(n).integers(0, 256, (72, 128, 3), dtype=np.uint8) for n in range(7)]
"""


@pytest.fixture
def dla(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dla:
    return Dla(monkeypatch, tmp_path / "report.txt")


def run(bundle: TinyBundle, code: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since the loader reads LD_LIBRARY_PATH when a process begins."""
    loadable = standin_loadable(bundle, bundle.path.parent / "tiny.dla")
    command = [sys.executable, "-c", PRELUDE + textwrap.dedent(code), str(bundle.path), str(loadable)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def said(bundle: TinyBundle, code: str) -> Any:
    done = run(bundle, code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def clean(dla: Dla) -> dict[str, int]:
    """The calls, after a process that left nothing behind and misused nothing."""
    report = dla.report()
    assert (report.live, report.violations) == ("", "")
    return report.calls


def test_auto_takes_the_dla_and_says_why_and_finds_what_the_host_finds(bundle: TinyBundle, dla: Dla) -> None:
    code = """
    detector = Detector(bundle, dla=1, dla_loadables=loadable)
    host = Detector(bundle, "host")
    for image in images:
        found, expected = detector.detect(image), host.detect(image)
        assert len(expected) and (found.boxes == expected.boxes).all() and (found.scores == expected.scores).all()
    print(json.dumps([detector.accelerator, detector.accelerator_reason, detector.at_a_time, host.accelerator_reason]))
    """
    lacking = said(bundle, code)
    assert lacking[0] == "host" and lacking[1].startswith("runs everywhere; not cudla-hybrid: libcud")
    dla.plug_in()
    assert said(bundle, code) == ["cudla-hybrid", "a loadable for DLA core 1", 1, "asked for"]
    assert clean(dla)["cudlaSubmitTask"] == 7


@pytest.mark.parametrize("loadables", ["loadable", "[loadable, loadable]"])
def test_both_cores_answer_in_the_order_of_the_pictures(bundle: TinyBundle, dla: Dla, loadables: str) -> None:
    dla.plug_in("cudlaSubmitTask:1=delay=60;cudlaSubmitTask:4=delay=40")  # the first is overtaken
    assert said(
        bundle,
        f"""
        detector = Detector(bundle, dla="both", dla_loadables={loadables})
        host = Detector(bundle, "host")
        found = list(detector.detect_many(iter(images)))
        same = [np.array_equal(one.boxes, host.detect(image).boxes) for one, image in zip(found, images, strict=True)]
        print(json.dumps([detector.at_a_time, same]))
        """,
    ) == [2, [True] * 7]
    calls = clean(dla)
    assert (calls["cudlaCreateDevice"], calls["cudlaSubmitTask"]) == (2, 7)


def test_two_threads_compute_on_both_cores_at_the_same_time(bundle: TinyBundle, dla: Dla) -> None:
    dla.plug_in("cudlaSubmitTask:1=hang")
    done = said(
        bundle,
        """
        import ctypes, threading, time
        detector = Detector(bundle, dla="both", dla_loadables=loadable, dla_timeout_ms=60000)
        standin = ctypes.CDLL("libcudart.so.12")
        order = []
        def slow():
            detector.detect(images[0])
            order.append("slow")
        thread = threading.Thread(target=slow)
        thread.start()
        while standin.standin_calls(b"cudlaSubmitTask") < 1:
            time.sleep(0.001)
        for image in images[1:]:
            detector.detect(image)
            order.append("quick")
        standin.standin_release_hangs()
        thread.join()
        print(json.dumps(order))
        """,
    )
    assert done == ["quick"] * 6 + ["slow"]
    clean(dla)


def test_other_threads_run_while_it_detects(bundle: TinyBundle) -> None:
    """Nobody takes the GIL from a thread for 1000 s, so whoever sees it inside was let in by detect() itself."""
    code = """
    import threading, time
    detector = Detector(bundle)
    detector.detect(images[0])  # the first call imports parts of NumPy, which lets others in
    inside = False
    def work():
        global inside
        for _ in range(300):
            inside = True
            detector.detect(images[0])
            inside = False
    sys.setswitchinterval(1000)
    thread = threading.Thread(target=work)
    thread.start()
    seen = inside
    while thread.is_alive() and not seen:
        time.sleep(0)
        seen = inside
    print(json.dumps(seen))
    """
    assert said(bundle, code) is True


@pytest.mark.parametrize(
    ("faults", "code", "message"),
    [
        ("cudlaCreateDevice:1=fail", "", "cudlaCreateDevice: cudlaErrorCreationFailed (3)"),
        ("cudlaSubmitTask:2=fail", "", "cudlaSubmitTask: cudlaErrorUmd (7)"),
        ("cudlaSubmitTask:3=hang", "dla_timeout_ms=500", "has not finished a frame within 500 ms"),
        ("cudlaDeviceGetCount:*=corrupt=1", "dla=1, accelerator='cudla-hybrid'", "DLA core 1: this machine has 1"),
    ],
)
def test_what_goes_wrong_is_an_exception_with_the_line_of_the_library(
    bundle: TinyBundle, dla: Dla, faults: str, code: str, message: str
) -> None:
    dla.plug_in(faults)
    line = said(
        bundle,
        f"""
        try:
            detector = Detector(bundle, **({{"dla_loadables": loadable}} | dict({code})))
            for image in images:
                detector.detect(image)
        except UninaError as error:
            print(json.dumps(str(error)))
        """,
    )
    assert message in line and "\n" not in line
    assert dla.report().violations == ""
    if "hang" not in faults:
        assert dla.report().live == ""


def test_a_picture_that_fails_takes_its_own_place_only(bundle: TinyBundle, dla: Dla) -> None:
    dla.plug_in("cudlaSubmitTask:3=fail")
    answers = said(
        bundle,
        """
        detector = Detector(bundle, dla_loadables=loadable)
        answers = []
        for image in images:
            try:
                answers.append(len(detector.detect(image)) > 0)
            except UninaError as error:
                answers.append("cudlaErrorUmd" in str(error) and "wrong")
        print(json.dumps(answers))
        """,
    )
    assert answers == [True, True, "wrong", True, True, True, True]
    clean(dla)
