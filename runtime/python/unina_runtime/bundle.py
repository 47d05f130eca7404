"""A model bundle on disk (docs/bundle.md)."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from unina_runtime import _unina


class Bundle:
    """A `.unina` directory, every file of which has the size and SHA-256 that its manifest states.

    Raises:
        UninaError: a file is missing, damaged, or not in the manifest; the message names it.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._bundle = _unina.Bundle(os.fspath(path))
        self._manifest: dict[str, Any] = json.loads(self._bundle.manifest_json)
        self.path = Path(path)

    @property
    def manifest(self) -> dict[str, Any]:
        """manifest.json, checked."""
        return self._manifest

    def read(self, name: str) -> bytes:
        """The bytes of a file that the manifest names, verified again as they are read.

        Raises:
            UninaError: the manifest names no such file, or it was changed.
        """
        return self._bundle.read(name)
