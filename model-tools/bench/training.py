#!/usr/bin/env python3
"""Trains our detector and another one side by side, both from random weights, and compares speed and accuracy.

Both see the very same batches, as many of them and in the same order. In one process a slice of steps of one alternates
with the same slice of the other, so that whatever else the machine does falls on both; cutting the crops is timed
apart. At the end both are scored on the same pictures, at the same input size, through the same letterbox and metric.
docs/benchmarks.md says what is fair about it and what is not.
"""

import argparse
import json
import math
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

from peers import RECIPES, Peer, PeerError, PeerStage, require  # (beside this file)

from unina.cli.train import SpecError, parse
from unina.data import DataError
from unina.evaluate import run_stage
from unina.evaluate.classes import same_classes
from unina.evaluate.score import HEIGHTS, coco_scores
from unina.evaluate.summary import Scored
from unina.train import RunSpec
from unina.train.loader import Batch
from unina.train.mixture import Mixture, load_mixture
from unina.train.processes import Processes
from unina.train.trainer import Trainer, TrainingError, on_device

SLICE = 10
"""Steps of one detector before the other's turn: seconds, so that noise that lasts longer hits both."""
EXAMPLES = """examples:
  training.py --data cones/data.yaml
  training.py --data cones/data.yaml --crops 1600 --threads 1 --json > side_by_side.json
  training.py --data cones/data.yaml --peer rtdetr-r18 --crops 800
  training.py --spec model-tools/specs/pico-demo.yaml --data cones/data.yaml --plan pico

Any other option is a field of the spec, as unina-train takes it: --train.batch 16 --model.levels '[p3, p4, p5]'.
Exit code: 0 measured, 2 it can't say.
"""


@dataclass(frozen=True)
class Turn:
    """One detector's part of a slice."""

    images: int
    seconds: float
    cpu_seconds: float
    """of all threads"""
    loss: float
    """mean over the steps"""

    @property
    def images_per_s(self) -> float:
        """By the clock on the wall."""
        return self.images / self.seconds

    @property
    def images_per_cpu_s(self) -> float:
        """By the CPU time that was had."""
        return self.images / max(self.cpu_seconds, 1e-9)


@dataclass(frozen=True)
class Slice:
    """The same steps of both."""

    step: int
    """optimiser steps before it"""
    preparing_s: float
    """time to cut its crops, which counts for neither"""
    ours: Turn
    peer: Turn

    @property
    def ratio(self) -> float:
        """Our images/s over the peer's."""
        return self.ours.images_per_s / self.peer.images_per_s

    @property
    def ratio_cpu(self) -> float:
        """The same by CPU time, for a machine that does other things too."""
        return self.ours.images_per_cpu_s / self.peer.images_per_cpu_s


@dataclass(frozen=True)
class Accuracy:
    """On the val split; fractions."""

    map50: float
    map50_95: float
    ap50: dict[str, float]
    map50_by_height: dict[str, float | None]
    """by box height in pixels of the input"""
    images: int
    boxes: int

    @classmethod
    def of(cls, scored: Scored) -> "Accuracy":
        """By the metric of `unina-eval`."""
        scores = coco_scores(scored.truths, scored.detections, scored.names, scored.input_size)
        names = [f"{low:g}-{high:g}" if high < 1e4 else f"{low:g}-" for low, high in HEIGHTS]
        known = [None if math.isnan(height) else height for height in scores.map50_by_height]
        boxes = sum(len(truth.classes) for truth in scored.truths)
        heights = dict(zip(names, known, strict=True))
        return cls(scores.map50, scores.map50_95, scores.ap50, heights, len(scored.truths), boxes)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when measured, 2 when it can't say."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser()
    options, others = parser.parse_known_args(words)
    try:
        require()  # before anything is read
        spec = spec_of(options, others)
        report = measure(spec, options.peer, options.peer_lr, lambda text: print(text, file=sys.stderr, flush=True))
    except (PeerError, SpecError, DataError, TrainingError, OSError, ValueError) as error:
        print(f"training.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    report["command"] = shlex.join(["model-tools/bench/training.py", *words])
    print(json.dumps(report, indent=1) if options.json else table(report))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The options beside those of the spec."""
    parser = argparse.ArgumentParser(
        prog="training.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--data", help="data set with the splits train and val; else the spec names it")
    parser.add_argument("--spec", help="spec of the run; default: that of unina-train")
    parser.add_argument("--plan", help="our backbone (default b1 at 640×640, or the spec's)")
    parser.add_argument("--peer", choices=list(RECIPES), default="dfine-n", help="the other detector (%(default)s)")
    parser.add_argument("--peer-lr", type=float, help="its peak learning rate (its authors', scaled to the batch)")
    parser.add_argument("--crops", type=int, default=6400, help="training crops that each sees (%(default)s)")
    parser.add_argument("--crop", type=int, help="side of a training crop, pixels (320, or the spec's)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 lets torch choose (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser


def spec_of(options: argparse.Namespace, others: Sequence[str]) -> RunSpec:
    """The run of both. Raises SpecError."""
    words = [options.spec] if options.spec else []
    words += ["--output", "unused"]
    if not options.spec:
        words += ["--model.backbone=b1", "--model.input_height=640", "--model.input_width=640", "--train.crop=320"]
    given = {"data": options.data, "model.backbone": options.plan, "train.crop": options.crop}
    words += [f"--{name}={value}" for name, value in given.items() if value is not None]
    spec = parse([*words, f"--train.epoch_crops={options.crops}", f"--train.threads={options.threads}", *others]).spec
    # one pass from random weights, scored at its end
    return replace(spec, train=replace(spec.train, epochs=1, init_from="", freeze=(), val_every=0, tensorboard=False))


def measure(spec: RunSpec, kind: str, peer_lr: float | None, say: Callable[[str], None]) -> dict[str, Any]:
    """Trains and scores both; the result is plain JSON.

    `peer_lr`: None for its authors'; `say` takes a line of progress.

    Raises:
        PeerError: the peer can't be built.
        DataError, TrainingError, ValueError: data that can't be read, trained on or scored on.
    """
    recipe, model = RECIPES[kind], spec.model
    for name, size in (
        ("train.crop", spec.train.crop),
        ("model.input_height", model.input_height),
        ("model.input_width", model.input_width),
    ):
        if size % recipe.strides[-1]:
            raise ValueError(f"{name}: {size}: must be a multiple of {recipe.strides[-1]} for {recipe.name}")
    mixture = load_mixture(spec)
    if not any(len(sample.boxes) for sample in mixture.validation):
        raise ValueError(f"{spec.data or spec.validation}: no labelled box in the split val to score on")
    cuda = spec.train.device != "cpu" and torch.cuda.is_available()
    processes = Processes(device=torch.device("cuda" if cuda else "cpu"))
    trainer = Trainer(spec, mixture, Path("unused"), processes=processes)  # only run() and save() would write
    peer = Peer(kind, len(mixture.names), mixture.groups, spec.train, processes.device, peer_lr)
    slices = take_turns(trainer, peer, say)
    say("scoring both on the val split")
    found = trainer.validate()
    assert found is not None  # there are labels
    ours = Accuracy.of(found[1])
    theirs = Accuracy.of(scored_peer(peer, spec, mixture, processes.device))
    counted = slices[1:] or slices  # the first one warms up
    ratios = [one.ratio for one in counted]
    return {
        "machine": machine(processes.device),
        "data": spec.data or [source.data for source in spec.sources],
        "crops": spec.train.steps * spec.train.batch,
        "crop": spec.train.crop,
        "batch": spec.train.batch,
        "input": [spec.model.input_height, spec.model.input_width],
        "bf16": spec.train.bf16,
        "seed": spec.train.seed,
        "ours": {
            "name": f"{spec.model.backbone} {'-'.join((spec.model.levels[0], spec.model.levels[-1])).upper()}",
            "parameters": parameters(trainer.model),
            "deployed_parameters": parameters(trainer.model.deploy()),
            "lr": spec.train.lr,
            **speed([one.ours for one in counted]),
            "losses": [one.ours.loss for one in slices],
            "accuracy": asdict(ours),
        },
        "peer": {
            "name": peer.recipe.name,
            "parameters": parameters(peer.model),
            "lr": peer.lr,
            "backbone_lr": peer.lr * peer.recipe.backbone,
            **speed([one.peer for one in counted]),
            "losses": [one.peer.loss for one in slices],
            "accuracy": asdict(theirs),
        },
        "ratio": statistics.median(ratios),
        "ratio_lowest": min(ratios),
        "ratio_highest": max(ratios),
        "ratio_cpu": statistics.median(one.ratio_cpu for one in counted),
        "slices": [asdict(one) for one in slices],
    }


def take_turns(trainer: Trainer, peer: Peer, say: Callable[[str], None]) -> list[Slice]:
    """All steps of both, slice by slice; who begins alternates. Raises TrainingError for a loss that is no number."""
    steps, device, name = trainer.spec.train.steps, trainer.processes.device, peer.recipe.name

    def our_step(batch: Batch, step: int) -> float:
        return trainer.train_step(batch)[0]

    def peer_step(batch: Batch, step: int) -> float:
        return peer.train_step(on_device(batch, device), step)

    turns = [("ours", our_step), ("peer", peer_step)]
    slices: list[Slice] = []
    begin = time.monotonic()
    for first in range(0, steps, SLICE):
        last = min(first + SLICE, steps)
        started = time.perf_counter()
        batches = [trainer.loader.batch(step) for step in range(first, last)]
        preparing = time.perf_counter() - started
        taken = {who: timed(take, batches, first, device) for who, take in turns[:: 1 if len(slices) % 2 == 0 else -1]}
        newest = Slice(first, preparing, taken["ours"], taken["peer"])
        slices.append(newest)
        if not math.isfinite(newest.peer.loss):
            raise TrainingError(f"{name}: the loss is {newest.peer.loss} in steps {first} to {last - 1}")
        left = (time.monotonic() - begin) / last * (steps - last)
        say(
            f"step {last}/{steps}: ours {newest.ours.images_per_s:.2f} images/s, loss {newest.ours.loss:.2f}; "
            f"{name} {newest.peer.images_per_s:.2f} images/s, loss {newest.peer.loss:.2f}; {left / 60:.1f} min left"
        )
    return slices


def timed(take: Callable[[Batch, int], float], batches: Sequence[Batch], first: int, device: torch.device) -> Turn:
    """Takes one step a batch; the time is all that forward, loss, backward and optimiser need."""
    begin, cpu_begin = time.perf_counter(), time.process_time()
    losses = [take(batch, first + place) for place, batch in enumerate(batches)]
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu_begin
    return Turn(sum(len(batch.x) for batch in batches), seconds, cpu_seconds, statistics.fmean(losses))


def scored_peer(peer: Peer, spec: RunSpec, mixture: Mixture, device: torch.device) -> Scored:
    """The averaged peer's detections on the val split."""
    size = (spec.model.input_height, spec.model.input_width)
    samples = mixture.validation
    found = run_stage(PeerStage(peer.average.model, *size, device), samples)
    return Scored.of(same_classes(mixture.names, mixture.groups, samples), samples, found, size)


def speed(turns: Sequence[Turn]) -> dict[str, float]:
    """Medians over slices."""
    return {
        "images_per_s": statistics.median(turn.images_per_s for turn in turns),
        "images_per_cpu_s": statistics.median(turn.images_per_cpu_s for turn in turns),
    }


def parameters(model: torch.nn.Module) -> int:
    """Weights and biases, batch statistics aside."""
    return sum(parameter.numel() for parameter in model.parameters())


def machine(device: torch.device) -> dict[str, Any]:
    """What it ran on."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        cpu = lines[0].split(":", 1)[1].strip() if lines else cpu
    return {
        "cpu": cpu,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": require().__version__,
        "python": platform.python_version(),
    }


def table(report: dict[str, Any]) -> str:
    """The result as Markdown, in the columns of docs/benchmarks.md."""
    place = report["machine"]
    on = place["cpu"] if place["device"] == "cpu" else f"{place['device']} ({place['cpu']})"
    height, width = report["input"]
    lines = [
        f"{on}, {place['threads']} threads, torch {place['torch']}, transformers {place['transformers']}; "
        f"{report['crops']} crops of {report['crop']}×{report['crop']}, batches of {report['batch']}; "
        f"scored on {report['ours']['accuracy']['images']} pictures at {height}×{width}",
        "",
        "| detector | parameters, M | images/s | images a CPU second | loss, first → last slice | mAP50 | mAP50-95 |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for who in ("ours", "peer"):
        one = report[who]
        lines.append(
            f"| {one['name']} | {one['parameters'] / 1e6:.2f} | {one['images_per_s']:.2f} "
            f"| {one['images_per_cpu_s']:.2f} | {one['losses'][0]:.2f} → {one['losses'][-1]:.2f} "
            f"| {one['accuracy']['map50']:.3f} | {one['accuracy']['map50_95']:.3f} |"
        )
    closing = (
        f"ours trains {report['ratio']:.2f} times as fast (median over {len(report['slices'])} slices, "
        f"{report['ratio_lowest']:.2f} to {report['ratio_highest']:.2f}; by CPU time {report['ratio_cpu']:.2f})"
    )
    return "\n".join([*lines, "", closing])


if __name__ == "__main__":
    sys.exit(main())
