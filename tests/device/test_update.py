"""A newer model is tried out beside what serves, kept if healthy, taken back if not; hostile ones never run."""

import json

from machine import Machine, SwitchOn
from serving import (
    COMPILER,
    DETECTOR,
    READER,
    SOCKET,
    install_newer,
    log_of,
    messages,
    new_bundle,
    order,
    refused,
    require_complete,
    wait_serving,
    wait_updated,
)

SERVED = "readlink -f /run/unina-compile/detector"
ACCEPTED = "readlink -f /var/lib/unina/loadables/current/detector"


def test_a_newer_model_is_taken_over_without_losing_more_than_two_pictures(
    device: Machine, switch_on: SwitchOn
) -> None:
    before = device.run(SERVED)
    reading = device.begin(run=f"{READER} {SOCKET} collect 90", timeout=400)
    install_newer(device)
    assert "it served well for 8" in wait_updated(device)
    found = [json.loads(line) for line in device.answer(reading, 410)["out"].splitlines()]
    assert len(found) == 90
    require_complete(found, lost=2)
    after = device.run(SERVED)
    assert after != before and device.run(ACCEPTED) == after
    assert device.show(DETECTOR, "NRestarts")["NRestarts"] == "0"

    device.cut()  # and the next boot serves it, without compiling
    again = switch_on(device.data, "after-update").wait_agent()
    assert wait_serving(again)["detections"]
    assert again.run(SERVED) == after
    assert "already compiled" in log_of(again, COMPILER)


def test_a_model_with_which_the_detector_crashes_is_taken_back(device: Machine) -> None:
    before = device.run(SERVED)
    install_newer(device)
    device.until(lambda: "unina-compile: trying " in device.journal, "the trial")
    device.until(lambda: device.run(SERVED) != before, "the new model")
    device.run(f"sleep 2; systemctl kill -s SEGV {DETECTOR}")
    assert "the detector ended with it" in wait_updated(device)
    assert wait_serving(device)["detections"]
    assert device.run(SERVED) == device.run(ACCEPTED) == before


def test_a_model_with_which_hardly_a_picture_is_published_is_taken_back(device: Machine) -> None:
    before = device.run(SERVED)
    device.run("sed -i 's/^starve_s = .*/starve_s = 5/' /etc/unina/compile.toml")
    order(device, task_ms=9000)  # less than dla_timeout_ms: nothing fails, and next to nothing comes
    install_newer(device)
    assert "no picture was published for " in wait_updated(device)
    assert wait_serving(device)["detections"]
    assert device.run(SERVED) == device.run(ACCEPTED) == before
    assert device.show(DETECTOR, "NRestarts")["NRestarts"] == "0"


def test_a_model_that_is_blind_to_its_own_picture_is_never_offered(device: Machine) -> None:
    before = device.run(SERVED)
    install_newer(device, kind="blind")
    assert "self-test: finds 0 of" in wait_updated(device)
    assert device.run(SERVED) == before
    assert "trying" not in log_of(device, "unina-update")
    assert messages(device, 1)[0]["detections"]


HOSTILE = {
    "wrong_hash": "SHA-256",
    "extra_file": "run.sh",
    "link": "labels.txt",
    "outside": "etc/passwd",
    "sparse": "model.onnx",
    "sparse_manifest": "too much",
    "weights_elsewhere": "other files",
}


def test_hostile_bundles_are_refused_in_one_line_and_the_old_model_serves_on(device: Machine) -> None:
    before = device.run(SERVED), device.run("ls -l /var/lib/unina/bundles")
    for kind, words in HOSTILE.items():
        assert words in refused(device, new_bundle(device, kind, kind)), kind
    device.run("cd /run && tar -cf hostile.unina -C /usr/share/unina/bundles .")
    refused(device, "/run/hostile.unina")
    assert (device.run(SERVED), device.run("ls -l /var/lib/unina/bundles")) == before
    assert messages(device, 1)[0]["detections"]
    assert device.show(DETECTOR, "NRestarts")["NRestarts"] == "0"
