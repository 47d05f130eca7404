"""Two instances of the units, each with its own camera and core of the DLA: one crash takes down one."""

import json

from machine import Machine
from serving import DETECTOR, READER, require_complete, wait_serving

INSTANCES = {"front": 0, "rear": 1}


def socket_of(name: str) -> str:
    return f"/run/unina-detector-{name}/detections.sock"


def test_a_killed_instance_comes_back_and_the_other_loses_nothing(device: Machine) -> None:
    device.run(f"systemctl stop {DETECTOR}")
    text = device.read("/etc/unina/detector.toml").decode().replace("fps=2", "fps=1")
    for name, core in INSTANCES.items():
        device.write(f"/etc/unina/detector-{name}.toml", f'{text}\ndla = "{core}"\n')
        device.run(f"systemctl start unina-compile@{name}", 200)
        device.run(f"systemctl start unina-detector@{name}", 200)
    for name, core in INSTANCES.items():
        assert wait_serving(device, socket_of(name))["detections"]
        control = f"--control /run/unina-detector-{name}/control.sock"
        assert json.loads(device.run(f"unina-detector ctl status --json {control}"))["devices"] == f"dla{core}"

    rear = device.begin(run=f"{READER} {socket_of('rear')} collect 20", timeout=200)
    device.run("sleep 3; systemctl kill -s KILL unina-detector@front")
    device.until(lambda: device.show("unina-detector@front", "NRestarts")["NRestarts"] == "1", "a restart")
    assert wait_serving(device, socket_of("front"))["detections"]
    found = [json.loads(line) for line in device.answer(rear, 210)["out"].splitlines()]
    assert len(found) == 20
    require_complete(found)
    assert found[-1]["drops"] == found[0]["drops"]
    assert device.show("unina-detector@rear", "NRestarts")["NRestarts"] == "0"
