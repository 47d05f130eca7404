"""What `cmake --install` lays out for a machine that boots into the detector: units, users, rules, unina-compile."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What the rest of the installation adds, which has to be compiled for it.
COMPILED = ("/usr/bin/unina-bench", "/usr/bin/unina-detector")
CONFIGURATION = "/etc/unina/detector.toml"


def install_system(folder: Path, prefix: Path = Path("/usr")) -> Path:
    """Installs the component below folder/stage (DESTDIR) and returns that. Nothing is compiled for it."""
    source, build, stage = folder / "source", folder / "build", folder / "stage"
    source.mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.25)\nproject(unina VERSION 0.1.0 LANGUAGES NONE)\n"
        "set(CMAKE_INSTALL_LIBDIR lib)\ninclude(GNUInstallDirs)\n"
        f'add_subdirectory("{ROOT / "runtime" / "systemd"}" systemd)\n'
    )
    cmake("-S", source, "-B", build, f"-DCMAKE_INSTALL_PREFIX={prefix}")
    cmake("--install", build, destdir=stage)
    return stage


def cmake(*arguments: object, destdir: Path | None = None) -> None:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", **({"DESTDIR": str(destdir)} if destdir else {})}
    subprocess.run(["cmake", *map(str, arguments)], check=True, capture_output=True, timeout=120, env=environment)


def stage_files(stage: Path) -> list[str]:
    return sorted("/" + str(path.relative_to(stage)) for path in stage.rglob("*") if not path.is_dir())
