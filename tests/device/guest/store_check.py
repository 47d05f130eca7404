"""On the device: is everything whole that was compiled, and is what is served one of it? Prints what is not, as JSON.

store_check.py LOADABLES
"""

import json
import sys
from hashlib import sha256
from pathlib import Path

SERVED = Path("/run/unina-compile/detector")


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


def wrong(loadables: Path) -> list[str]:
    """One line for each."""
    entries = [path.parent for path in loadables.glob("*/made.json")]
    found = []
    for entry in entries:
        made = json.loads((entry / "made.json").read_text())
        if made["payload_sha256"] != digest(entry / "loadable.bin"):
            found.append(f"{entry.name}: its loadable is not the one that was recorded")
        if made["bundle_sha256"] != digest(entry / "bundle" / "manifest.json"):
            found.append(f"{entry.name}: made of another bundle")
        for name, facts in json.loads((entry / "bundle" / "manifest.json").read_text())["files"].items():
            if digest(entry / "bundle" / name) != facts["sha256"]:
                found.append(f"{entry.name}: {name} is not the manifest's")
    for link in (loadables / "current" / "detector", SERVED):
        if link.resolve() not in entries:
            found.append(f"{link}: leads to {link.resolve()}, which is none of {[entry.name for entry in entries]}")
    return found


if __name__ == "__main__":
    print(json.dumps(wrong(Path(sys.argv[1]).resolve())))
