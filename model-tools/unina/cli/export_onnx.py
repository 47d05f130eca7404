"""`unina-export --from-onnx`: a bundle of a network that was not made here."""

import argparse
import json
import math
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from unina.export.from_onnx import OnnxResult, OnnxSettings

IMAGENET = "imagenet"
NUMBERS = 3
Progress = Callable[[str, int], AbstractContextManager[Callable[[], None]]]


def add_onnx(top: argparse.ArgumentParser) -> None:
    """Adds what only --from-onnx takes."""
    group = top.add_argument_group(
        "with --from-onnx (docs/from/onnx.md)",
        "What the file doesn't say: which pixels the network was trained on, and what becomes of its outputs.",
    )
    add = group.add_argument
    add("--from-onnx", type=Path, metavar="MODEL.onnx", help="a network of anybody's, instead of a checkpoint")
    add(
        "--mean",
        metavar="M[,M,M]",
        help="what was subtracted from pixels of 0 to 255 in training, one or three in the order of --color, or "
        "imagenet, for --std too (default: 0)",
    )
    add("--std", metavar="S[,S,S]", help="what they were divided by (default: 255, so that the network saw 0 to 1)")
    add("--color", choices=("rgb", "bgr"), help="order of the network's input channels (default: rgb)")
    add("--input-size", metavar="WxH", help="of a file that leaves height and width open")
    add(
        "--decode",
        choices=("classify", "raw"),
        help="classify: the one output holds a logit a class; raw: the maps as they are, for the caller to decode "
        "(default: classify where the output has a value for each class, else raw)",
    )
    add("--outputs", metavar="NAME[,NAME]", help="end the network at these tensors instead of its own outputs")
    add(
        "--level",
        action="append",
        metavar="STRIDE=CLASSES,BOXES",
        help="of a detector whose maps mean what ours mean (docs/bundle.md): logits, and distances or bins of them; "
        "repeat it for every level, the finest first. unina-detector serves such a bundle",
    )
    add("--labels", type=Path, metavar="FILE", help="class names, one a line (default: those of DATA.yaml)")


ONLY_ONNX = ("mean", "std", "color", "input_size", "decode", "outputs", "labels", "level")
ONLY_CHECKPOINT = {"precision": "int8", "max_drop": None, "fp16_layers": None}
"""with their defaults"""


def check_form(arguments: argparse.Namespace) -> None:
    """Raises ValueError for a command line that mixes the two ways to a bundle, or takes none."""
    if (arguments.checkpoint is None) == (arguments.from_onnx is None):
        raise ValueError("give a checkpoint.pt of unina-train, or --from-onnx MODEL.onnx: one of the two")
    wrong = [name for name in ONLY_ONNX if arguments.from_onnx is None and getattr(arguments, name) is not None]
    if arguments.from_onnx is not None:
        wrong = [name for name, default in ONLY_CHECKPOINT.items() if getattr(arguments, name) != default]
    if wrong:
        which = "a checkpoint" if arguments.from_onnx is not None else "--from-onnx"
        raise ValueError(f"--{wrong[0].replace('_', '-')} goes with {which} alone; leave it out")


def run_onnx(arguments: argparse.Namespace, progress: Progress) -> int:
    """Writes the bundle and says what became of the network; returns the exit code."""
    from unina.export.from_onnx import export_onnx_bundle  # noqa: PLC0415

    settings = _settings(arguments)
    result = export_onnx_bundle(settings, progress)
    if arguments.json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        _report(result, settings)
    return 0


def _settings(arguments: argparse.Namespace) -> "OnnxSettings":
    from unina.export.from_onnx import OnnxSettings  # noqa: PLC0415
    from unina.export.level_maps import LevelMaps  # noqa: PLC0415
    from unina.export.pixels import IMAGENET_MEAN, IMAGENET_STD, Normalisation  # noqa: PLC0415

    if arguments.mean == IMAGENET:
        if arguments.std is not None:
            raise ValueError("--mean imagenet brings its own --std; leave that out")
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        if arguments.color == "bgr":
            mean, std = mean[::-1], std[::-1]
    else:
        mean, std = _three("--mean", arguments.mean or "0"), _three("--std", arguments.std or "255")
    return OnnxSettings(
        model=arguments.from_onnx,
        data=arguments.data,
        output=arguments.output,
        decode=arguments.decode,
        outputs=tuple(filter(None, (arguments.outputs or "").split(","))),
        labels=arguments.labels,
        levels=tuple(LevelMaps.parse(text) for text in arguments.level or ()),
        score_threshold=arguments.score_threshold,
        input_size=_size(arguments.input_size),
        color=arguments.color or "rgb",
        normalisation=Normalisation(mean, std),
        calibration=arguments.calibration,
        calibration_images=arguments.calibration_images,
        rounding=arguments.rounding,
        name=arguments.name,
        seed=arguments.seed,
        force=arguments.force,
        accuracy=not arguments.no_accuracy,
        sign=arguments.sign,
    )


def _three(option: str, text: str) -> tuple[float, float, float]:
    try:
        values = [float(word) for word in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, NUMBERS) or not all(map(math.isfinite, values)):
        raise ValueError(f"{option} {text}: one number, or three with commas between them")
    first, second, third = values * (NUMBERS // len(values))
    return first, second, third


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if match is None:
        raise ValueError(f"--input-size {text}: expected WIDTHxHEIGHT, for instance 224x224")
    return int(match[2]), int(match[1])


def _report(result: "OnnxResult", settings: "OnnxSettings") -> None:
    from unina.export.parity import LOW_SNR_DB, parity_table  # noqa: PLC0415

    console = Console()
    console.print(parity_table(result.parity, "file"))
    for row in result.parity:
        if row.host_snr_db < LOW_SNR_DB:
            console.print(
                f"warning: {row.output}: the signal is only {row.host_snr_db:.0f} dB above the error of INT8; "
                "calibrate on more pictures, or with another --calibration"
            )
    for what, told in (
        ("agreement", "same first class as the file"),
        ("top1", "right first class"),
        ("map50", "mAP50"),
        ("map50_95", "mAP50-95"),
    ):
        values = {name: form[what] for name, form in result.accuracy.items() if what in form}
        if values:
            first = next(iter(result.accuracy.values()))
            count = first["labelled" if what == "top1" else "images"]
            console.print(f"{told}, of {count} pictures of val: {_shares(values)}", highlight=False)
    mean, std = (
        " ".join(f"{v:g}" for v in values) for values in (settings.normalisation.mean, settings.normalisation.std)
    )
    console.print(f"pixels: {settings.color}, ({mean}) subtracted, divided by ({std})", highlight=False)
    for note in result.notes:
        console.print(f"note: {note}", highlight=False, markup=False)
    outputs = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in result.outputs.items())
    console.print(f"decode {result.decode}: {outputs}", highlight=False, markup=False)
    verdict = "every node" if result.dla.check.on_dla else "NOT every node (unina-dla check says which and why)"
    now = next(iter(result.dla.estimates.values()))
    console.print(f"on the DLA, by its documented rules: {verdict}; estimated {now}", highlight=False)
    console.print(f"wrote {result.bundle} ({result.bytes / 2**20:.1f} MiB)", highlight=False)


def _shares(values: dict[str, float]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in values.items())
