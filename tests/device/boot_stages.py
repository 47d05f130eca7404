"""Where the time from power to the first detection went, after systemd's own monotonic stamps."""

from dataclasses import dataclass

from machine import Machine


@dataclass(frozen=True)
class BootStages:
    """Seconds since the kernel began."""

    userland_started: float
    compiler_started: float
    compiler_ended: float
    detector_started: float
    ready: float
    """READY comes after the first picture was detected on and published"""

    @property
    def parts(self) -> dict[str, float]:
        return {
            "kernel": self.userland_started,
            "userland": self.compiler_started - self.userland_started,
            "compile": self.compiler_ended - self.compiler_started,
            "detector": self.ready - self.compiler_ended,
        }

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.parts.items())
        return f"{self.ready:.1f} s from the kernel's start to the first detection ({parts})"


def boot_stages(machine: Machine) -> BootStages:
    """Of a device that serves."""

    def stamp(text: str) -> float:
        return int(text) / 1e6

    manager = dict(
        line.split("=", 1) for line in machine.run("systemctl show -p UserspaceTimestampMonotonic").splitlines()
    )
    compiler = machine.show("unina-compile", "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic")
    detector = machine.show("unina-detector", "ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    return BootStages(
        stamp(manager["UserspaceTimestampMonotonic"]),
        stamp(compiler["ExecMainStartTimestampMonotonic"]),
        stamp(compiler["ExecMainExitTimestampMonotonic"]),
        stamp(detector["ExecMainStartTimestampMonotonic"]),
        stamp(detector["ActiveEnterTimestampMonotonic"]),
    )
