"""A bundle that an emulated processor can keep up with: the smallest plan, untrained, 64×96, exported like any other.

The pictures are noise of blocks, in which an untrained network sees plenty.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[2]
CLASSES = ("blue_cone", "yellow_cone")
HEIGHT, WIDTH = 64, 96
DEPENDS = ("model-tools/unina", "tests/device/pico_bundle.py")


def pico_bundle(cache: Path, seed: int = 0) -> Path:
    """`pico.unina`, exported unless it is there. By a process of its own: PyTorch stays out of the test's memory."""
    key = hashlib.sha256(str(seed).encode())
    for name in DEPENDS:
        path = ROOT / name
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            key.update(file.read_bytes())
    folder = cache / f"pico-{seed}-{key.hexdigest()[:8]}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache) as name:
            fresh = Path(name) / "pico"
            fresh.mkdir()
            subprocess.run([sys.executable, __file__, str(fresh), str(seed)], check=True, timeout=600, cwd=ROOT)
            fresh.rename(folder)
    return folder / "pico.unina"


def write_pictures(folder: Path, count: int, size: tuple[int, int] = (120, 200)) -> Path:
    """PNGs of coloured blocks; lossless, so that every decoder gives the same pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    for number in range(count):
        blocks = random.integers(0, 256, (12, 20, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{number:03}.png"), cv2.resize(blocks, size[::-1], interpolation=cv2.INTER_CUBIC))
    return folder


def write_data(folder: Path) -> Path:
    """What calibration wants: a few labelled pictures."""
    for split in ("train", "val"):
        write_pictures(folder / "images" / split, 4)
        (folder / "labels" / split).mkdir(parents=True)
        for picture in (folder / "images" / split).glob("*.png"):
            (folder / "labels" / split / f"{picture.stem}.txt").write_text("0 0.5 0.5 0.2 0.4\n")
    names = [f"  {number}: {name}" for number, name in enumerate(CLASSES)]
    (folder / "data.yaml").write_text(
        "\n".join(["path: .", "train: images/train", "val: images/val", "names:", *names])
    )
    return folder / "data.yaml"


def export(folder: Path, seed: int) -> None:
    """Makes the bundle in `folder`."""
    import torch  # noqa: PLC0415 (heavy, and not needed where the bundle is there)
    from torch import nn  # noqa: PLC0415

    from unina.cli.export import main  # noqa: PLC0415
    from unina.model import Detector, ModelSpec, save_checkpoint  # noqa: PLC0415

    torch.manual_seed(seed)
    spec = ModelSpec(input_height=HEIGHT, input_width=WIDTH, levels=("p3", "p4"))
    detector = Detector(spec, len(CLASSES), CLASSES)
    for module in detector.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    checkpoint = folder / "checkpoint.pt"
    save_checkpoint(checkpoint, detector.eval(), {"seed": seed})
    words = [checkpoint, "--data", write_data(folder / "data"), "--output", folder / "pico.unina", "--no-accuracy"]
    words += ["--calibration-images", 4, "--score-threshold", 0.4]
    if main([str(word) for word in words]) != 0:
        raise SystemExit(1)
    expect_what_it_finds(folder / "pico.unina")


def expect_what_it_finds(bundle: Path) -> None:
    """What an untrained network finds in its self-test's picture is what it must find there wherever it runs."""
    from unina_runtime import Detector  # noqa: PLC0415 (not where only constants are wanted)

    found = Detector(str(bundle), accelerator="host").detect(cv2.imread(str(bundle / "selftest.png")))
    manifest = json.loads((bundle / "manifest.json").read_text())
    expected = [
        {"class_id": int(number), "box": [float(side) for side in box]}
        for number, box in zip(found.classes, found.boxes, strict=True)
    ]
    manifest["selftest"] = {"picture": "selftest.png", "expected": expected}
    (bundle / "manifest.json").write_text(json.dumps(manifest))


if __name__ == "__main__":
    export(Path(sys.argv[1]), int(sys.argv[2]))
