"""What compiling needs of a bundle's manifest.json (docs/bundle.md), as typed values.

Nothing of a manifest ever becomes an option of a program as it stands: formats and types are looked up in tables.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from unina_runtime.compile.outcome import Refused

SCHEMA = 1
NETWORK_SCHEMA = 2
"""of a bundle that unina_runtime.Network runs"""
MOST_MANIFEST_BYTES = 16 << 20
MOST_FILE_BYTES = 1 << 30
"""of a file of a bundle; the networks that a DLA can hold are far smaller"""
MOST_BUNDLE_BYTES = 4 << 30
MOST_FILES = 1000
AGAIN = "export or copy the bundle again"

DLA_FORMATS: Mapping[tuple[str, str, str], str] = {
    ("input", "int8", "linear"): "int8:dla_linear",
    ("input", "int8", "hwc4"): "int8:dla_hwc4",
    ("input", "int8", "chw32"): "int8:chw32",
    ("output", "int8", "linear"): "int8:dla_linear",
    ("output", "int8", "chw32"): "int8:chw32",
    ("output", "float16", "linear"): "fp16:dla_linear",
    ("output", "float16", "chw16"): "fp16:chw16",
}
"""Role, dtype and format of a manifest, as trtexec spells what crosses the DLA's border."""


@dataclass(frozen=True)
class BundleFile:
    """What the manifest says of a file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class BorderTensor:
    """An input or output of the network."""

    role: str
    """input or output"""
    dtype: str
    """int8 or float16"""
    format: str
    """linear, hwc4, chw16 or chw32"""

    @property
    def dla(self) -> str:
        """type:layout as trtexec takes it for the DLA."""
        return DLA_FORMATS[self.role, self.dtype, self.format]

    @property
    def gpu(self) -> str:
        """The same for an engine on the GPU: plain rows."""
        return f"{'int8' if self.dtype == 'int8' else 'fp16'}:chw"


@dataclass(frozen=True)
class Seen:
    """An object of the self-test's picture."""

    class_id: int
    box: tuple[float, float, float, float]
    """x0, y0, x1, y1 in the picture's pixels"""


@dataclass(frozen=True)
class SelfTest:
    """A picture of the bundle, and what is to be found in it."""

    picture: str
    expected: tuple[Seen, ...]


@dataclass(frozen=True)
class Manifest:
    """A manifest, as far as compiling goes."""

    name: str
    inputs: tuple[BorderTensor, ...]
    outputs: tuple[BorderTensor, ...]
    files: Mapping[str, BundleFile]
    classes: tuple[str, ...]
    max_detections: int
    selftest: SelfTest | None

    @property
    def bytes(self) -> int:
        """Of all files."""
        return sum(file.bytes for file in self.files.values())


def parse_manifest(content: bytes, origin: str) -> Manifest:
    """Reads manifest.json; `origin` is its path, for messages.

    Raises:
        Refused: not a manifest of this schema, or one that names a file outside the bundle.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Refused(f"{origin}: not valid JSON; {AGAIN}") from error
    if not isinstance(document, dict):
        raise Refused(f"{origin}: is not a JSON object; {AGAIN}")
    if document.get("schema") == NETWORK_SCHEMA:
        raise Refused(
            f"{origin}: its network detects nothing (decode {shown(document.get('decode'))}), and a detector is what "
            "serves here; unina-dla command prints what compiles it"
        )
    if document.get("schema") != SCHEMA or isinstance(document["schema"], bool):
        raise Refused(
            f"{origin}: schema: this program reads schema {SCHEMA}, the bundle has "
            f"{shown(document.get('schema'))}; export it with the matching unina-export"
        )
    try:
        name = document["name"]
        tensors = [_tensor(entry, origin) for entry in document["tensors"]]
        files = {path: _file(path, entry, origin) for path, entry in document["files"].items()}
        classes, most = tuple(map(str, document["classes"])), int(document["max_detections"])
        selftest = _selftest(document["selftest"], files, origin) if "selftest" in document else None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise Refused(f"{origin}: not a manifest as docs/bundle.md has it ({shown(error)}); {AGAIN}") from error
    if not isinstance(name, str):
        raise Refused(f"{origin}: name: {shown(name)} is not a text; {AGAIN}")
    if not 0 < len(files) <= MOST_FILES:
        raise Refused(f"{origin}: files: names {len(files)} files, not 1 to {MOST_FILES}; {AGAIN}")
    borders = {role: tuple(tensor for tensor in tensors if tensor.role == role) for role in ("input", "output")}
    if not borders["input"] or not borders["output"]:
        raise Refused(f"{origin}: tensors: a network has at least one input and one output; {AGAIN}")
    if (size := sum(file.bytes for file in files.values())) > MOST_BUNDLE_BYTES:
        raise Refused(f"{origin}: files: have {size} bytes together, more than {MOST_BUNDLE_BYTES}; {AGAIN}")
    return Manifest(name, borders["input"], borders["output"], files, classes, most, selftest)


def _selftest(entry: Any, files: Mapping[str, BundleFile], origin: str) -> SelfTest:
    picture = entry["picture"]
    if picture not in files:
        raise Refused(f"{origin}: selftest: picture: {shown(picture)} is not one of the files; {AGAIN}")
    expected = []
    for one in entry["expected"]:
        x0, y0, x1, y1 = map(float, one["box"])
        if not (-1e6 < x0 < x1 < 1e6 and -1e6 < y0 < y1 < 1e6):
            raise Refused(f"{origin}: selftest: box: {shown(one['box'])} is not x0, y0, x1, y1 of a box; {AGAIN}")
        expected.append(Seen(int(one["class_id"]), (x0, y0, x1, y1)))
    if not expected:
        raise Refused(f"{origin}: selftest: expected: nothing, so it would show nothing; {AGAIN}")
    return SelfTest(picture, tuple(expected))


def shown(value: object, most: int = 80) -> str:
    """A value from a bundle in a message: short, and without anything that a terminal would obey."""
    text = str(value)
    return re.sub(r"[^\x20-\x7e]", "?", text if len(text) <= most else text[: most - 3] + "...")


def stays_inside(path: str) -> bool:
    """Whether a path is relative, downwards and in plain parts: nothing that could leave the bundle."""
    parts = path.split("/")
    plain = not re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", path) and len(path) <= 200
    return plain and all(part not in {"", ".", ".."} for part in parts)


def _tensor(entry: Any, origin: str) -> BorderTensor:
    tensor = BorderTensor(str(entry["role"]), str(entry["dtype"]), str(entry["format"]))
    if (tensor.role, tensor.dtype, tensor.format) not in DLA_FORMATS:
        raise Refused(
            f"{origin}: tensors: {shown(entry['name'])}: {shown(tensor.role)} {shown(tensor.dtype)} in "
            f"{shown(tensor.format)} cannot cross the DLA's border; {AGAIN}"
        )
    return tensor


def _file(path: str, entry: Any, origin: str) -> BundleFile:
    sha256, size = entry["sha256"], entry["bytes"]
    if not stays_inside(path) or path == "manifest.json":
        raise Refused(f"{origin}: files: {shown(path)} is not a path inside the bundle (relative, without '..')")
    if not isinstance(sha256, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise Refused(f"{origin}: files: {shown(path)}: sha256: {shown(sha256)} is not 64 hex digits; {AGAIN}")
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MOST_FILE_BYTES:
        raise Refused(f"{origin}: files: {shown(path)}: bytes: {shown(size)} is not 0 to {MOST_FILE_BYTES}; {AGAIN}")
    return BundleFile(sha256.lower(), size)
