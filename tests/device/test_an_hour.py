"""An hour of serving, an update in the middle: no picture's id is lost or given twice, and memory does not grow."""

import json
import os

import pytest
from machine import Machine
from serving import DETECTOR, READER, SOCKET, install_newer, wait_serving, wait_updated

SECONDS = int(os.environ.get("UNINA_DEVICE_HOUR_S", "3600"))
SWITCH = 2
"""pictures that a switch of models may cost"""
MOST_GROWTH_KB = 4096


def resident_kb(machine: Machine) -> int:
    status = machine.read(f"/proc/{machine.show(DETECTOR, 'MainPID')['MainPID']}/status").decode()
    return int(status.split("VmRSS:")[1].split()[0])


@pytest.mark.long
def test_an_hour_without_a_lost_or_repeated_id(device: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    wait_serving(device)
    reading = device.begin(run=f"{READER} {SOCKET} watch {SECONDS}", timeout=2 * SECONDS + 300)
    device.run(f"sleep {SECONDS // 2}", SECONDS + 120)
    began = float(device.read("/proc/uptime").split()[0])
    install_newer(device)
    assert "it served well for 8" in wait_updated(device)
    ended = float(device.read("/proc/uptime").split()[0])
    memory = resident_kb(device)
    said = device.answer(reading, 2 * SECONDS + 310)
    assert said["code"] == 0, said["out"]
    seen = json.loads(said["out"])
    growth = resident_kb(device) - memory
    switch = [gap for gap in seen["gaps"] if began <= gap["uptime"] <= ended]
    with capsys.disabled():
        print(
            f"\nserved for {seen['seconds']:.0f} s, emulated: {seen['messages']} pictures, "
            f"{seen['repeated']} ids repeated, "
            f"{sum(gap['lost'] for gap in seen['gaps'])} lost ({sum(gap['lost'] for gap in switch)} of them in the "
            f"switch of models), the detector's memory {memory / 1024:.1f} MB and {growth / 1024:+.1f} after"
        )
    assert seen["repeated"] == 0
    assert [gap for gap in seen["gaps"] if gap not in switch] == []
    assert sum(gap["lost"] for gap in switch) <= SWITCH
    assert seen["seconds"] >= SECONDS and seen["messages"] > SECONDS
    assert device.show(DETECTOR, "NRestarts")["NRestarts"] == "0"
    assert growth < MOST_GROWTH_KB
