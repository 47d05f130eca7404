"""Every relative link of every Markdown page leads to a file of the repository, and to a heading of that file."""

from pathlib import Path

import pytest
from markdown_links import anchors, links
from repository import ROOT, tracked

PAGES = tracked("*.md")


def broken(page: Path, markdown: str) -> list[str]:
    """The links of a page that lead nowhere."""
    found = []
    for target in links(markdown):
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if not path.exists() or not path.is_relative_to(ROOT):
            found.append(f"{target}: no such file")
        elif anchor and anchor not in anchors(markdown if path == page else path.read_text(encoding="utf-8")):
            found.append(f"{target}: no such heading")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page, page.read_text(encoding="utf-8")) == []


def test_pages_are_found() -> None:
    assert ROOT / "README.md" in PAGES and ROOT / "docs" / "from" / "onnx.md" in PAGES


def test_a_broken_link_is_seen_and_code_is_none() -> None:
    page = ROOT / "docs" / "bundle.md"
    said = "[a](absent.md) [b](first-boot.md#absent) [c](#absent) [d](first-boot.md#signatures) `[e](absent.md)`\n"
    assert broken(page, f"{said}```\nf[0](absent)\n```\n") == [
        "absent.md: no such file",
        "first-boot.md#absent: no such heading",
        "#absent: no such heading",
    ]


def test_anchors_are_those_of_github() -> None:
    headings = "# `unina-dla`, `--json`\n## A — b?\n## A — b?\n## [Linked](x.md) text\n```\n# no heading\n```\n"
    assert anchors(headings) == {"unina-dla---json", "a--b", "a--b-1", "linked-text"}
