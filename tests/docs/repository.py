"""The files of the repository, for tests of what is written about them."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> list[Path]:
    """The files that git knows."""
    listing = ["git", "ls-files", *patterns]
    lines = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / line for line in lines if (ROOT / line).is_file()]
