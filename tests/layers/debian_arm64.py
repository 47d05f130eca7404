"""Debian's arm64 libraries as recipes, for a real build of ours with no upstream source compiled.

Makes in a folder, once: root/, the packages unpacked as Debian lays them out, for qemu-aarch64; and layer/, a BitBake
layer of recipes with the names that ours depend on, whose files lie as OpenEmbedded would have them (no multiarch
folder). Nothing is installed on the host: apt works in the folder, with the host's sources for another architecture.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

from laid_out import write_layer, write_recipe

MULTIARCH = "aarch64-linux-gnu"
REST = "debian-libraries"
# What ours depend on, by OpenEmbedded's names. Everything else that these need is in debian-libraries.
RECIPES = {
    "base-passwd": "base-passwd",
    "cli11": "libcli11-dev",
    "glibc": "libc6 libcrypt1 libgcc-s1 libstdc++6",
    "gstreamer1.0": "libgstreamer1.0-0 libgstreamer1.0-dev",
    "gstreamer1.0-plugins-base": "libgstreamer-plugins-base1.0-0 libgstreamer-plugins-base1.0-dev",
    "highway": "libhwy1 libhwy-dev",
    "mosquitto": "libmosquitto1 libmosquitto-dev",
    "nlohmann-json": "nlohmann-json3-dev",
    "opencv": "libopencv-core406 libopencv-imgproc406 libopencv-imgcodecs406 libopencv-videoio406 "
    "libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-videoio-dev",
    "openssl": "libssl3 libssl-dev",
    "python3": "libpython3.11 libpython3.11-dev libpython3.11-minimal libpython3.11-stdlib",
    "shadow-sysroot": "login",
    "zeromq": "libzmq5 libzmq3-dev",
    REST: "libglib2.0-dev",
}
# For root/ alone: what the Python binding imports when it runs.
TO_RUN = "python3-minimal python3-numpy"
# For the build host, architecture "all": what builds a Python package without pip.
TO_BUILD = (
    "python3-build python3-hatchling python3-installer python3-packaging python3-pathspec python3-pep517 "
    "python3-pluggy python3-wheel"
)
# For a sysroot: no programs, no static libraries, no plugins (Mesa's drivers alone would be a gigabyte).
KEPT = re.compile(
    r"usr/(include|share/(cmake|pkgconfig|base-passwd)|lib/(cmake|pkgconfig|python3\.\d+|(glib-2|gstreamer-1)\.0/include))/"
    r"|usr/lib/(ld-|lib(?!LLVM))[^/]*\.so[^/]*$|etc/login\.defs$"
)
PYBIND11 = "2.11.1"  # scarthgap's; Debian's is older than what the binding takes
TEXT_WITH_PATHS = (".pc", ".cmake", f"_sysconfigdata__{MULTIARCH}.py")


@dataclass(frozen=True)
class Package:
    """One .deb: its name, its version and the file."""

    name: str
    version: str
    deb: Path


class Apt:
    """apt of another architecture, in a folder of its own and with nothing installed."""

    def __init__(self, folder: Path) -> None:
        for part in ("lists/partial", "archives/partial"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        self.archives = folder / "archives"
        settings = {
            "APT::Architecture": "arm64",
            "APT::Architectures": "arm64",
            "Dir::State": folder,
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder,
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "true",
        }
        self.options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        self.run("update", check=False)  # other repositories of the host may have nothing for arm64

    def run(self, *words: str, check: bool = True) -> str:
        """Raises RuntimeError with what apt said."""
        command = ["apt-get", "-q", *self.options, *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.archives)
        if check and done.returncode != 0:
            raise RuntimeError(f"apt-get {' '.join(words[:3])} for arm64: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def closure(self, names: list[str]) -> list[str]:
        """What these libraries need, themselves among it. Not for headers: their packages ask for compilers."""
        planned = self.run("install", "--simulate", "--no-install-recommends", *names)
        return [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]

    def download(self, names: list[str]) -> list[Package]:
        self.run("download", *names)
        by_name = {deb.name.partition("_")[0]: deb for deb in sorted(self.archives.glob("*.deb"))}
        return [Package(name, by_name[name].name.split("_")[1].replace("%3a", ":"), by_name[name]) for name in names]


def make(folder: Path) -> None:
    """Everything, once: a second call with the same program does nothing."""
    stamp = folder / "made-by"
    mine = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == mine:
        return
    for old in ("root", "layer", "host", "unpacked", "apt/archives"):
        shutil.rmtree(folder / old, ignore_errors=True)
    named = {name for names in RECIPES.values() for name in names.split()}
    apt = Apt(folder / "apt")
    libraries = sorted(name for name in named if not name.endswith("-dev")) + TO_RUN.split()
    packages = {one.name: one for one in apt.download(sorted(named | set(apt.closure(libraries))))}
    owner = {name: recipe for recipe, names in RECIPES.items() for name in names.split()}
    only_run = set(packages) - set(apt.closure([name for name in libraries if name not in TO_RUN.split()])) - named
    for name, package in packages.items():
        unpack(package.deb, folder / "root")
        if name not in only_run:
            unpack(package.deb, folder / "unpacked" / owner.get(name, REST))
    settle_alternatives(folder / "root")
    for recipe in RECIPES:
        its = [one for name, one in packages.items() if owner.get(name, REST) == recipe and name not in only_run]
        files = folder / "layer" / "files" / recipe
        flatten(folder / "unpacked" / recipe, files)
        if recipe == "base-passwd":
            first_accounts(files)
        if recipe == "python3":
            target_config(folder / "unpacked" / recipe, files)
        version = "12" if recipe == REST else re.sub(r"^\d+:|[-+~].*$", "", its[0].version)
        lines = "" if recipe in (REST, "glibc") else f'DEPENDS = "{REST}"\n'
        write_recipe(folder / "layer", recipe, version, " ".join(f"{one.name}={one.version}" for one in its), lines)
    shutil.rmtree(folder / "unpacked")
    pybind11(folder)
    write_layer(folder / "layer", "debian-arm64")
    for package in apt.download(TO_BUILD.split()):
        unpack(package.deb, folder / "host")
    stamp.write_text(mine)


def unpack(deb: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg", "-x", deb, target], check=True)


def settle_alternatives(root: Path) -> None:
    """What update-alternatives would link when the packages were installed."""
    libraries = root / "usr/lib" / MULTIARCH
    for name in ("blas", "lapack"):
        (libraries / f"lib{name}.so.3").symlink_to(f"{name}/lib{name}.so.3")


def flat(path: str) -> str:
    """Where OpenEmbedded has a file of Debian's: /lib is /usr/lib, and there is no multiarch folder."""
    path = re.sub(r"^(lib|bin|sbin)/", r"usr/\1/", path)
    path = path.replace(f"/{MULTIARCH}/", "/")
    return re.sub(r"^usr/lib/(blas|lapack)/", "usr/lib/", path)


def flatten(source: Path, target: Path) -> None:
    for path in sorted(source.rglob("*")):
        name = str(path.relative_to(source))
        copy = target / flat(name)
        # in order of names the multiarch folder is first; its pyconfig.h is the true one, the other includes it
        if (path.is_dir() and not path.is_symlink()) or not KEPT.match(flat(name)) or os.path.lexists(copy):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            link = os.path.normpath(Path("/", name).parent / path.readlink())
            copy.symlink_to(os.path.relpath(flat(link[1:]), Path(flat(name)).parent))
        elif name.endswith(TEXT_WITH_PATHS):
            text = path.read_text().replace(f"/{MULTIARCH}", "")
            # of use for static libraries only, but pkg-config wants to see it, and its headers are not here
            copy.write_text(re.sub(r"(?m)^Requires.private:.*\n", "", text))
        else:
            shutil.copy2(path, copy)


def target_config(source: Path, files: Path) -> None:
    """What python3targetconfig.bbclass looks for, to build for the target with the host's interpreter."""
    (data,) = files.glob(f"usr/lib/python3*/_sysconfigdata__{MULTIARCH}.py")
    (script,) = source.glob(f"usr/bin/{MULTIARCH}-python3*-config")
    for path, copy in (
        (data, "lib/python-sysconfigdata/_sysconfigdata.py"),
        (script, f"python-target-config/{script.name.removeprefix(MULTIARCH + '-')}"),
    ):
        (files / "usr" / copy).parent.mkdir()
        shutil.copy2(path, files / "usr" / copy)
    packages = files / "usr/lib" / data.parent.name / "site-packages"
    packages.mkdir()
    (packages / "README.txt").write_text("Python's own installation has this file, and classes count on the folder.\n")


def first_accounts(files: Path) -> None:
    """/etc/passwd and /etc/group as a new system has them, so that useradd.bbclass makes our users in the sysroot."""
    (files / "etc").mkdir()
    for name in ("passwd", "group"):
        shutil.copy2(files / f"usr/share/base-passwd/{name}.master", files / "etc" / name)


def pybind11(folder: Path) -> None:
    """Headers only, and of no architecture: from the Python package index. Raises RuntimeError with what pip said."""
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(folder),
        f"pybind11=={PYBIND11}",
    ]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"pip download pybind11: {done.stderr.strip()[-2000:]}")
    with zipfile.ZipFile(next(folder.glob("pybind11-*.whl"))) as archive:
        archive.extractall(folder / "unzipped")
    files = folder / "layer/files/python3-pybind11/usr"
    for part in ("include", "share"):
        shutil.move(folder / "unzipped/pybind11" / part, files / part)
    shutil.rmtree(folder / "unzipped")
    write_recipe(folder / "layer", "python3-pybind11", PYBIND11, "pybind11 of the Python package index")
