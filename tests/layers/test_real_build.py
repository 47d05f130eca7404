"""Our recipes built for real, from fetch to package_qa, by BitBake with openembedded-core's classes, and run by QEMU.

Real: BitBake, the classes, our recipes and sources, the programs for 64-bit ARM. Not scarthgap's: the compiler (Debian
12's gcc 12), the C library (2.36), and every library (Debian's versions: OpenCV 4.6 and not 4.9, GStreamer 1.22, Python
3.11 and not 3.12). No debug packages, package_write, root file system. Needs OE_SOURCES; the first time takes half
an hour.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from warnings import warn

import cv2
import numpy as np
import pytest
from parsed import ROOT
from real_build import RECIPES, debian, real_build
from upstream import Build, as_builder

pytestmark = pytest.mark.long

ORIN = "unina-agx-orin-64gb"
BUNDLE = ROOT / "recipes-ai" / "unina-model" / "files" / "cones.unina"
SITE_PACKAGES = "usr/lib/python3.11/site-packages"
PRESETS = "/usr/lib/systemd/system-preset"
UNITS = "/usr/lib/systemd/system"
IN_DETECTOR = {
    "/etc/unina/detector.toml",
    "/usr/bin/unina-detector",
    "/usr/lib/sysusers.d/unina.conf",
    "/usr/lib/tmpfiles.d/unina.conf",
    "/usr/lib/udev/rules.d/60-unina.rules",
    f"{PRESETS}/98-unina-detector.preset",
    f"{UNITS}/unina-detector.service",
    f"{UNITS}/unina-detector@.service",
}
IN_COMPILE = {
    "/etc/unina/compile.toml",
    "/usr/bin/unina-compile",
    f"{PRESETS}/98-unina-compile.preset",
    f"{UNITS}/unina-compile.service",
    f"{UNITS}/unina-compile@.service",
    f"{UNITS}/unina-update.path",
    f"{UNITS}/unina-update.service",
    f"{UNITS}/unina-update@.path",
    f"{UNITS}/unina-update@.service",
}
IN_SYSTEM = {
    f"{PRESETS}/98-unina-system.preset",
    f"{UNITS}/data.mount",
    f"{UNITS}/etc-unina-create-upper-dir.service",
    f"{UNITS}/etc-unina.mount",
    f"{UNITS}/unina-data-format.service",
    f"{UNITS}/unina-system-overlays.service",
    f"{UNITS}/var-lib-unina.mount",
    "/usr/lib/systemd/journald.conf.d/10-unina.conf",
    "/usr/lib/systemd/system.conf.d/10-unina.conf",
}


@dataclass(frozen=True)
class Built:
    """A build folder after BitBake, and what BitBake said."""

    build: Build
    output: str

    def work(self, recipe: str) -> Path:
        (folder,) = (self.build.folder / "tmp" / "work").glob(f"*/{recipe}/*")
        return folder

    def files(self, recipe: str) -> dict[str, set[str]]:
        """Package -> what is in it; packages without a file are left out."""
        split = self.work(recipe) / "packages-split"
        listed: dict[str, set[str]] = {}
        for path in split.rglob("*"):
            package, *rest = path.relative_to(split).parts
            if rest and (not path.is_dir() or path.is_symlink()):
                listed.setdefault(package, set()).add("/" + "/".join(rest))
        return listed

    def package(self, recipe: str, package: str) -> Path:
        return self.work(recipe) / "packages-split" / package

    def depends(self, package: str) -> set[str]:
        """RDEPENDS as they stand in the package, those of shared libraries among them."""
        data = (self.build.folder / "tmp" / "pkgdata").glob(f"*/runtime/{package}")
        found = re.search(rf"(?m)^RDEPENDS:{re.escape(package)}: (.*)$", next(data).read_text())
        return set(re.sub(r"\(.*?\)", "", found[1]).split()) if found else set()


def built(name: str, machine: str, recipes: list[str]) -> Built:
    build = real_build(name, machine)
    done = build.run(f"bitbake -c package_qa {' '.join(recipes)}", timeout_s=2 * 3600)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
    return Built(build, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def host() -> Built:
    """Everything of ours, for qemuarm64: the accelerator host."""
    return built("real-host", "qemuarm64", RECIPES)


def warnings(one: Built, recipes: list[str]) -> list[str]:
    """Of every task's log, also of tasks that ran another time; QA's findings are among them."""
    said = [line for line in one.output.splitlines() if re.match("WARNING|ERROR", line)]
    for recipe in recipes:
        for log in (one.work(recipe) / "temp").glob("log.do_*[a-z]"):
            said += [f"{recipe}: {line}" for line in log.read_text().splitlines() if re.match("WARNING|ERROR", line)]
    return said


def machine_code(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF":
            yield path


def test_every_recipe_of_ours_is_built_and_passes_quality_control_without_a_warning(host: Built) -> None:
    assert {"python3-unina-runtime", "unina-model", "unina-model-tools", "unina-runtime", "unina-system"} <= set(
        RECIPES
    )
    assert warnings(host, RECIPES) == []


def test_programs_are_position_independent_and_for_64_bit_arm(host: Built) -> None:
    programs = list(machine_code(host.package("unina-runtime", "unina-detector")))
    programs += machine_code(host.package("unina-runtime", "unina-runtime"))
    assert {path.name for path in programs} == {"unina-detector", "unina-bench"}
    for path in programs:
        header = subprocess.run(["readelf", "-hd", path], capture_output=True, text=True, check=True).stdout
        assert re.search(r"Type:\s+DYN \(Position-Independent Executable", header), path
        assert re.search(r"Machine:\s+AArch64", header), path
        assert not re.search("RPATH|RUNPATH", header), path


def test_units_users_rules_and_configuration_are_in_the_package_that_is_for_them(host: Built) -> None:
    files = host.files("unina-runtime")
    assert files["unina-detector"] == IN_DETECTOR
    modules = (ROOT / "runtime" / "python" / "unina_runtime" / "compile").glob("*.py")
    python = {f"/usr/share/unina/python/unina_runtime/compile/{path.name}" for path in modules}
    assert files["unina-compile"] == IN_COMPILE | python | {"/usr/share/unina/python/unina_runtime/__init__.py"}
    assert (host.package("unina-runtime", "unina-compile") / "etc/unina/trusted-keys").is_dir()
    assert files["unina-runtime"] == {"/usr/bin/unina-bench"}
    assert set(files) == {"unina-detector", "unina-compile", "unina-runtime", "unina-runtime-doc"}
    assert host.files("unina-system") == {"unina-system": IN_SYSTEM}
    assert (host.package("unina-system", "unina-system") / "data").is_dir()
    bundle = {f"/usr/share/unina/bundles/cones.unina/{path.name}" for path in BUNDLE.iterdir()}
    assert host.files("unina-model") == {"unina-model": bundle | {"/usr/lib/tmpfiles.d/unina-model.conf"}}
    keys = {"/etc/ssh/authorized_keys.d/root", "/etc/ssh/sshd_config.d/10-unina.conf"}
    assert host.files("unina-ssh") == {"unina-ssh": keys}
    assert host.files("unina-trusted-key") == {"unina-trusted-key": {"/etc/unina/trusted-keys/team.pub"}}


def test_services_are_enabled_by_preset(host: Built) -> None:
    for recipe, package in (("unina-runtime", "unina-detector"), ("unina-runtime", "unina-compile")):
        preset = host.package(recipe, package) / PRESETS[1:] / f"98-{package}.preset"
        assert f"enable {package}.service" in preset.read_text().splitlines()


def test_nothing_of_cmakes_installation_is_lost_or_there_twice(host: Built, tmp_path: Path) -> None:
    """`cmake --install` once more, into a folder of its own, beside what the packages hold of it."""
    folder = host.build.folder / "installed-again"
    shell = f"rm -rf {folder} && DESTDIR={folder} cmake --install {host.work('unina-runtime')}/build"
    done = subprocess.run([*as_builder(), "bash", "-c", shell], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    installed = ["/" + str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    packaged = [path for files in host.files("unina-runtime").values() for path in files]
    assert sorted(path for path in packaged if not path.startswith(PRESETS)) == sorted(installed)


def test_shared_libraries_are_depended_on_by_the_package_that_loads_them(host: Built) -> None:
    assert host.depends("unina-detector") >= {
        "glibc", "gstreamer1.0", "gstreamer1.0-plugins-base", "gstreamer1.0-plugins-base-app", "highway", "mosquitto",
        "opencv", "openssl", "zeromq",
    }  # fmt: skip
    assert host.depends("unina-compile") >= {"python3-core", "python3-json", "unina-detector"}
    assert {"python3-numpy", "highway", "opencv"} <= host.depends("python3-unina-runtime")


def test_users_are_made_from_the_recipes_parameters(host: Built) -> None:
    """useradd.bbclass made them in the recipe's own sysroot, with Debian's useradd."""
    etc = host.work("unina-runtime") / "recipe-sysroot" / "etc"
    for user in ("unina", "unina-compile"):
        assert re.search(rf"(?m)^{user}:.*:/:/usr/sbin/nologin$", (etc / "passwd").read_text()), user
    groups = dict(re.findall(r"(?m)^([\w-]+):.*:(.*)$", (etc / "group").read_text()))
    assert groups["render"] == groups["video"] == "unina,unina-compile"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One picture in four formats, each of another size: every decoder and the letterbox are in what is compared."""
    folder = tmp_path_factory.mktemp("pictures")
    picture = cv2.imread(str(ROOT / "docs" / "images" / "detections.jpg"))
    assert picture is not None
    cv2.imwrite(str(folder / "a.jpg"), picture)
    cv2.imwrite(str(folder / "b.png"), picture[:, ::-1])
    cv2.imwrite(str(folder / "c.bmp"), cv2.resize(picture, None, fx=0.5, fy=0.5))
    cv2.imwrite(str(folder / "d.webp"), cv2.resize(picture, None, fx=1.3, fy=0.9), [cv2.IMWRITE_WEBP_QUALITY, 90])
    return folder


def emulated(command: list[object], environment: dict[str, object] | None = None) -> str:
    """A program for 64-bit ARM with Debian's libraries, on QEMU's nearest CPU to an Orin's. Returns its output."""
    root = debian() / "root"
    settings = [word for name, value in (environment or {}).items() for word in ("-E", f"{name}={value}")]
    words = ["qemu-aarch64-static", "-cpu", "cortex-a76", "-L", root, *settings, *command]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False, timeout=1800)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_times(lines: str) -> str:
    without, count = re.subn(r'"latency_ms":\{[^}]*\},', "", lines)
    assert count == lines.count("\n")
    return without


def assert_detects_as_here(one: Built, pictures: Path) -> None:
    """Every byte of the JSON Lines but the times."""
    arguments = ["--bundle", BUNDLE, "--accelerator", "host", "--source", f"images:{pictures}"]
    got = without_times(
        emulated([one.package("unina-runtime", "unina-detector") / "usr/bin/unina-detector", *arguments])
    )
    here = Path(sys.executable).with_name("unina-detector")
    done = subprocess.run([here, *map(str, arguments)], capture_output=True, text=True, check=True)
    expected = without_times(done.stdout)
    assert sum(len(json.loads(line)["detections"]) for line in expected.splitlines()) > 10
    assert got == expected


def test_the_detector_for_arm_finds_to_the_last_bit_what_this_machines_finds(host: Built, pictures: Path) -> None:
    assert_detects_as_here(host, pictures)


def test_the_python_binding_for_arm_finds_to_the_last_bit_what_this_machines_finds(
    host: Built, pictures: Path, tmp_path: Path
) -> None:
    script = (
        "import sys, numpy as np, unina_runtime\n"
        "found = unina_runtime.Detector(sys.argv[1], accelerator='host').detect(np.load(sys.argv[2]))\n"
        "print(len(found.scores), *(each.tobytes().hex() for each in (found.boxes, found.scores, found.classes)))\n"
    )
    picture = tmp_path / "picture.npy"
    np.save(picture, np.asarray(cv2.imread(str(pictures / "b.png"))))
    arguments = ["-c", script, BUNDLE, picture]
    package = host.package("python3-unina-runtime", "python3-unina-runtime")
    (module,) = machine_code(package)
    assert module.suffixes == [".cpython-311-aarch64-linux-gnu", ".so"]
    numpy_too = debian() / "root/usr/lib/python3/dist-packages"
    found = {"PYTHONPATH": f"{package / SITE_PACKAGES}:{numpy_too}", "PYTHONDONTWRITEBYTECODE": 1}
    got = emulated([debian() / "root/usr/bin/python3.11", "-S", *arguments], found)
    here = [sys.executable, *map(str, arguments)]
    expected = subprocess.run(here, capture_output=True, text=True, check=True).stdout
    assert int(expected.split()[0]) > 5
    assert got == expected


def test_a_second_build_does_nothing(host: Built) -> None:
    done = host.build.run(f"bitbake -c package_qa {' '.join(RECIPES)}")
    attempted = re.search(r"Attempted (\d+) tasks of which (\d+) didn't need to be rerun", done.stdout)
    assert attempted is not None, done.stdout[-2000:]
    assert attempted[1] == attempted[2], done.stdout[-2000:]


def test_an_edited_source_rebuilds_the_recipes_that_have_it_and_no_other(host: Built) -> None:
    """Planned only. The sources are files of the layer, unpacked anew: all of such a recipe is compiled again."""

    def planned() -> set[str]:
        done = host.build.run(f"bitbake -n -c package_qa {' '.join(RECIPES)}")
        assert done.returncode == 0, done.stdout[-2000:]
        return set(re.findall(r"Running (?:noexec )?task .*/([\w.-]+)_[^/]*\.bb:do_compile", done.stdout))

    for edited, recipes in (
        ("runtime/src/sha256.cpp", {"python3-unina-runtime", "unina-runtime"}),
        ("docs/service.md", {"unina-runtime"}),
        ("docs/benchmarks.md", set()),
        ("recipes-ai/unina-system/files/data.mount", {"unina-system"}),
        ("model-tools/unina/__init__.py", {"unina-model-tools"}),
    ):
        path = host.build.checkout / edited
        before = path.read_bytes()
        path.write_bytes(before + b"\n")
        try:
            assert planned() == recipes, edited
        finally:
            path.write_bytes(before)
    assert planned() == set()


@pytest.fixture(scope="module")
def orin() -> Built:
    """What is other on a Jetson: compiled against NVIDIA's own headers, with none of its libraries."""
    recipes = ["packagegroup-unina", "packagegroup-unina-workshop", "unina-runtime", "unina-system"]
    return built("real-orin", ORIN, recipes)


def has_tensorrt() -> bool:
    if os.environ.get("UNINA_TRT_INCLUDE"):
        return True
    reason = (
        "NOT SHOWN HERE: the accelerator tensorrt; UNINA_TRT_INCLUDE names no folder with NvInfer.h (nvidia_headers.py)"
    )
    warn(reason, stacklevel=2)
    return False


def test_the_build_for_an_orin_passes_quality_control_without_a_warning(orin: Built) -> None:
    assert warnings(orin, ["unina-runtime", "unina-system", "packagegroup-unina-workshop"]) == []
    assert orin.work("unina-runtime").parts[-3] == "armv8a_tegra234-unina-linux"
    assert "by-partlabel/UDA" in (orin.package("unina-system", "unina-system") / UNITS[1:] / "data.mount").read_text()


def test_an_orins_detector_has_the_accelerators_and_depends_on_what_they_open(orin: Built) -> None:
    program = orin.package("unina-runtime", "unina-detector") / "usr/bin/unina-detector"
    offered = {"cudla-hybrid", "host"} | ({"tensorrt"} if has_tensorrt() else set())
    found = re.search(r"What runs the network: (.*?), or auto", " ".join(emulated([program, "--help"]).split()))
    assert found is not None and set(found[1].split(", ")) == offered
    needed = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"NEEDED.*(cuda|cudla|nvinfer|nvbuf)", needed)
    assert orin.depends("unina-detector") >= {
        "cuda-cudart", "gstreamer1.0-plugins-nvarguscamerasrc", "gstreamer1.0-plugins-nvvidconv", "libcudla", "opencv",
        "tegra-libraries-core", "tegra-libraries-cuda", "tensorrt-core",
    }  # fmt: skip
    assert orin.depends("unina-compile") >= {"nv-tegra-release", "tegra-libraries-dla-compiler", "tensorrt-trtexec"}


def test_an_orins_detector_runs_on_the_host_engine_without_nvidias_libraries(orin: Built, pictures: Path) -> None:
    assert_detects_as_here(orin, pictures)


def test_the_sysroots_own_include_folder_is_not_searched_before_the_c_plus_plus_library(orin: Built) -> None:
    """Behind -isystem /usr/include scarthgap's <cstdlib> finds no <stdlib.h>; Debian's compiler hides that."""
    work = orin.work("unina-runtime")
    commands = json.loads((work / "build" / "compile_commands.json").read_text())
    wrong = re.compile(rf"-isystem\s*{re.escape(str(work / 'recipe-sysroot/usr/include'))}/?\s")
    assert [one["file"] for one in commands if wrong.search(one["command"])] == []
