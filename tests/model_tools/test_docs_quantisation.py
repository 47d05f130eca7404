"""docs/quantisation.md runs: every block is executed, and what it prints is what the page says.

Run as a program it writes what the blocks print under them, and draws the page's picture.
"""

import contextlib
import io
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "quantisation.md"
PICTURE = ROOT / "docs" / "images" / "calibrators.png"
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<said>.*?)```\n)?", re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def run(page: str) -> tuple[list[str], dict[str, Any]]:
    """What each block prints, all in one namespace, from the repository's root; and that namespace."""
    names: dict[str, Any] = {}
    printed = []
    with contextlib.chdir(ROOT):
        for number, block in enumerate(BLOCK.finditer(page), start=1):
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(block["code"], f"{PAGE.name}, block {number}", "exec"), names)
            printed.append(out.getvalue())
    return printed, names


def agree(said: str, printed: str) -> bool:
    """The same words, and numbers that differ by no more than another CPU's rounding would."""
    if NUMBER.sub("#", said).split() != NUMBER.sub("#", printed).split():
        return False
    pairs = zip(map(float, NUMBER.findall(said)), map(float, NUMBER.findall(printed)), strict=True)
    return all(math.isclose(a, b, rel_tol=0.05, abs_tol=0.02) for a, b in pairs)


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")


def test_every_block_runs_and_prints_what_the_page_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    said = [block["said"] for block in BLOCK.finditer(page)]
    assert len(said) >= 6
    for number, (wanted, found) in enumerate(zip(said, run(page)[0], strict=True), start=1):
        assert wanted is not None and agree(wanted, found), f"block {number} prints:\n{found}\nthe page says:\n{wanted}"


def test_the_comparison_can_fail() -> None:
    assert agree("a 1.00 b", "a 1.01 b")
    assert not agree("a 1.00 b", "a 1.20 b") and not agree("a 1.00 b", "c 1.00 b")


def write() -> None:
    """The page with what its blocks print now, and its picture."""
    page = PAGE.read_text(encoding="utf-8")
    printed, names = run(page)
    texts = iter(printed)
    told = BLOCK.sub(lambda m: f"```python\n{m['code']}```\n\n```text\n{next(texts)}```\n", page)
    PAGE.write_text(told, encoding="utf-8")
    draw(names)


def draw(names: dict[str, Any]) -> None:
    """The histogram of the page's activation with the calibrators' thresholds."""
    from matplotlib.figure import Figure  # noqa: PLC0415

    counts, amax = names["counts"], names["amax"]
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    edges = [amax * i / len(counts) for i in range(len(counts))]
    axes.fill_between(edges, counts.clip(0.5), 0.5, step="post", color="#888", linewidth=0)
    axes.set_yscale("log")
    for color, (name, threshold) in zip(
        ("#222", "#1f77b4", "#d62728", "#2ca02c"), names["thresholds"].items(), strict=True
    ):
        axes.axvline(threshold, color=color, label=f"{name} {threshold:.2f}")
    axes.set_xlabel(f"magnitude of {names['tensor']}")
    axes.set_ylabel("values in a bin")
    axes.set_xlim(0, amax * 1.02)
    axes.legend(frameon=False, bbox_to_anchor=(0.97, 1), loc="upper right")
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    write()
    sys.exit(0)
