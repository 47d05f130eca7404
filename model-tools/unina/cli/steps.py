"""Steps that are re-done only when something they depend on changed.

A step's fingerprint is the SHA-256 of its command, of the code and files it reads and of the steps before it. It is
written after the step succeeded, so an interrupted step runs again.
"""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unina.data.whole import write_whole


class StepError(Exception):
    """A step failed; the text says which, and what to do."""


def digest(paths: Iterable[Path]) -> str:
    """SHA-256 over names and contents of files and, recursively, folders (byte code aside)."""
    total = hashlib.sha256()
    for root in paths:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and path.suffix != ".pyc":
                total.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
                total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


@dataclass
class Steps:
    """Runs steps in order and remembers their fingerprints in `folder/steps.json`."""

    folder: Path
    say: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)
    _before: str = ""

    def run(
        self,
        title: str,
        command: Sequence[str | Path],
        *,
        reads: Sequence[Path],
        makes: Sequence[Path],
        advice: str,
        key: str = "",
    ) -> None:
        """Runs `command` unless its fingerprint is the remembered one and all it `makes` is there.

        `key` stands for whatever else the step depends on.

        Raises StepError, naming the command and giving `advice`, when the command fails.
        """
        words = [str(word) for word in command]
        fingerprint = hashlib.sha256("\0".join([self._before, key, *words, digest(reads)]).encode()).hexdigest()
        self._before = fingerprint
        known = self._load()
        if known.get(title) == fingerprint and all(path.exists() for path in makes):
            self.say(f"[green]✓[/] {title} [dim](unchanged)[/]")
            return
        self._save({name: value for name, value in known.items() if name != title})
        for stale in filter(Path.is_dir, makes):  # a shorter second run must not leave the first one's files
            shutil.rmtree(stale)
        self.say(f"[bold]▶ {title}[/]  [dim]{' '.join(words)}[/]")
        begin = time.monotonic()
        try:
            code = subprocess.run(words, check=False).returncode
        except OSError as error:
            raise StepError(f"{title} failed: {words[0]}: {error.strerror}. Run `make setup` first.") from error
        if code != 0:
            raise StepError(f"{title} failed: `{' '.join(words)}` ended with exit code {code}. {advice}")
        missing = [str(path) for path in makes if not path.exists()]
        if missing:
            raise StepError(f"{title} ended well but did not write {', '.join(missing)}. {advice}")
        self.seconds[title] = time.monotonic() - begin
        self.say(f"[green]✓[/] {title} [dim]({self.seconds[title]:.0f} s)[/]")
        self._save(self._load() | {title: fingerprint})

    def _load(self) -> dict[str, str]:
        try:
            content = json.loads((self.folder / "steps.json").read_text())
        except (OSError, ValueError):  # first run, or a file somebody broke: everything is re-done
            return {}
        return content if isinstance(content, dict) else {}

    def _save(self, known: dict[str, str]) -> None:
        write_whole(self.folder / "steps.json", json.dumps(known, indent=2).encode())
