"""What the Python reference is made of: the packages of the tree, without those of programs.

cli, compile and profile explain themselves with --help. Files are read as text; nothing is imported.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKSTATION = ROOT / "model-tools" / "unina"
RUNTIME = ROOT / "runtime" / "python" / "unina_runtime"
PROGRAMS = {"cli", "compile", "profile"}
REEXPORTING = (RUNTIME, RUNTIME / "tensorrt")
"""Packages whose `__all__` is the public face; of the others every module is shown."""


def packages() -> Iterator[Path]:
    """The folders that have a page, in the order of the navigation."""
    for room in sorted(WORKSTATION.iterdir()):
        if room.is_dir() and room.name not in PROGRAMS:
            yield from sorted(path.parent for path in room.rglob("__init__.py"))
    yield from REEXPORTING


def dotted(path: Path) -> str:
    """The name by which Python imports a module or package."""
    base = WORKSTATION.parent if path.is_relative_to(WORKSTATION) else RUNTIME.parent
    return ".".join(path.relative_to(base).with_suffix("").parts)


def modules(package: Path) -> list[Path]:
    """Modules of a package that are shown in full."""
    if package in REEXPORTING:
        return []
    return sorted(path for path in package.glob("*.py") if not path.name.startswith("_"))


def members(package: Path) -> list[str]:
    """Names of the package itself that are shown: `__all__` where it re-exports, else what its __init__ defines."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    if package not in REEXPORTING:
        kinds = (ast.FunctionDef, ast.ClassDef)
        return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            return [str(name) for name in ast.literal_eval(node.value)]
    raise ValueError(f"{package}/__init__.py: no __all__, which its page is made of")
