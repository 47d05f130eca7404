"""Runs `unina-profile` as a program, on a machine that has a tegrastats or none."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from profile_logs import log

STANDIN = """#!{python} -IS
import itertools, sys, time
interval = float(sys.argv[sys.argv.index("--interval") + 1]) / 1000
for line in itertools.cycle(open({lines!r})):
    sys.stdout.write(line)  # no flush: it is for who reads to give it a terminal
    {dies}
    time.sleep(interval)
"""


@dataclass
class Bench:
    """A folder to work in, and what is found in it as a program."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def command(self, *arguments: object) -> list[str]:
        return [sys.executable, "-m", "unina_runtime.profile.command", *map(str, arguments)]

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            **{"cwd": self.folder, "env": self.environment, "capture_output": True, "text": True},
            check=False,
            timeout=120,
        )

    def good(self, *arguments: object) -> str:
        """Must end with 0; returns what it said."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def bad(self, code: int, *arguments: object) -> str:
        """Must end with this code, without a traceback; returns stderr."""
        done = self.run(*arguments)
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stderr}"
        assert all(line.startswith("unina-profile: ") for line in done.stderr.splitlines()), done.stderr
        return done.stderr

    def read(self, name: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / name).read_text())
        return document

    def install_tegrastats(self, form: str = "agx_orin_r36", dies: bool = False) -> None:
        """A program that prints a synthetic log."""
        lines = self.folder / f"{form}.log"
        lines.write_text(log(form, 60))
        program = self.folder / "bin" / "tegrastats"
        program.parent.mkdir(exist_ok=True)
        text = STANDIN.format(python=sys.executable, lines=str(lines), dies="sys.exit(3)" if dies else "")
        program.write_text(text)
        program.chmod(0o755)
