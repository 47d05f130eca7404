"""The runtime, compiled for the device and laid out by the `cmake --install` that the recipes call; and the stand-ins.

The stand-ins of NVIDIA's libraries are no part of the installation, which refuses them: they lie beside it.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STANDINS = ("libcudart.so.12", "libcudla.so.1", "libnvscibuf.so.1", "libnvscisync.so.1")
# As recipes-ai/unina-runtime has them, without what needs a camera or a network.
OPTIONS = {"UNINA_GSTREAMER": "OFF", "UNINA_ZMQ": "OFF", "UNINA_MQTT": "OFF", "UNINA_WERROR": "OFF"}


@dataclass(frozen=True)
class Built:
    """What goes onto the device."""

    stage: Path
    """DESTDIR of the installation"""
    standins: tuple[Path, ...]
    """libraries that pretend to be NVIDIA's"""


def cross_build(cache: Path, root: Path) -> Built:
    """Compiles what changed and installs it. Raises RuntimeError with the compiler's last lines."""
    # cmake keeps a toolchain file's answers; another root or another checkout is another build
    build, stage = cache / f"build-{sha256(f'{root} {ROOT}'.encode()).hexdigest()[:8]}", cache / "stage"
    options = {**OPTIONS, "UNINA_BUILD_TESTS": "ON", "CMAKE_INSTALL_PREFIX": "/usr", "CMAKE_BUILD_TYPE": "Release"}
    defined = [f"-D{name}={value}" for name, value in options.items()]
    _run(
        root,
        "cmake",
        "-S",
        ROOT / "runtime",
        "-B",
        build,
        "-G",
        "Ninja",
        *defined,
        f"--toolchain={HERE / 'aarch64.cmake'}",
    )
    targets = ("unina-detector", "unina-bench", "unina_standin_cudla")
    _run(root, "nice", "cmake", "--build", build, "--target", *targets)
    shutil.rmtree(stage, ignore_errors=True)
    _run(root, "cmake", "--install", build, destdir=stage)
    return Built(stage, tuple(build / "tests" / "standins" / name for name in STANDINS))


def _run(root: Path, *words: object, destdir: Path | None = None) -> None:
    libraries = root / "usr/lib/aarch64-linux-gnu"
    environment = {
        **os.environ,
        "UNINA_ARM_ROOT": str(root),
        # what OpenCV's libraries need of their own is not named when ours are linked
        "LDFLAGS": f"-Wl,-rpath-link,{libraries}:{libraries / 'blas'}:{libraries / 'lapack'}",
        **({"DESTDIR": str(destdir)} if destdir else {}),
    }
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, timeout=3600, env=environment
    )
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise RuntimeError(f"{' '.join(map(str, words[:4]))} for ARM failed:\n{said}")
