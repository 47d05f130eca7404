"""The commands of every page can be typed: programs, subcommands, options, targets of make and files are there."""

import re
from pathlib import Path

import pytest
from command_lines import MODULES, Line, calls, help_of, lines, options, takes
from repository import ROOT, tracked

PAGES = [page for page in tracked("*.md") if list(lines(page.read_text(encoding="utf-8")))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
SCRIPTS = tracked("meta-unina-dla/*/unina-fleet", "*/scripts/*")
PROGRAMS = {*MODULES, "unina-detector", "unina-bench"}
ROOMS = ("model-tools/", "runtime/", "recipes-ai/", "kas/", "tests/", "docs/")


def faults(line: Line) -> list[str]:
    """What of a command is not there."""
    if line.program == "make":
        words = [word for word in line.arguments if re.fullmatch(r"[a-z-]+", word)]
        return [f"make {word}" for word in words[:1] if word not in TARGETS]
    if line.program not in PROGRAMS:
        script = next((path.read_text(encoding="utf-8") for path in SCRIPTS if path.name == line.program), "")
        return [word for word in ([line.program, *line.options]) if word not in script]
    help_of(line.program, line.form)
    wrong = [f"{line.program} {line.form} {option}" for option in line.options if not takes(line, option)]
    paths = [word.partition(":")[2] or word for word in line.arguments if word.startswith(ROOMS)]
    return wrong + [path for path in paths if not (ROOT / path).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_can_be_typed(page: Path) -> None:
    wrong = {fault for line in lines(page.read_text(encoding="utf-8")) for fault in faults(line)}
    assert wrong == set()


def test_every_program_is_told_somewhere() -> None:
    assert {line.program for page in PAGES for line in lines(page.read_text(encoding="utf-8"))} >= PROGRAMS


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("unina-eval a.unina --data d.yaml --stages all", []),
        ("sudo unina-profile record -o a.json -- unina-bench --bundle b.unina --jason", ["unina-bench  --jason"]),
        ("unina-detector serve --bundel x && unina-detector ctl status --json", ["unina-detector serve --bundel"]),
        ("unina-train model-tools/specs/absent.yaml --output x", ["model-tools/specs/absent.yaml"]),
        ("unina-train model-tools/specs/cones.yaml --output x --train.lr=1 --distil.teacher t", []),
        ("unina-foo --x", ["unina-foo", "--x"]),
        ("unina-fleet --server", []),
        ("make demo DATA=x && make dmeo", ["make dmeo"]),
        ("systemctl restart unina-compile --now", []),
    ],
)
def test_what_cannot_be_typed_is_seen(text: str, wrong: list[str]) -> None:
    assert [fault for line in calls(text) for fault in faults(line)] == wrong


def test_an_unknown_subcommand_is_seen() -> None:
    with pytest.raises(AssertionError, match="no such command"):
        faults(Line("unina-dla", ("chekc", "model.onnx")))


def test_options_are_read_from_every_help() -> None:
    assert {"--stages", "--data"} <= options("unina-eval")
    assert {"--bundle", "--dla-loadable"} <= options("unina-detector", "serve")
    assert {"-o"} <= options("unina-profile", "record")
