"""The README's Python blocks run as they are written, on a machine that seems to have a DLA."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from standin_dla import Dla, standin_loadable
from tiny_bundle import TinyBundle

README = Path(__file__).parents[2] / "runtime" / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[-1][:30])
def test_a_block_runs(tmp_path: Path, bundle: TinyBundle, monkeypatch: pytest.MonkeyPatch, block: str) -> None:
    dla = Dla(monkeypatch, tmp_path / "report.txt")
    (tmp_path / "cones.unina").symlink_to(bundle.path)
    standin_loadable(bundle, tmp_path / "cones.dla")
    pixels = np.random.default_rng(0).integers(0, 256, (72, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "track.jpg"), pixels)
    film = cv2.VideoWriter(str(tmp_path / "drive.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 72))
    for _ in range(3):
        film.write(pixels)
    film.release()
    dla.plug_in()
    done = subprocess.run(
        [sys.executable, "-c", block],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    if "detect_many" in block:
        assert done.stdout.startswith("cudla-hybrid because a loadable for DLA core 0\n")
        assert done.stdout.count("'infer': ") == 3 and "_cone 0." in done.stdout


def test_the_readme_has_such_blocks() -> None:
    assert len(BLOCKS) >= 2
