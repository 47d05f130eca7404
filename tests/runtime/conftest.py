"""The bundle that the tests of the runtime share: valid, tiny, and each test's own."""

from pathlib import Path

import pytest
from tiny_bundle import TinyBundle, make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> TinyBundle:
    return make_bundle(tmp_path / "tiny.unina")
