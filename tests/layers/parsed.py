"""What BitBake makes of our layers, by bitbake_parse.py in a process of its own."""

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = [ROOT, ROOT / "meta-unina-dla"]
PROGRAM = Path(__file__).parent / "bitbake_parse.py"
TIMEOUT_S = 120


@functools.cache
def parsed(
    overrides: str = "", layers: tuple[Path, ...] = tuple(LAYERS), beside: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Recipes, machines, distros and layers, each a name and its variables; skips where there is no BitBake.

    `beside` names layers of others that are taken to be there, for what ours have only then.
    """
    if importlib.util.find_spec("bb") is None:
        pytest.skip("no BitBake: pip install -r tests/layers/requirements.txt (make setup does)")
    command = [sys.executable, str(PROGRAM), *map(str, layers), f"--overrides={overrides}", "--beside", *beside]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def local_files(recipe: dict[str, str]) -> list[Path]:
    """The file:// entries of a recipe's SRC_URI, found as BitBake finds them: in the first folder that has them."""
    found = []
    for entry in recipe.get("SRC_URI", "").split():
        scheme, _, rest = entry.partition("://")
        assert scheme == "file", f"{recipe['file']}: {entry}: ours are built from this checkout alone"
        name = rest.partition(";")[0]
        places = [Path(folder) / name for folder in recipe["FILESPATH"].split(":") if folder]
        there = [place for place in places if place.exists()]
        assert there, f"{recipe['file']}: {entry} is in none of {recipe['FILESPATH']}"
        found.append(there[0])
    return found
