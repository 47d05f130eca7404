"""The house keeps its rules: imports go one way, no nameless files, no forbidden licences, no telemetry."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "model-tools" / "unina"
ROOMS = ["data", "model", "dla", "evaluate", "train", "compress", "export", "cli"]
RUNTIME_USERS = {"data", "evaluate", "cli"}
FORBIDDEN = {"ultralytics", "yolov6", "mmyolo", "mmdet", "albumentations", "albumentationsx"}


def imports(path: Path) -> set[str]:
    """Dotted names of every module that a file imports, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import; write the whole name"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_to_its_left(room: str) -> None:
    allowed = set(ROOMS[: ROOMS.index(room) + 1])
    for path in (PACKAGE / room).rglob("*.py"):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] == "unina" and len(parts) > 1:
                assert parts[1] in allowed, f"{path} imports {name}"
            if parts[0] == "unina_runtime":
                assert room in RUNTIME_USERS, f"{path} imports {name}"
            assert parts[0] not in FORBIDDEN, f"{path} imports {name}"


def test_runtime_never_imports_the_workstation() -> None:
    for path in (PACKAGE.parents[1] / "runtime" / "python").rglob("*.py"):
        assert not any(name.split(".")[0] == "unina" for name in imports(path)), path


def test_every_file_has_a_name_that_says_something() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=PACKAGE, capture_output=True, text=True, check=True).stdout
    for line in listed.splitlines():
        assert Path(line).stem not in {"utils", "util", "misc", "common", "helpers", "stuff"}, line


def test_importing_unina_switches_telemetry_off_before_onnx_runtime_loads() -> None:
    code = (
        "import os, sys; os.environ.pop('ORT_DISABLE_TELEMETRY', None); import unina; "
        "assert 'onnxruntime' not in sys.modules; assert os.environ['ORT_DISABLE_TELEMETRY'] == '1'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
