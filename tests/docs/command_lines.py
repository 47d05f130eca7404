"""Our commands in the blocks of Markdown pages, as words; and what each program's --help says it takes."""

import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repository import ROOT

BLOCK = re.compile(r"^(?P<indent> *)```(?:sh|bash|console)?\n(?P<text>.*?)^ *```", re.M | re.S)
INLINE = re.compile(r"(?<!`)`((?:sudo )?(?:unina-[a-z]+|make) [^`\n]+)`(?!`)")
BEFORE = re.compile(r"(?:sudo|exec|env|nice|[A-Z_]+=\S*|\$|PYTHONPATH=\S+)$")
OPTION = re.compile(r"^\s+(-{1,2}[A-Za-z][\w.-]*)(?:[ =][A-Z][\w.:-]*)?(?:,\s*(--[\w.-]+))?", re.M)
BIN = Path(os.environ.get("UNINA_PROGRAM_DIR", ROOT / ".venv" / "bin"))
MODULES = {f"unina-{name}": f"unina.cli.{name}" for name in ("data", "train", "prune", "export", "eval", "dla")} | {
    "unina-compile": "unina_runtime.compile.command",
    "unina-profile": "unina_runtime.profile.command",
}
SUBCOMMANDS = {"unina-data", "unina-dla", "unina-profile"}
FORMS = {"unina-detector": {"serve", "ctl"}, "unina-export": {"deepstream", "tensorrt-plugin"}}


@dataclass(frozen=True)
class Line:
    """One call of a program of ours, or of make."""

    program: str
    arguments: tuple[str, ...]

    @property
    def form(self) -> str:
        """The subcommand; "" where the program has none, or is called without."""
        first = next(iter(self.arguments), "")
        if self.program in SUBCOMMANDS:
            return first if re.fullmatch(r"[a-z-]+", first) and not first.startswith("-") else ""
        return first if first in FORMS.get(self.program, set()) else ""

    @property
    def options(self) -> list[str]:
        """The options that are given, without their values."""
        return [word.partition("=")[0] for word in self.arguments if re.match(r"--?[A-Za-z]", word)]


def lines(markdown: str) -> Iterator[Line]:
    """All such calls of a page, in blocks and in `inline code`."""
    for block in BLOCK.finditer(markdown):
        for text in block["text"].replace("\\\n", " ").splitlines():
            yield from calls(text)
    outside = re.sub(r"^ *```.*?^ *```", "", markdown, flags=re.M | re.S)
    for match in INLINE.finditer(outside):
        yield from calls(match[1])


def calls(text: str) -> Iterator[Line]:
    """The calls in one line of shell."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:  # prose with an apostrophe, or a block of another language
        return
    start = 0
    for end in [*(at for at, word in enumerate(words) if word in {"|", "&&", "||", ";", "--", "(", ")"}), len(words)]:
        part = words[start:end]
        start = end + 1
        while part and BEFORE.match(part[0]):
            part = part[1:]
        if part and (re.fullmatch(r"unina-[a-z]+", Path(part[0]).name) or part[0] == "make"):
            yield Line(Path(part[0]).name, tuple(part[1:]))


@functools.cache
def help_of(program: str, form: str = "") -> str:
    """What the program prints for --help."""
    command = [sys.executable, "-m", MODULES[program]] if program in MODULES else [str(BIN / program)]
    form_words = [form] if form else []
    done = subprocess.run(
        [*command, *form_words, "--help"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert done.returncode == 0, f"{program} {form}: there is no such command\n{done.stderr}"
    return done.stdout


@functools.cache
def options(program: str, form: str = "") -> frozenset[str]:
    """The options that --help lists."""
    found = {name for match in OPTION.findall(help_of(program, form)) for name in match if name}
    return frozenset(found)


def takes(line: Line, option: str) -> bool:
    """Whether the program has the option. Optional parts of unina-train's spec list theirs in a help of their own."""
    known = options(line.program, line.form)
    if line.program == "unina-prune" and "--retrain" in line.options:
        known |= options("unina-train")
    return option in known or any(name.endswith(".help") and option.startswith(name[:-4]) for name in known)
