"""Debian's SWUpdate for the tests, unpacked into a build folder: installed, its services would be started."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

TIMEOUT_S = 300


def asked(*command: str, folder: Path) -> str:
    """Raises subprocess.CalledProcessError and TimeoutExpired."""
    return subprocess.run(
        command,
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=os.environ | {"LC_ALL": "C"},
    ).stdout


def fetch(folder: Path) -> dict[str, str]:
    """PATH and LD_LIBRARY_PATH with which `swupdate` runs. Raises as asked(), and FileNotFoundError."""
    if shutil.which("swupdate"):
        return {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": ""}
    if shutil.which("apt-get") is None:
        raise FileNotFoundError("no swupdate, and no apt-get to fetch it")
    root = folder / "root"
    if not (root / "usr" / "bin" / "swupdate").exists():
        folder.mkdir(parents=True, exist_ok=True)
        # what it needs and this machine has not: lines of `Inst NAME (VERSION …)`
        plan = asked("apt-get", "-qq", "-s", "--no-install-recommends", "install", "swupdate", folder=folder)
        names = [line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")]
        asked("apt-get", "-qq", "download", *names, folder=folder)
        for package in folder.glob("*.deb"):
            asked("dpkg", "-x", str(package), str(root), folder=folder)
    if not (root / "usr" / "bin" / "swupdate").exists():
        raise FileNotFoundError(f"{root}: apt gave no swupdate")
    libraries = ":".join(str(path) for path in root.glob("usr/lib/*-linux-gnu"))
    return {"PATH": f"{root / 'usr' / 'bin'}:{os.environ['PATH']}", "LD_LIBRARY_PATH": libraries}


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]).resolve()))
