"""The Python reference: every name in it says what it is, and what it raises."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from reference_tree import REEXPORTING, RUNTIME, dotted, members, modules, packages
from repository import ROOT

Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Named:
    """A name of the reference, and the docstrings that stand around it."""

    name: str
    node: Definition
    outer: str


def defined(tree: ast.Module | ast.ClassDef, prefix: str, outer: str) -> Iterator[Named]:
    """Public functions and classes, and public methods of those."""
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield Named(f"{prefix}.{node.name}", node, outer)
            if isinstance(node, ast.ClassDef):
                yield from defined(node, f"{prefix}.{node.name}", outer + (ast.get_docstring(node) or ""))


def in_file(path: Path) -> list[Named]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return list(defined(tree, dotted(path), ast.get_docstring(tree) or ""))


def shown() -> list[Named]:
    """All that the reference shows."""
    found = []
    for package in packages():
        if package in REEXPORTING:
            found += [one for path, name in sources(package) for one in in_file(path) if is_part(one, path, name)]
        else:
            found += [one for path in [package / "__init__.py", *modules(package)] for one in in_file(path)]
    return found


def sources(package: Path) -> Iterator[tuple[Path, str]]:
    """Where each name of `__all__` is defined."""
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            module = package / str(node.module).rpartition(".")[2]
            path = next(path for path in (module.with_suffix(".py"), module.with_suffix(".pyi")) if path.is_file())
            yield from ((path, alias.name) for alias in node.names if alias.name in members(package))


def is_part(one: Named, path: Path, name: str) -> bool:
    """Whether it is this name of the module, or a method of it."""
    whole = f"{dotted(path)}.{name}"
    return one.name == whole or one.name.startswith(f"{whole}.")


def raised(node: Definition) -> set[str]:
    """Exceptions that a function raises by name and does not catch itself."""
    if isinstance(node, ast.ClassDef):
        return set()
    caught = {
        name.id
        for handler in ast.walk(node)
        if isinstance(handler, ast.ExceptHandler) and handler.type is not None
        for name in ast.walk(handler.type)
        if isinstance(name, ast.Name)
    }
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Raise) and one.exc is not None:
            name = one.exc.func if isinstance(one.exc, ast.Call) else one.exc
            if isinstance(name, ast.Name) and name.id[0].isupper():
                found.add(name.id)
    return found - caught - {"NotImplementedError"}


SHOWN = shown()


def test_every_public_name_has_a_docstring() -> None:
    assert [one.name for one in SHOWN if not ast.get_docstring(one.node)] == []


def test_every_module_says_what_it_is() -> None:
    files = [path for package in packages() for path in [package / "__init__.py", *modules(package)]]
    assert [str(path) for path in files if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))] == []


def test_a_function_names_what_it_raises() -> None:
    silent = [
        f"{one.name}: {name}"
        for one in SHOWN
        for name in sorted(raised(one.node))
        if name not in one.outer + (ast.get_docstring(one.node) or "")
    ]
    assert silent == []


def test_all_that_unina_runtime_exports_is_found() -> None:
    found = {one.node.name for one in SHOWN if one.name.startswith("unina_runtime.")}
    named = set(members(RUNTIME)) - {"Picture", "PixelFormat"}  # types, which have no def; picture.py documents them
    assert named <= found
    assert len(SHOWN) > 900


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("def f():\n raise ValueError('x')", {"ValueError"}),
        ("def f():\n try:\n  raise KeyError\n except KeyError: pass", set()),
        ("def f(e):\n raise e", set()),
    ],
)
def test_what_is_raised_is_seen(code: str, names: set[str]) -> None:
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef) and raised(node) == names


def test_every_page_of_docs_that_code_names_is_there() -> None:
    for path in [
        *(ROOT / "model-tools").rglob("*.py"),
        *(ROOT / "runtime").rglob("*.py"),
        *(ROOT / "ros").rglob("*.py"),
    ]:
        for name in re.findall(r"\bdocs/[a-z/-]+\.md\b", path.read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{path}: {name}"
