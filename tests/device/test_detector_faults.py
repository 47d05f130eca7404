"""Whatever befalls a serving detector: systemd brings it back, or says clearly that it cannot; readers harm nobody."""

import json
from itertools import pairwise

from machine import Machine
from serving import DETECTOR, READER, SOCKET, log_of, messages, require_complete, wait_serving

DROP_IN = f"/run/systemd/system/{DETECTOR}.d"
CTL = "unina-detector ctl status --json"


def environment(machine: Machine, text: str) -> None:
    """For the detector's next start."""
    machine.run(f"mkdir -p {DROP_IN}")
    machine.write(f"{DROP_IN}/fault.conf", f'[Service]\nEnvironment="{text}"\n')
    machine.run("systemctl daemon-reload")


def restarts(machine: Machine) -> int:
    return int(machine.show(DETECTOR, "NRestarts")["NRestarts"])


def status_text(machine: Machine) -> str:
    return machine.show(DETECTOR, "StatusText")["StatusText"]


def test_a_detector_that_hangs_is_restarted_by_the_watchdog(device: Machine) -> None:
    device.run(f"kill -STOP {device.show(DETECTOR, 'MainPID')['MainPID']}")
    device.until(lambda: restarts(device) == 1, "a restart")
    assert wait_serving(device)["detections"]
    assert "Watchdog timeout" in log_of(device, DETECTOR)


def test_an_accelerator_that_answers_no_more_ends_the_detector_which_is_started_again(device: Machine) -> None:
    # Shorter than the watchdog, which ends it otherwise: the emulation's is stretched beyond that.
    device.run("sed -i 's|^dla_timeout_ms = .*|dla_timeout_ms = 4000|' /etc/unina/detector.toml")
    environment(device, "UNINA_STANDIN_FAULTS=cudlaSubmitTask:6=hang")
    device.run(f"systemctl restart {DETECTOR}")
    device.until(lambda: restarts(device) >= 1, "a restart")
    device.run(f"rm -r {DROP_IN} && systemctl daemon-reload && systemctl restart {DETECTOR}")
    assert wait_serving(device)["detections"]
    assert "status=1/FAILURE" in log_of(device, DETECTOR)


def test_ten_crashes_are_a_clear_failed_state_and_one_command_ends_it(device: Machine) -> None:
    loop = "while ! systemctl --quiet is-failed {0}; do systemctl kill -s SEGV {0}; sleep 0.2; done 2>/dev/null"
    device.run(loop.format(DETECTOR), 110)
    said = device.ask(run=f"systemctl status --no-pager {DETECTOR}", timeout=60)["out"]
    assert "Active: failed" in said and "Start request repeated too quickly." in said
    assert restarts(device) in (9, 10)
    device.run(f"systemctl reset-failed {DETECTOR} && systemctl start {DETECTOR}", 120)
    assert wait_serving(device)["detections"]


def test_a_camera_that_is_lost_is_told_and_taken_up_again_when_it_is_found(device: Machine) -> None:
    device.run("cp -r /usr/share/device/pictures /run/camera")
    device.run("sed -i 's|^source = .*|source = \"images:/run/camera?fps=2\\&loop=1\"|' /etc/unina/detector.toml")
    device.run(f"systemctl reload {DETECTOR}")
    device.until(lambda: wait_serving(device)["source"].startswith("/run/camera"), "pictures of the new camera")
    last = messages(device, 1)[0]["frame"]
    device.run("mv /run/camera /run/away")
    device.until(lambda: status_text(device).startswith("source lost: "), "a status that tells of it")
    assert device.show(DETECTOR, "ActiveState")["ActiveState"] == "active"
    assert device.code("unina-detector ctl status") == 1
    device.run("sleep 12")  # longer than the watchdog's patience
    device.run("mv /run/away /run/camera")
    assert wait_serving(device)["frame"] > last
    device.until(lambda: "fps" in status_text(device), "a status with fps")
    assert restarts(device) == 0


def test_a_clock_that_jumps_changes_nothing_but_the_time_of_day(device: Machine) -> None:
    reading = device.begin(run=f"{READER} {SOCKET} collect 24", timeout=200)
    for jump in ("+1 day", "-3 days", "+10 years"):
        device.run(f"date -s '{jump}' && sleep 2")
    found = [json.loads(line) for line in device.answer(reading, 210)["out"].splitlines()]
    require_complete(found, lost=2)
    assert all(0 < after["captured_ns"] - before["captured_ns"] < 10e9 for before, after in pairwise(found))
    realtime = [message["captured_realtime_ns"] for message in found]
    assert max(abs(after - before) for before, after in pairwise(realtime)) > 86_000e9
    assert restarts(device) == 0


def test_sigterm_under_load_ends_it_in_order(device: Machine) -> None:
    crowd = device.begin(run=f"{READER} {SOCKET} crowd 100000", timeout=200)
    device.run("sleep 2")
    device.run(f"systemctl stop {DETECTOR}")
    said = device.show(DETECTOR, "Result", "ExecMainCode", "ExecMainStatus", "ActiveState")
    assert said == {"Result": "success", "ExecMainCode": "1", "ExecMainStatus": "0", "ActiveState": "inactive"}
    device.answer(crowd, 210)
    device.run(f"systemctl start {DETECTOR}")
    assert wait_serving(device)["frame"] >= 0


def test_a_thousand_readers_that_come_and_go_cost_nobody_a_picture(device: Machine) -> None:
    reading = device.begin(run=f"{READER} {SOCKET} collect 30", timeout=200)
    said = json.loads(device.run(f"{READER} {SOCKET} crowd 1000", 200))
    assert said == {"readers": 1000, "served": 20}
    found = [json.loads(line) for line in device.answer(reading, 210)["out"].splitlines()]
    require_complete(found, lost=2)
    device.until(lambda: json.loads(device.run(CTL))["readers"] == 0, "no reader left")
    assert restarts(device) == 0


def test_a_reader_that_never_reads_is_disconnected_and_delays_nobody(device: Machine) -> None:
    deaf = [device.begin(run=f"{READER} {SOCKET} deaf 60", timeout=200) for _ in range(2)]
    require_complete(messages(device, 60), lost=2)
    for number in deaf:
        said = json.loads(device.answer(number, 210)["out"])
        assert said["disconnected"] and said["left_in_the_socket"] > 0
    assert json.loads(device.run(CTL))["readers_dropped"] == len(deaf)
