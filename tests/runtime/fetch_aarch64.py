"""What tests need to run code for 64-bit ARM on another machine: a cross compiler, an emulator, Highway's library.

Compiler and emulator are installed with apt where they are missing and we are root. The library is unpacked into a
build folder, by an apt whose state lies there too: the machine's own packages are left alone.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

COMPILER, EMULATOR = "aarch64-linux-gnu-g++", "qemu-aarch64-static"
PACKAGES = {COMPILER: "g++-aarch64-linux-gnu", EMULATOR: "qemu-user-static"}
SYSTEM_LIBRARIES = Path("/usr/aarch64-linux-gnu")  # comes with the compiler


def quietly(*command: str, folder: Path | None = None) -> None:
    """Raises subprocess.CalledProcessError and TimeoutExpired."""
    subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=600)


def install_tools() -> None:
    """Raises as quietly(), and FileNotFoundError where this user may not install what is missing."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise FileNotFoundError(f"missing: apt-get install {' '.join(missing)}")
    quietly("apt-get", "-qq", "update")
    quietly("apt-get", "-qq", "-y", "install", "--no-install-recommends", *missing)


def fetch_highway(folder: Path) -> Path:
    """Folder that holds libhwy.so.1 for ARM, fetched unless it is there. Raises as quietly()."""
    libraries = folder / "root" / "usr" / "lib" / "aarch64-linux-gnu"
    if not (libraries / "libhwy.so.1").exists():
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        settings = {
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "APT::Sandbox::User": "root",
            "Dir::Cache": folder / "cache",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
        }
        apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in settings.items())]
        subprocess.run([*apt, "update"], check=False, capture_output=True, timeout=600)  # other repositories may fail
        quietly(*apt, "download", "libhwy1", folder=folder)
        quietly("dpkg", "-x", str(next(folder.glob("libhwy1_*.deb"))), str(folder / "root"))
    return libraries


def fetch(folder: Path) -> Path:
    """Everything; returns the folder of Highway's library. Raises as install_tools()."""
    install_tools()
    return fetch_highway(folder)


if __name__ == "__main__":
    print(fetch(Path(sys.argv[1]).resolve()))
