"""What an installation holds: the product, and nothing that was made with a stand-in of a vendor's library."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from installed_system import install_system, stage_files

ROOT = Path(__file__).parents[2]
BUILD = Path(os.environ.get("UNINA_PROGRAM_DIR", ROOT / "build" / "runtime" / "programs")).parent
MARKERS = (b"standin_set_faults", b"UNINA_FAKE_SDK")


def cmake(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)


def test_the_product_installs_without_anything_of_the_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTDIR", str(tmp_path))  # a build for a wheel names its folders from the root on
    done = cmake("--install", BUILD, "--component", "runtime")
    assert done.returncode == 0, done.stderr
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name.startswith("unina-detector") for path in files)
    for path in files:
        assert not any(marker in path.read_bytes() for marker in MARKERS), path


SYSTEM = """
/etc/unina/compile.toml
/usr/bin/unina-compile
/usr/lib/systemd/system/unina-compile.service
/usr/lib/systemd/system/unina-compile@.service
/usr/lib/systemd/system/unina-detector.service
/usr/lib/systemd/system/unina-detector@.service
/usr/lib/systemd/system/unina-update.path
/usr/lib/systemd/system/unina-update.service
/usr/lib/systemd/system/unina-update@.path
/usr/lib/systemd/system/unina-update@.service
/usr/lib/sysusers.d/unina.conf
/usr/lib/tmpfiles.d/unina.conf
/usr/lib/udev/rules.d/60-unina.rules
/usr/share/doc/unina/examples/unina-detector-network.conf
/usr/share/doc/unina/first-boot.md
/usr/share/doc/unina/service.md
/usr/share/doc/unina/update.md
"""
PACKAGE = Path("/usr/share/unina/python/unina_runtime")


def test_what_a_machine_boots_with_is_laid_out_once(tmp_path: Path) -> None:
    stage = install_system(tmp_path)
    compiler = ROOT / "runtime" / "python" / "unina_runtime" / "compile"
    modules = [str(PACKAGE / "compile" / path.name) for path in compiler.glob("*.py")]
    assert stage_files(stage) == sorted([*SYSTEM.split(), str(PACKAGE / "__init__.py"), *modules])
    assert (stage / "etc/unina/trusted-keys").is_dir()
    assert (stage / "usr/bin/unina-compile").stat().st_mode & 0o111
    assert all("@" not in name for name in stage_files(stage) if not name.endswith(("@.service", "@.path")))


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no /usr/bin/python3, which unina-compile runs on")
def test_the_installed_compiler_needs_neither_numpy_nor_the_rest_of_the_package(tmp_path: Path) -> None:
    prefix = tmp_path / "usr"
    stage = install_system(tmp_path, prefix)
    shutil.copytree(stage / str(tmp_path).lstrip("/"), tmp_path, dirs_exist_ok=True)
    code = "import runpy, sys; sys.modules['numpy'] = None; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    program = [prefix / "bin" / "unina-compile", "--bundle", tmp_path / "none.unina", "--accelerator", "host"]
    words = ["/usr/bin/python3", "-I", "-c", code, *map(str, program), "--state", str(tmp_path / "state")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and "no such bundle" in done.stderr


@pytest.mark.parametrize(
    "culprit",
    ["standins/libcudla.so.1", "standins/libcudart.so.12", "test_cudla_hybrid", "unina-detector-for-standins"],
)
@pytest.mark.parametrize("component", [None, "runtime"])
@pytest.mark.parametrize("staged", [False, True])
def test_a_stand_in_or_what_was_linked_to_one_is_refused(
    tmp_path: Path, culprit: str, component: str | None, staged: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, build, prefix = tmp_path / "source", tmp_path / "build", tmp_path / "prefix"
    source.mkdir()
    guard = ROOT / "runtime" / "cmake" / "no_standins.cmake"
    innocent = source / "innocent.txt"
    innocent.write_text("cudaSetDevice, libcudla.so.1")
    (source / "part").mkdir()
    (source / "part" / "CMakeLists.txt").write_text(
        f'install(FILES "{BUILD / "tests" / culprit}" DESTINATION lib COMPONENT runtime)\n'
    )
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(guarded NONE)\n"
        f'install(FILES "{innocent}" DESTINATION share COMPONENT runtime)\n'
        f'if(NOT HARMLESS)\n  add_subdirectory(part)\nendif()\ninclude("{guard}")\n'
    )
    if staged:
        monkeypatch.setenv("DESTDIR", str(tmp_path / "stage"))
    only = [] if component is None else ["--component", component]
    assert cmake("-S", source, "-B", build, "-DHARMLESS=ON").returncode == 0
    assert cmake("--install", build, "--prefix", prefix, *only).returncode == 0
    assert cmake("-S", source, "-B", build, "-DHARMLESS=OFF").returncode == 0
    done = cmake("--install", build, "--prefix", prefix, *only)
    assert done.returncode != 0
    assert Path(culprit).name in done.stderr and "must not be installed" in done.stderr
    where = tmp_path / "stage" / str(prefix).lstrip("/") if staged else prefix
    assert [path.name for path in where.rglob("*") if path.is_file()] == ["innocent.txt"]
    shutil.rmtree(build)
