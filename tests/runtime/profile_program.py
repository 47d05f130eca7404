"""Runs `unina-profile` as a program, on a machine that has a tegrastats or none."""

import io
import json
import os
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from profile_logs import log

from unina_runtime.profile.command import main

STANDIN = """#!{python} -IS
import itertools, sys, time
interval = float(sys.argv[sys.argv.index("--interval") + 1]) / 1000
for line in itertools.cycle(open({lines!r})):
    sys.stdout.write(line)  # no flush: it is for who reads to give it a terminal
    {then}
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

    def process(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """As an installation runs it."""
        return subprocess.run(
            self.command(*arguments),
            **{"cwd": self.folder, "env": self.environment, "capture_output": True, "text": True},
            check=False,
            timeout=120,
        )

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """In this process, which has what takes long to import; what a recorded command prints is not seen here."""
        out, err, former = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            patch.setenv("PATH", self.environment["PATH"])
            code = main(list(map(str, arguments)))
        signal.signal(signal.SIGTERM, former)
        return subprocess.CompletedProcess(self.command(*arguments), code, out.getvalue(), err.getvalue())

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

    def install_tegrastats(self, form: str = "agx_orin_r36", then: str = "") -> None:
        """A program that prints a synthetic log; `then`: what it does after a line."""
        lines = self.folder / f"{form}.log"
        lines.write_text(log(form, 60))
        program = self.folder / "bin" / "tegrastats"
        program.parent.mkdir(exist_ok=True)
        text = STANDIN.format(python=sys.executable, lines=str(lines), then=then)
        program.write_text(text)
        program.chmod(0o755)
