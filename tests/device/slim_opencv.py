"""Debian's OpenCV without the 200 libraries that GDAL, FFmpeg and GStreamer bring along.

The image's OpenCV is not built with them; emulated, loading them took longer than all the rest of the detector's start.
Each that OpenCV names is replaced on the device by an empty library of that name whose functions return 0: pictures are
PNGs, and nothing else is opened.
"""

import re
import subprocess
from collections import defaultdict
from pathlib import Path

OPENCV = ("core", "imgproc", "imgcodecs", "videoio")
KEPT = ("libopencv_", "libjpeg", "libpng", "libwebp", "libopenjp2", "libz.", "libtbb", "liblapack", "libblas")
KEPT += ("libstdc++", "libm.", "libgcc_s", "libc.", "ld-linux")
TOOLS = "aarch64-linux-gnu-"


def empty_libraries(libraries: Path, folder: Path) -> dict[str, Path]:
    """In place of what Debian's OpenCV of `libraries` need not have, by name. Made in `folder`, anew."""
    folder.mkdir(parents=True, exist_ok=True)
    opencv = [next(libraries.glob(f"libopencv_{name}.so.4*")) for name in OPENCV]
    wanted = {line.split()[-1].split("@")[0] for one in opencv for line in _tool("nm", "-D", "-u", one).splitlines()}
    needed = {name for one in opencv for name in re.findall(r"NEEDED.*\[(.*)\]", _tool("readelf", "-d", one))}
    return {
        name: _empty_library(libraries / name, wanted, folder) for name in sorted(needed) if not name.startswith(KEPT)
    }


def _empty_library(real: Path, wanted: set[str], folder: Path) -> Path:
    """With those symbols of the real one that are wanted, and their versions, without which the loader complains."""
    kinds = {True: "function", False: "object"}
    lines, versions = [], defaultdict(list)
    for line in _tool("nm", "-D", "--defined-only", real).splitlines():
        _, kind, symbol = line.rsplit(maxsplit=2)
        name, _, version = symbol.partition("@")
        if name not in wanted:
            continue
        function = kind in "TtWwi"
        lines += [".text" if function else ".data", f".globl {name}", f".type {name}, %{kinds[function]}", f"{name}:"]
        lines += ["mov x0, 0", "ret"] if function else [".zero 512"]
        if version:
            versions[version.strip("@")].append(name)
    source, script, made = folder / f"{real.name}.s", folder / f"{real.name}.map", folder / real.name
    source.write_text("\n".join(lines) + "\n")
    script.write_text("".join(f"{name} {{ {' '.join(f'{s};' for s in them)} }};\n" for name, them in versions.items()))
    words = ["-shared", "-nostdlib", f"-Wl,-soname,{real.name}", "-o", made, source]
    _tool("g++", *words, *([f"-Wl,--version-script={script}"] if versions else []))
    return made


def _tool(name: str, *words: object) -> str:
    command = [TOOLS + name, *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
