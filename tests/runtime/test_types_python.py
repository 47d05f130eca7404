"""The type stubs say what the compiled module has, and what a caller may and may not write."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import unina_runtime
from unina_runtime import _unina

PACKAGE = Path(unina_runtime.__file__).parent
STUB = PACKAGE / "_unina.pyi"


def checked(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a module of mypy's, which looks for the package where this process has it."""
    installed = PACKAGE.parent.name == "site-packages"  # which mypy looks into by itself, and must not be told
    environment = os.environ if installed else os.environ | {"MYPYPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)


def test_the_stubs_name_everything_that_the_module_has(tmp_path: Path) -> None:
    allowed = tmp_path / "allowed.txt"  # pybind11's metaclass, which no stub can name
    allowed.write_text(r"unina_runtime\._unina\.(Bundle|Detector|HostEngine|MappedRing|Network|Placement)" + "\n")
    done = checked("mypy.stubtest", "unina_runtime._unina", "--allowlist", str(allowed))
    assert done.returncode == 0, done.stdout


def functions() -> Iterator[tuple[str, ast.FunctionDef, Any]]:
    """Every function of the stubs with the one that it describes."""
    for statement in ast.parse(STUB.read_text()).body:
        if isinstance(statement, ast.FunctionDef):
            yield statement.name, statement, getattr(_unina, statement.name)
        if isinstance(statement, ast.ClassDef):
            for member in statement.body:
                is_property = isinstance(member, ast.FunctionDef) and any(
                    isinstance(one, ast.Name) and one.id == "property" for one in member.decorator_list
                )
                if isinstance(member, ast.FunctionDef) and not is_property:
                    found = inspect.getattr_static(getattr(_unina, statement.name), member.name)
                    yield f"{statement.name}.{member.name}", member, getattr(found, "__func__", found)


def test_the_stubs_name_every_argument_as_the_module_does() -> None:
    count = 0
    for name, stub, found in functions():
        first = (found.__doc__ or "").splitlines()[0]  # pybind11 writes the signature there
        said = re.findall(r"[(,] ?(\w+): ", re.sub(r"\[[^()]*?\]", "", first))
        arguments = stub.args
        assert said == [one.arg for one in (*arguments.args, *arguments.kwonlyargs)], f"{name}: {first}"
        keywords = re.search(r"\*, (\w+):", first)
        assert (keywords[1] if keywords else None) == next((one.arg for one in arguments.kwonlyargs), None), name
        count += 1
    assert count > 10


GOOD = """
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unina_runtime import Bundle, Detections, Detector, HostEngine, Picture, letterbox


def sizes(frames: Iterable[Picture]) -> list[npt.NDArray[np.float32]]:
    detector = Detector(Path("cones.unina"), dla="both", dla_loadables=["a.dla", Path("b.dla")], dla_timeout_ms=50)
    print(detector.accelerator.upper(), detector.accelerator_reason, detector.times["infer"] * 2, detector.classes[0])
    return [found.boxes[:, 2:] - found.boxes[:, :2] for found in detector.detect_many(frames, "nv12")]


image = np.zeros((72, 128, 3), np.uint8)
found: Detections = Detector("cones.unina", "host", 0.5, threads=2).detect(image)
pixels, placement = letterbox(image, 32, 64)
source: npt.NDArray[np.float32] = placement.to_source(found.boxes)
maps = HostEngine(Bundle("cones.unina").read("host.loadable")).run({"images": np.zeros((1, 3, 32, 64), np.int8)})
print(len(found), pixels.shape, maps["p3_class"].dtype, sizes([image, (image[0], image[1])]))
"""
BAD = """
import numpy as np

from unina_runtime import Detector, letterbox

Detector("cones.unina", dla=2)
Detector("cones.unina", engine_on="dla")
Detector("cones.unina", dla_loadables=1)
Detector("cones.unina").detect(np.zeros((72, 128, 3)))
Detector("cones.unina").detect(np.zeros((72, 128, 3), np.uint8), "rgb")
Detector("cones.unina").accelerator = "host"
letterbox(np.zeros((72, 128, 3), np.uint8), 32, 64, color="hsv")
"""


def test_mypy_strict_takes_what_runs_and_refuses_what_does_not(tmp_path: Path) -> None:
    for name, sample in {"good": GOOD, "bad": BAD}.items():
        (tmp_path / f"{name}.py").write_text(sample)
    files = [str(tmp_path / "good.py"), str(tmp_path / "bad.py")]
    done = checked("mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), *files)
    refused = {int(line) for line in re.findall(r"bad\.py:(\d+): error", done.stdout)}
    expected = {number for number, line in enumerate(BAD.splitlines(), 1) if "(" in line}
    assert refused == expected, done.stdout
    assert "good.py" not in done.stdout, done.stdout
