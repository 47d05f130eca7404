"""A build folder in which our recipes are compiled, by Debian's cross compiler and against its arm64 libraries."""

import os
import shutil
from pathlib import Path

import debian_arm64
import nvidia_headers
import pytest
from parsed import ROOT
from upstream import CORE, MASKED, OPEN, TEGRA, Build, builds, prepared, sources

# command: package that has it
NEEDED = {
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu",
    "cmake": "cmake",
    "dpkg": "dpkg",
    "ninja": "ninja-build",
    "pkg-config": "pkg-config",
    "pseudo": "pseudo",
    "qemu-aarch64-static": "qemu-user-static",
    "quilt": "quilt",
    "rpm": "rpm",
}
# Each recipe of ours but the images, which need a root file system.
RECIPES = sorted(path.stem.partition("_")[0] for path in ROOT.glob("recipes-*/*/*.bb") if path.parent.name != "images")
LOCAL = """
TCMODE = "debian"
PARALLEL_MAKE = "-j 2"
# the bundle that ships is not signed by the key of the test
UNINA_TRUSTED_KEY:pn-unina-model = ""
# every option of ours that needs nothing of a Jetson
PACKAGECONFIG:append:pn-unina-runtime = " zmq mqtt"
"""


def debian() -> Path:
    """Debian's arm64 packages, unpacked once. Skips, with the one command that brings what is missing."""
    sources()
    missing = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    if missing:
        pytest.skip(f"not installed: apt-get install --no-install-recommends {' '.join(missing)}")
    folder = builds() / "debian-arm64"
    debian_arm64.make(folder)
    return folder


def pseudo_libraries() -> Path:
    return next(Path("/usr/lib").glob("*/pseudo/libpseudo.so")).parent


def real_build(name: str, machine: str) -> Build:
    """For qemuarm64, or for a machine of meta-unina-dla."""
    wrapped = debian()
    layers = [CORE, *OPEN, "unina-ai", "stand-ins", "debian", str(wrapped / "layer")]
    local = MASKED + LOCAL
    if machine != "qemuarm64":
        layers += [*TEGRA[:1], "unina-dla", str(nvidia_headers.make(builds() / "nvidia"))]
        local += "" if os.environ.get("UNINA_TRT_INCLUDE") else 'PACKAGECONFIG:remove:pn-unina-runtime = "tensorrt"\n'
    keys = wrapped.parent / "keys"
    keys.mkdir(exist_ok=True)
    (keys / "authorized_keys").write_text("ssh-ed25519 AAAA somebody\n")
    (keys / "team.pub").write_text("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    folders = {
        "DEBIAN_HOST": wrapped / "host",
        "DEBIAN_PSEUDO_LIBRARIES": pseudo_libraries(),
        "UNINA_SSH_KEYS": keys / "authorized_keys",
        "UNINA_TRUSTED_KEY": keys / "team.pub",
    }
    local += "".join(f'{variable} = "{folder}"\n' for variable, folder in folders.items())
    return prepared(name, machine, layers, local=local)
