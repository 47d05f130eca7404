"""Fetches NVIDIA's public headers from the Python package index into a build folder, for the contract tests only.

Proprietary: they are unpacked where git ignores them, and nothing of them is installed. The wheels for aarch64 are
asked for, since cuDLA has no other and a Jetson is of that kind.
"""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

# Folder that the headers end in -> what is fetched for it (requirement, platform of the wheel).
ARM, X86 = "manylinux2014_aarch64", "manylinux2014_x86_64"
PACKAGES = {
    "cudla": (("nvidia-cudla==13.4.92", ARM),),
    # JetPack 6. crt/host_defines.h comes with the compiler, whose wheel knows x86-64 only.
    "cuda-12.6": (("nvidia-cuda-runtime-cu12==12.6.77", ARM), ("nvidia-cuda-nvcc-cu12==12.6.85", X86)),
    "cuda-13.0": (("nvidia-cuda-runtime==13.0.96", ARM), ("nvidia-cuda-crt==13.0.88", ARM)),
}


def download(requirement: str, platform: str, folder: Path) -> Path:
    """The wheel, from `folder` when it is there already. Raises subprocess.CalledProcessError and TimeoutExpired."""
    name, version = requirement.split("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--platform", platform, "--dest", str(folder), requirement]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return next(folder.glob(pattern))


def headers(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """(path below include/, content) of every header in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            _, found, path = name.partition("/include/")
            if found and path and not path.endswith("/") and ".." not in path:
                yield path, archive.read(name)


def fetch(folder: Path) -> dict[str, Path]:
    """Name of PACKAGES -> include folder, fetched unless it is there. Raises as download()."""
    places = {}
    for name, packages in PACKAGES.items():
        include = folder / name / "include"
        complete = folder / name / "complete"
        if not complete.exists():
            (folder / "wheels").mkdir(parents=True, exist_ok=True)
            for requirement, platform in packages:
                for path, content in headers(download(requirement, platform, folder / "wheels")):
                    target = include / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content)
            complete.touch()
        places[name] = include
    return places


if __name__ == "__main__":
    for place in fetch(Path(sys.argv[1])).values():
        print(place)
