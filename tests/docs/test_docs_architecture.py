"""docs/architecture.md matches the tree: every folder that it names is there, and every room of the tree is named."""

import re
from pathlib import Path

import pytest
from repository import ROOT, tracked

PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
BASES = ("", "model-tools", "runtime/python")
ROOMS_OF = ("model-tools", "model-tools/unina", "runtime", "runtime/src", "runtime/python/unina_runtime", "tests")
FOLDERS = {parent.relative_to(ROOT) for path in tracked() for parent in path.parents if parent.is_relative_to(ROOT)}


def named(page: str) -> set[str]:
    """Folders and files that the page names in `code`: what ends in a slash, and what the root has."""
    codes = set(re.findall(r"`([\w./-]+)`", re.sub(r"```.*?```", "", page, flags=re.S)))
    return {code for code in codes if code.endswith("/") or (ROOT / code).is_file()}


def missing(names: set[str]) -> list[str]:
    """Of such names, those that stand for nothing: neither a path nor, for one word, the name of any folder."""
    found = []
    for name in sorted(names):
        path = Path(name)
        whole = any((ROOT / base / path).exists() for base in BASES)
        if not whole and not (len(path.parts) == 1 and any(folder.name == path.name for folder in FOLDERS)):
            found.append(name)
    return found


def rooms() -> set[str]:
    """Folders that a reader of the page must find: those of the root, and those in the larger rooms."""
    top = {folder for folder in FOLDERS if len(folder.parts) == 1}
    return {str(folder) for folder in FOLDERS if str(folder.parent) in ROOMS_OF} | {str(folder) for folder in top}


def unnamed(page: str) -> list[str]:
    """Rooms that the page leaves out."""
    names = {name.rstrip("/") for name in named(page)}
    whole = {str(Path(base) / name) for base in BASES for name in names}
    return sorted(room for room in rooms() if not any(one == room or one.startswith(f"{room}/") for one in whole))


def test_everything_that_it_names_is_there() -> None:
    assert missing(named(PAGE)) == []


def test_every_room_is_named() -> None:
    assert unnamed(PAGE) == []


@pytest.mark.parametrize("room", ["unina/dla", "runtime/src/nvmm", "kas", "unina_runtime/profile"])
def test_a_room_that_is_left_out_is_seen(room: str) -> None:
    assert len(unnamed(PAGE.replace(f"`{room}/`", ""))) == 1


def test_a_folder_that_is_not_there_is_seen() -> None:
    assert missing(named("`runtime/src/absent/` `nowhere/` `rules/` `Makefile`")) == ["nowhere/", "runtime/src/absent/"]
