"""Runs the installed programs; UNINA_PROGRAM_DIR names another build, for instance one with sanitizers."""

import os
import subprocess
from pathlib import Path

PROGRAMS = Path(os.environ.get("UNINA_PROGRAM_DIR", Path(__file__).parents[2] / ".venv" / "bin"))


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(PROGRAMS / program), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def refuse(program: str, *arguments: object) -> str:
    """Runs a program that must refuse: exit code 2, nothing on stdout, one line on stderr, which is returned."""
    done = run(program, *arguments)
    assert done.returncode == 2, f"exit code {done.returncode}\n{done.stderr}"
    assert done.stdout == ""
    assert done.stderr.startswith(f"{program}: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr
