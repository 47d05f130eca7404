"""Test vectors: inputs of a bundle's network and what the host engine answers, to be replayed on a Jetson."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unina.data import read_image
from unina.data.images import SUFFIXES
from unina.data.scenes.render import render_scene
from unina.data.whole import new_folder
from unina.evaluate.arithmetic import Arithmetic
from unina.evaluate.band import CAVEAT
from unina.evaluate.picture_input import PictureInput
from unina.evaluate.raw_maps import HostMaps
from unina.evaluate.stages import centred_int8
from unina.evaluate.surface import LINEAR, Int8, Surface, surfaces_of

SCHEMA = 1
INDEX = "vectors.json"
SCRIPT = "replay.sh"
RETURNED = "returned"
"""Per vector: `returned.json` of trtexec, or a folder `returned` with a file an output."""
LOADABLE = "host.loadable"
SCENE_WIDTH, SCENE_HEIGHT = 1280, 720


@dataclass(frozen=True)
class VectorBundle:
    """What vectors need of a bundle."""

    path: Path
    name: str
    picture: PictureInput
    surfaces: tuple[Surface, ...]
    rounding: str
    """the bundle's own"""
    loadable: bytes

    @classmethod
    def open(cls, path: Path) -> "VectorBundle":
        """Reads and verifies. Raises ValueError: no bundle, damaged, or not one input of int8."""
        where = path / "manifest.json"
        try:
            manifest = json.loads(where.read_bytes())
            picture = PictureInput.of_manifest(manifest)
            name, rounding = str(manifest["name"]), str(manifest["rounding"])
            listed = manifest["files"][LOADABLE]["sha256"]
            loadable = (path / LOADABLE).read_bytes()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: not a readable bundle ({error})") from error
        if sha256(loadable) != listed:
            raise ValueError(f"{path / LOADABLE}: is not the file that manifest.json names; export or copy it again")
        surfaces = surfaces_of(manifest, where)
        if [surface.role for surface in surfaces].count("input") != 1:
            raise ValueError(f"{where}: vectors are made for networks of one input")
        return cls(path, name, picture, surfaces, rounding, loadable)

    @property
    def input(self) -> Surface:
        """The network's one input."""
        return next(surface for surface in self.surfaces if surface.role == "input")

    @property
    def outputs(self) -> tuple[Surface, ...]:
        """In the manifest's order."""
        return tuple(surface for surface in self.surfaces if surface.role == "output")

    def maps(self, arithmetic: Arithmetic) -> "VectorMaps":
        """The network on the host engine."""
        return VectorMaps(HostMaps(self.loadable, arithmetic), self.outputs)


class VectorMaps:
    """int8 C×H×W in, int8 C×H×W of every output out."""

    def __init__(self, maps: HostMaps, outputs: Sequence[Surface]) -> None:
        self._maps = maps
        self._outputs = outputs

    def __call__(self, values: Int8) -> dict[str, Int8]:
        found = self._maps(values[None])
        return {output.name: found[output.name][0].astype(np.int8, copy=False) for output in self._outputs}


@dataclass(frozen=True)
class Picture:
    """What one vector is made of."""

    name: str
    pixels: npt.NDArray[np.uint8]
    """H×W×3 BGR"""


def scenes(count: int, seed: int) -> list[Picture]:
    """Synthetic scenes; a scene depends on the seed and its number alone."""
    return [
        Picture(f"scene {index} of seed {seed}", render_scene(seed, 0, index, SCENE_WIDTH, SCENE_HEIGHT).pixels)
        for index in range(count)
    ]


def pictures_in(folder: Path, count: int) -> list[Picture]:
    """The first pictures of a folder and below, by name. Raises ValueError when it holds none or one is unreadable."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise ValueError(f"{folder}: holds no JPEG or PNG picture")
    return [Picture(path.relative_to(folder).as_posix(), read_image(path)) for path in found[:count]]


def write_vectors(
    bundle: VectorBundle,
    pictures: Sequence[Picture],
    output: Path,
    arithmetics: Sequence[Arithmetic],
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Writes the folder, as a whole or not at all: inputs, expected outputs, `vectors.json` and `replay.sh`.

    Args:
        bundle: whose network answers.
        pictures: letterboxed as everywhere, one vector each.
        output: folder to make.
        arithmetics: modes whose answers are written.
        force: replace what is there.

    Returns:
        The content of vectors.json.

    Raises:
        ValueError: the folder is there and not empty, or the engine refuses the bundle.
    """
    engines = {str(arithmetic): bundle.maps(arithmetic) for arithmetic in arithmetics}
    with new_folder(output, force=force) as folder:
        vectors = []
        for number, picture in enumerate(pictures):
            values = centred_int8(bundle.picture.pixels(picture.pixels)[0])[0]
            vectors.append(_write_vector(bundle, engines, folder, f"{number:03d}", picture.name, values))
        index = {
            "schema": SCHEMA,
            "bundle": bundle.name,
            "loadable_sha256": sha256(bundle.loadable),
            "caveat": CAVEAT,
            "tensors": [{**asdict(s), "row_bytes": s.row_bytes, "bytes": s.buffer_bytes} for s in bundle.surfaces],
            "replay": {"trtexec": _TRTEXEC, "cudla": _CUDLA},
            "vectors": vectors,
        }
        (folder / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
        (folder / SCRIPT).write_text(_script(vectors), encoding="utf-8")
        (folder / SCRIPT).chmod(0o755)
    return index


def sha256(content: bytes) -> str:
    """Hex digits."""
    return hashlib.sha256(content).hexdigest()


def _write_vector(
    bundle: VectorBundle, engines: Mapping[str, VectorMaps], folder: Path, name: str, picture: str, values: Int8
) -> dict[str, Any]:
    (folder / name).mkdir()

    def put(where: str, content: bytes) -> dict[str, str]:
        (folder / where).parent.mkdir(parents=True, exist_ok=True)
        (folder / where).write_bytes(content)
        return {"file": where, "sha256": sha256(content)}

    surface = bundle.input
    written = put(f"{name}/{surface.file_name}", surface.pack(values))
    expected: dict[str, Any] = {}
    for mode, engine in engines.items():
        maps = engine(values)
        at = f"{name}/expected/{mode.replace(' ', '-')}"
        expected[mode] = {
            output.name: {
                output.layout: put(f"{at}/{output.file_name}", output.pack(maps[output.name])),
                LINEAR: put(f"{at}/{output.stem}.{LINEAR}.bin", maps[output.name].tobytes()),
            }
            for output in bundle.outputs
        }
    return {
        "folder": name,
        "picture": picture,
        "inputs": {surface.name: written},
        "expected": expected,
        "load_inputs": f"--loadInputs={_quoted(surface.name)}:{written['file']}",
        "export_output": f"--exportOutput={name}/{RETURNED}.json",
    }


def _quoted(name: str) -> str:
    """A tensor's name in trtexec's specifications, where a colon ends it."""
    return f"'{name}'" if ":" in name or "," in name else name


def _script(vectors: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "#!/bin/sh",
        "# Replays these vectors on a Jetson with trtexec of TensorRT 10 and writes what comes back beside them.",
        "# Usage: ./replay.sh ENGINE [DLA_CORE]; unina-dla command BUNDLE --engine prints what builds ENGINE.",
        "set -eu",
        'engine=$(realpath -- "${1:?usage: ./replay.sh ENGINE [DLA_CORE]}")',
        "core=${2:-0}",
        'cd -- "$(dirname -- "$0")"',
    ]
    for vector in vectors:
        words = " ".join(shlex.quote(vector[key]) for key in ("load_inputs", "export_output"))
        lines.append(
            f'trtexec --loadEngine="$engine" --useDLACore="$core" {words} --iterations=1 --warmUp=0 --duration=0'
        )
    return "\n".join(lines) + "\n"


_TRTEXEC = (
    "Build an engine: unina-dla command BUNDLE --engine | sh. Then ./replay.sh ENGINE writes FOLDER/returned.json for "
    "each vector. TensorRT 10 or newer: older ones export int8 as characters."
)
_CUDLA = (
    "For each vector: the buffer of an input holds its file as it is (cudlaModuleGetAttributes: the descriptor's size "
    "is `bytes`, its row stride `row_bytes`); after cudlaSubmitTask and synchronisation write the whole buffer of each "
    "output to FOLDER/returned/NAME.FORMAT.bin, named as the files in FOLDER/expected."
)
