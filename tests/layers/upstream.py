"""Builds with upstream's layers, as far as they go without a download: OE_SOURCES is a folder of clones.

BitBake refuses root, so as root an ordinary account is made for it; it works on a copy of this checkout, in a folder
that stays, because reading three thousand recipes for the first time takes minutes.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from parsed import ROOT

ACCOUNT = "unina-build"
CLONES = ["bitbake", "openembedded-core", "meta-openembedded", "meta-tegra", "meta-tegra-community"]
HOST_TOOLS = ["chrpath", "cpio", "diffstat", "file", "gawk", "git", "lz4c", "rpcgen", "wget", "zstd"]
OUR_LAYERS = {
    "unina-ai": ".",
    "unina-dla": "meta-unina-dla",
    "stand-ins": "tests/layers/stand-ins",
    "debian": "tests/layers/debian",
}
CORE = "openembedded-core/meta"
OPEN = ["meta-openembedded/meta-oe", "meta-openembedded/meta-python"]
TEGRA = ["meta-tegra", "meta-tegra-community"]
LOCAL = """
CONF_VERSION = "2"
BB_NO_NETWORK = "1"
CONNECTIVITY_CHECK_URIS = ""
BB_DISKMON_DIRS = ""
BB_NUMBER_THREADS = "2"
BB_NUMBER_PARSE_THREADS = "2"
"""

# Upstream's recipes are not what is tested, and reading them takes minutes. All or none, else nothing resolves; the
# layer stand-ins has the names that ours depend on.
MASKED = """
BBMASK = "/openembedded-core/meta/recipes- /meta-openembedded/"
BBMASK += "/meta-tegra/recipes- /meta-tegra/external/ /meta-tegra-community/"
BBFILE_PATTERN_IGNORE_EMPTY_core = "1"
BBFILE_PATTERN_IGNORE_EMPTY_openembedded-layer = "1"
BBFILE_PATTERN_IGNORE_EMPTY_meta-python = "1"
BBFILE_PATTERN_IGNORE_EMPTY_tegra = "1"
BBFILE_PATTERN_IGNORE_EMPTY_tegra-community = "1"
"""


def sources() -> Path:
    """The folder of clones. Skips, saying what is missing."""
    given = os.environ.get("OE_SOURCES")
    if not given:
        pytest.skip(f"OE_SOURCES is not set: a folder with clones of {', '.join(CLONES)} (docs/image.md)")
    folder = Path(given).resolve()
    missing = [name for name in CLONES if not (folder / name).is_dir()]
    if missing:
        pytest.skip(f"OE_SOURCES={folder}: without {', '.join(missing)}")
    tools = [name for name in HOST_TOOLS if shutil.which(name) is None]
    if tools:
        pytest.skip(f"host tools that BitBake needs are not installed: {', '.join(tools)}")
    locales = subprocess.run(["locale", "-a"], capture_output=True, text=True, check=False).stdout.lower()
    if "en_us.utf8" not in locales and "en_us.utf-8" not in locales:
        pytest.skip("BitBake needs the locale en_US.UTF-8: localedef -i en_US -f UTF-8 en_US.UTF-8")
    return folder


def clone(name: str) -> str:
    """A clone that only an overlay needs. Skips without it."""
    if not (sources() / name).is_dir():
        pytest.skip(f"OE_SOURCES={sources()}: without {name}, which an overlay of kas/opt/ needs")
    return name


def as_builder() -> list[str]:
    """What to put before a command so that an ordinary account runs it."""
    if os.geteuid() != 0:
        return []
    if shutil.which("runuser") is None or shutil.which("useradd") is None:
        pytest.skip("root, and no runuser and useradd to make an ordinary account for BitBake")
    if subprocess.run(["id", ACCOUNT], capture_output=True, check=False).returncode != 0:
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", ACCOUNT], check=True)
    return ["runuser", "-u", ACCOUNT, "--"]


@dataclass(frozen=True)
class Build:
    """A build folder with its configuration, and a copy of this checkout beside it."""

    folder: Path
    checkout: Path
    sources: Path

    def run(self, command: str, timeout_s: float = 3600) -> subprocess.CompletedProcess[str]:
        """A shell command in the environment of oe-init-build-env."""
        script = f". {self.sources}/openembedded-core/oe-init-build-env {self.folder} >/dev/null && {command}"
        clean = ["env", "-i", f"HOME={self.folder}", "PATH=/usr/bin:/bin:/usr/sbin:/sbin"]
        locale = ["LC_ALL=en_US.UTF-8", "LANG=en_US.UTF-8", f"BITBAKEDIR={self.sources}/bitbake"]
        return subprocess.run(
            [*as_builder(), *clean, *locale, "bash", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            cwd=self.folder,
        )


def builds() -> Path:
    """Where build folders lie, from one run to the next."""
    return Path(os.environ.get("UNINA_LAYERS_BUILD", Path(tempfile.gettempdir()) / "unina-layers"))


def prepared(name: str, machine: str, layers: Sequence[str], distro: str = "unina", local: str = "") -> Build:
    """A build folder for a machine. `layers` are upstream's, below OE_SOURCES, and ours by their names."""
    folder_of_sources = sources()
    build = Build(builds() / name, builds() / "checkout", folder_of_sources)
    copy_checkout(build.checkout)
    conf = build.folder / "conf"
    conf.mkdir(parents=True, exist_ok=True)
    paths = [str(build.checkout / OUR_LAYERS[one]) if one in OUR_LAYERS else str(build.sources / one) for one in layers]
    (conf / "bblayers.conf").write_text(
        'LCONF_VERSION = "7"\nBBPATH = "${TOPDIR}"\nBBFILES ?= ""\n'
        + f'BBLAYERS = "{" ".join(map(os.path.normpath, paths))}"\n'
    )
    (conf / "local.conf").write_text(f'MACHINE = "{machine}"\nDISTRO = "{distro}"\n{LOCAL}{local}')
    if os.geteuid() == 0:
        as_builder()
        subprocess.run(["chown", "-R", ACCOUNT, str(build.folder)], check=True)
    readable = subprocess.run([*as_builder(), "test", "-r", str(build.sources / "bitbake")], check=False)
    if readable.returncode != 0:
        pytest.skip(f"OE_SOURCES={build.sources}: {ACCOUNT} cannot read it")
    return build


def copy_checkout(target: Path) -> None:
    """What git would take of this checkout. Unchanged files keep their times: BitBake does not read them again."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for path in target.rglob("*"):
        if path.is_file() and str(path.relative_to(target)) not in names:
            path.unlink()
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        source, copy = ROOT / name, target / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            shutil.copyfile(source, copy)
