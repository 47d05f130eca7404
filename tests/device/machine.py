"""One emulated device: QEMU without a network, its disk for /data, and a line to the agent in it (guest/agent.py)."""

import base64
import json
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from device_image import DeviceImage
from qmp import Qmp, connected

BOOT_S = 300.0  # on a machine that does other things as well
COMMAND_S = 120.0
DATA_BYTES = 512 << 20
APPEND = "console=ttyAMA0 quiet loglevel=4 systemd.show_status=0 systemd.volatile=state"
# Nothing attacks an emulated kernel, and its defences cost half of the time here
APPEND += " mitigations=off kpti=off nokaslr init_on_alloc=0 audit=0 apparmor=0"


class DeviceError(AssertionError):
    """The device did not do as it should; the text ends in what it said last."""


def new_data_disk(path: Path, size: int = DATA_BYTES) -> Path:
    """An empty disk: /data before the first boot."""
    with path.open("wb") as file:
        file.truncate(size)
    return path


def copy_sparse(source: Path, target: Path) -> None:
    """Of a disk that is mostly empty."""
    subprocess.run(["cp", "--sparse=always", str(source), str(target)], check=True, timeout=120)


@dataclass(frozen=True)
class Frozen:
    """A machine that stands still; any number of machines can go on from there."""

    state: Path
    data: Path


@dataclass
class Machine:
    """A device that is switched on; as a context manager it is cut off from power at the end."""

    image: DeviceImage
    data: Path
    folder: Path
    """of its lines: console.log, journal.log"""
    name: str = "device"
    frozen: Frozen | None = None
    """of `freeze`: goes on from there; `data` becomes a copy of the disk as it was then"""
    append: str = ""
    """for the kernel's line"""
    rest: bytes = b""
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.frozen:
            copy_sparse(self.frozen.data, self.data)
        line = self.folder / "agent.sock"
        line.unlink(missing_ok=True)
        # What the device's kernel has written lies in this machine's memory and survives QEMU: its end is a power cut
        disks = [f"file={self.image.root},format=raw,readonly=on,if=none,id=root"]
        disks += [f"file={self.data},format=raw,cache=unsafe,if=none,id=data"]
        # A killed test run leaves none behind
        words = ["setpriv", "--pdeathsig", "KILL", "nice", "qemu-system-aarch64"]
        words += ["-M", "virt", "-cpu", "cortex-a76", "-accel", "tcg,thread=multi"]
        words += ["-smp", "2", "-m", "1024", "-nic", "none", "-display", "none", "-monitor", "none", "-no-reboot"]
        words += [
            "-kernel",
            str(self.image.kernel),
            "-initrd",
            str(self.image.initrd),
            "-append",
            f"{APPEND} {self.append}",
        ]
        for disk, name in zip(disks, ("root", "data"), strict=True):
            words += ["-drive", disk, "-device", f"virtio-blk-pci,drive={name}"]
        words += ["-serial", f"file:{self.folder / 'console.log'}", "-device", "virtio-serial-pci"]
        words += ["-chardev", f"file,id=journal,path={self.folder / 'journal.log'},append=on"]
        words += ["-device", "virtconsole,chardev=journal"]
        words += ["-chardev", f"socket,id=agent,path={line},server=on,wait=off"]
        words += ["-device", "virtserialport,chardev=agent,name=unina.agent"]
        words += ["-qmp", f"unix:{self.folder / 'qmp.sock'},server=on,wait=off"]
        words += ["-incoming", f"exec:cat {shlex.quote(str(self.frozen.state))}"] if self.frozen else []
        self.began = time.monotonic()
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            self.line = connected(line)
            if self.frozen:
                self._thaw()
        except (ConnectionError, RuntimeError) as error:
            self.process.kill()
            raise DeviceError(f"QEMU did not start: {error}: {self._ended()}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    @property
    def journal(self) -> str:
        """All that was logged, of every boot in this folder."""
        log = self.folder / "journal.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def cut(self) -> None:
        """Power off, as by a pulled plug."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.line.close()
        if self.process.stderr is not None:
            self.process.stderr.close()

    def switch_off(self) -> None:
        """In order, and waits for it."""
        self.begin(run="systemctl --no-block poweroff", timeout=COMMAND_S)
        self.process.wait(COMMAND_S)

    def wait_log(self, text: str, seconds: float = BOOT_S) -> None:
        """Until the journal says this."""
        end = time.monotonic() + seconds
        while text not in self.journal:
            if time.monotonic() > end or self.process.poll() is not None:
                raise DeviceError(f"{self.name}: not within {seconds:.0f} s in the journal: {text}{self._tail()}")
            time.sleep(0.02)

    def _thaw(self) -> None:
        """It was frozen standing still, and stands still until it is told to go on."""
        with Qmp(self.folder / "qmp.sock") as qemu:
            while qemu.do("query-status")["status"] == "inmigrate":
                time.sleep(0.02)
            qemu.do("cont")

    def freeze(self, folder: Path) -> Frozen:
        """Writes down what it is at, and cuts it off."""
        state = folder / "state"
        with Qmp(self.folder / "qmp.sock") as qemu:
            qemu.do("stop")
            qemu.do("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
            qemu.do("migrate", uri=f"exec:cat > {shlex.quote(str(state))}")
            while (now := qemu.do("query-migrate")).get("status") != "completed":
                if now.get("status") == "failed":
                    raise DeviceError(f"{self.name}: cannot be frozen: {now}")
                time.sleep(0.1)
        self.cut()
        copy_sparse(self.data, folder / "data.img")
        return Frozen(state, folder / "data.img")

    def wait_agent(self, seconds: float = BOOT_S) -> Self:
        """Until the agent answers."""
        self._answer(0, seconds)
        return self

    def ask(self, seconds: float = COMMAND_S, **what: Any) -> dict[str, Any]:
        """See guest/agent.py. Raises DeviceError where the device could not do it."""
        return self.answer(self.begin(**what), seconds)

    def begin(self, **what: Any) -> int:
        """Asks; the answer is fetched with `answer`."""
        self.asked += 1
        self.line.sendall(json.dumps({"id": self.asked, **what}).encode() + b"\n")
        return self.asked

    def answer(self, number: int, seconds: float = COMMAND_S) -> dict[str, Any]:
        """Of `begin`. Raises DeviceError."""
        said = self._answer(number, seconds)
        if "error" in said:
            raise DeviceError(f"{self.name}: {said['error']}{self._tail()}")
        return said

    def run(self, command: str, seconds: float = COMMAND_S) -> str:
        """Output of a shell command that must end with 0."""
        said = self.ask(seconds + 10, run=command, timeout=seconds)
        if said["code"] != 0:
            raise DeviceError(f"{command}: exit code {said['code']}\n{said['out']}{self._tail()}")
        return str(said["out"])

    def code(self, command: str, seconds: float = COMMAND_S) -> int:
        """Exit code of a shell command."""
        return int(self.ask(seconds + 10, run=command, timeout=seconds)["code"])

    def read(self, path: str) -> bytes:
        return base64.b64decode(self.ask(read=path)["data"])

    def write(self, path: str, content: str | bytes) -> None:
        data = content.encode() if isinstance(content, str) else content
        self.ask(write=path, data=base64.b64encode(data).decode())

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Properties of a unit, as systemd shows them."""
        text = self.run(f"systemctl show {shlex.quote(unit)} -p {','.join(properties)}")
        return dict(line.split("=", 1) for line in text.splitlines())

    def until(self, what: Callable[[], Any], why: str, seconds: float = COMMAND_S) -> Any:
        """Waits for something true and returns it. Raises DeviceError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := what():
                return found
            time.sleep(0.3)
        raise DeviceError(f"{self.name}: not within {seconds:.0f} s: {why}{self._tail()}")

    def _answer(self, number: int, seconds: float) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while number not in self.answers:
            self.line.settimeout(max(0.01, end - time.monotonic()))
            piece = b""
            with suppress(TimeoutError):
                piece = self.line.recv(1 << 16)
                if not piece:
                    raise DeviceError(f"{self.name}: QEMU ended: {self._ended()}{self._tail()}")
            if not piece and time.monotonic() > end:
                raise DeviceError(f"{self.name}: no answer within {seconds:.0f} s{self._tail()}")
            *whole, self.rest = (self.rest + piece).split(b"\n")
            for text in whole:
                said = json.loads(text)
                self.answers[said.pop("id")] = said
        return self.answers.pop(number)

    def _ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        assert self.process.stderr is not None
        said = self.process.stderr.read().strip() if self.process.poll() is not None else "still running"
        return f"exit code {self.process.poll()} {said}"

    def _tail(self) -> str:
        console = self.folder / "console.log"
        text = console.read_text(errors="replace") if console.exists() else ""
        lines = [*text.splitlines()[-15:], "--- journal", *self.journal.splitlines()[-30:]]
        return "\n--- console\n" + "\n".join(lines)


SwitchOn = Callable[..., Machine]
"""The fixture `switch_on`: switch_on(data=None, name="device", **more of Machine)"""
