"""A machine that seems to have a DLA: its loader's path leads to the stand-ins of NVIDIA's libraries."""

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest
from programs import PROGRAMS
from tiny_bundle import TinyBundle

ROOT = Path(__file__).parents[2]
STANDINS = next(
    folder
    for folder in (PROGRAMS.parent / "tests" / "standins", ROOT / "build" / "runtime" / "tests" / "standins")
    if folder.is_dir()
)
HWC4, ROW_ALIGNMENT = 1, 64


def standin_loadable(bundle: TinyBundle, path: Path) -> Path:
    """Writes what the stand-in of libcudla loads (tests/runtime/standins/loadable.h)."""
    host = (bundle.path / "host.loadable").read_bytes()
    path.write_bytes(b"UNINASIL" + struct.pack("<III", HWC4, ROW_ALIGNMENT, 0) + host)
    return path


@dataclass
class Report:
    """What the stand-ins saw until the process ended."""

    live: str
    violations: str
    calls: dict[str, int]


@dataclass
class Dla:
    """A machine with a DLA, so it seems."""

    monkeypatch: pytest.MonkeyPatch
    report_file: Path

    def plug_in(self, faults: str = "") -> None:
        self.monkeypatch.setenv("LD_LIBRARY_PATH", str(STANDINS))
        self.monkeypatch.setenv("UNINA_STANDIN_FAULTS", faults)
        self.monkeypatch.setenv("UNINA_STANDIN_REPORT", str(self.report_file))

    def report(self) -> Report:
        lines = dict(line.split(": ", 1) for line in self.report_file.read_text().splitlines())
        live, violations = lines.pop("live"), lines.pop("violations")
        return Report(live, violations, {call: int(count) for call, count in lines.items()})
