"""On the device: makes another bundle of the one that was shipped, good or hostile: what a network might bring.

new_bundle.py SHIPPED NEW KIND
"""

import json
import os
import shutil
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], None]) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))


def seal(bundle: Path, name: str, content: bytes) -> None:
    """A file, and what the manifest says of it."""
    (bundle / name).write_bytes(content)
    facts = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    rewrite(bundle, lambda manifest: manifest["files"].update({name: facts}))


def field(number: int, content: bytes) -> bytes:
    """Of a protobuf message, with less than 128 bytes."""
    return bytes([number << 3 | 2, len(content)]) + content


def newer(bundle: Path) -> None:
    """The same network under another manifest, which is what a bundle is known by."""
    rewrite(bundle, lambda manifest: manifest.update(provenance={"version": bundle.name}))


def blind(bundle: Path) -> None:
    """Detects nothing where it must."""
    rewrite(bundle, lambda manifest: manifest.update(thresholds=[1.0] * len(manifest["classes"])))


def wrong_hash(bundle: Path) -> None:
    with (bundle / "model.onnx").open("r+b") as file:
        file.write(b"?")


def extra_file(bundle: Path) -> None:
    (bundle / "run.sh").write_text("echo owned")


def link(bundle: Path) -> None:
    (bundle / "labels.txt").unlink()
    (bundle / "labels.txt").symlink_to("/etc/shadow")


def outside(bundle: Path) -> None:
    facts = {"sha256": "0" * 64, "bytes": 1}
    rewrite(bundle, lambda manifest: manifest["files"].update({"../../../../etc/passwd": facts}))


def sparse(bundle: Path) -> None:
    os.truncate(bundle / "model.onnx", 10 << 30)


def sparse_manifest(bundle: Path) -> None:
    os.truncate(bundle / "manifest.json", 10 << 30)


def weights_elsewhere(bundle: Path) -> None:
    """ModelProto.graph(7).initializer(5): name(8), external_data(13): key and value; data_location(14) = EXTERNAL."""
    entry = field(13, field(1, b"location") + field(2, b"/etc/shadow"))
    tensor = bytes([1 << 3, 1, 2 << 3, 1]) + field(8, b"w") + entry + bytes([14 << 3, 1])
    seal(bundle, "model.onnx", bytes([1 << 3, 8]) + field(7, field(5, tensor)))


if __name__ == "__main__":
    shipped, made, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(shipped, made)
    globals()[kind](made)
