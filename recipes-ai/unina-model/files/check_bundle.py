"""Refuses a bundle that its manifest does not describe, before it gets into an image.

    check_bundle.py cones.unina

The device checks the same again before it uses a bundle (docs/bundle.md); here a wrong one costs a build, not a car.
"""

import hashlib
import json
import sys
from pathlib import Path

SCHEMA = 1
NOT_IN_THE_MANIFEST = {"manifest.json", "signature"}


def faults(bundle: Path) -> list[str]:
    """Everything that is wrong with a bundle, a line each; empty if it is as its manifest says."""
    path = bundle / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files: dict[str, dict[str, object]] = manifest["files"]
        expected = {name: (str(entry["sha256"]), entry["bytes"]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"{path}: not a bundle's manifest: {error!r}"]
    found = []
    if manifest.get("schema") != SCHEMA:
        found.append(f"{path}: schema {manifest.get('schema')!r}, expected {SCHEMA}; export the bundle again")
    present = {entry.name: entry for entry in bundle.iterdir()}
    for name in sorted(present.keys() - expected.keys() - NOT_IN_THE_MANIFEST):
        found.append(f"{present[name]}: the manifest does not name it; remove it")
    for name, (sha256, size) in sorted(expected.items()):
        entry = present.get(name)
        if entry is None or entry.is_symlink() or not entry.is_file():
            found.append(f"{bundle / name}: the manifest names it, but it is no file here; export the bundle again")
        elif entry.stat().st_size != size or hashlib.sha256(entry.read_bytes()).hexdigest() != sha256:
            found.append(f"{entry}: not the bytes that the manifest names; export the bundle again")
    return found


def main() -> int:
    if len(sys.argv) != 2:
        print(f"usage: {Path(sys.argv[0]).name} BUNDLE.unina", file=sys.stderr)
        return 2
    found = faults(Path(sys.argv[1]))
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
