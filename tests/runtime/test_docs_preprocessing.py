"""docs/preprocessing.md runs: its Python blocks print what the page says, and the tests that it names exist."""

import contextlib
import io
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "preprocessing.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n\n```text\n(?P<said>.*?)```\n", re.DOTALL)


def test_every_block_prints_what_the_page_says() -> None:
    names: dict[str, Any] = {}
    blocks = list(BLOCK.finditer(PAGE))
    assert len(blocks) == PAGE.count("```python") == 2
    for block in blocks:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block["code"], "preprocessing.md", "exec"), names)
        assert out.getvalue() == block["said"]


def test_the_tests_that_the_page_names_exist() -> None:
    tests = ROOT / "tests" / "runtime"
    for name in set(re.findall(r"`(test_[a-z_]+)(?:\.\w+)?`", PAGE)):
        assert list(tests.glob(f"{name}.*")), name
    cases = (tests / "test_preprocess.cpp").read_text()
    for suite in ("ListedSize", "EveryFormat", "FastPath", "IsWithinOne", "YuvEquals", "Nv12Equals"):
        assert suite in PAGE and suite in cases


def test_the_constants_are_those_of_the_code() -> None:
    code = (ROOT / "runtime" / "include" / "unina" / "letterbox_pixel.h").read_text()
    for constant in ("1220542", "1673527", "852492", "409993", "2116026"):
        assert constant in code and constant in PAGE


def test_the_readme_names_every_fuzz_target() -> None:
    readme = (ROOT / "runtime" / "README.md").read_text(encoding="utf-8")
    listed = re.search(r"UNINA_FUZZ_TARGETS ([a-z ]+)\)", (ROOT / "tests/runtime/fuzz/CMakeLists.txt").read_text())
    assert listed and all(f"`{target}`" in readme for target in listed[1].split())
