"""The training loop: plain, step by step, and able to stop and go on at any step as if nothing had happened."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import cv2
import torch
import yaml

from unina.evaluate import Metrics, TorchStage, evaluate
from unina.model import CheckpointError, Detector, save_checkpoint
from unina.model.checkpoint import read_payload
from unina.train.criterion import Criterion, Losses
from unina.train.ema import WeightAverage
from unina.train.history import EpochRow, write_history, write_text
from unina.train.interrupt import Interrupt
from unina.train.loader import Batch, Loader
from unina.train.mixture import Mixture, merged_names, merged_samples, merged_stage
from unina.train.schedule import build_optimizer, lr_at
from unina.train.spec import RunSpec
from unina.train.transfer import take_weights

CHECKPOINT, HISTORY, SPEC = "checkpoint.pt", "metrics.csv", "spec.yaml"


class TrainingError(RuntimeError):
    """A run that can't start or go on; the message says why and what to do."""


class Interrupted(Exception):
    """The run was stopped; its checkpoint resumes at `step`."""

    def __init__(self, step: int, steps: int) -> None:
        super().__init__(f"stopped after step {step} of {steps}")
        self.step = step


@dataclass(frozen=True)
class Result:
    """What a finished run came to."""

    checkpoint: Path
    metrics: Metrics | None
    """of the averaged, deployed model on the val split; None without labels there"""
    steps: int
    images: int
    seconds: float
    """of all sessions of the run, validation aside"""


@dataclass
class Progress:
    """How far a run has come; everything that a resumed run needs besides weights."""

    step: int = 0
    seconds: float = 0.0
    rows: list[EpochRow] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0] * 5)
    """loss, class, box, dfl, positives since the epoch began"""
    epoch_seconds: float = 0.0


@dataclass(frozen=True)
class Watch:
    """What the loop tells whoever looks on."""

    reading: Callable[[int], None] = lambda total: None
    """before the pictures are read: how many"""
    read: Callable[[], None] = lambda: None
    """after each"""
    step: Callable[[int, float], None] = lambda step, loss: None
    """after each optimiser step: steps so far and its loss"""
    epoch: Callable[[EpochRow], None] = lambda row: None
    """after each epoch"""


class Trainer:
    """One run in one folder."""

    def __init__(
        self, spec: RunSpec, mixture: Mixture, output: Path, watch: Watch = Watch(), resume: bool = False
    ) -> None:
        """Reads the pictures; `resume` continues the run in `output`.

        Raises:
            DataError: an unreadable picture.
            TrainingError: there is no such run to resume, or it is another one.
        """
        self.spec, self.mixture, self.output, self.watch = spec, mixture, output, watch
        cv2.setNumThreads(1)  # the crops of a batch are prepared in a thread of their own
        if spec.train.threads:
            torch.set_num_threads(spec.train.threads)
        torch.manual_seed(spec.train.seed)
        self.model = Detector(spec.model, len(mixture.names), mixture.names)
        self.model.one_to_one_gradient = spec.train.one_to_one_gradient
        if spec.train.init_from and not resume:
            take_weights(self.model, Path(spec.train.init_from))
        self.optimizer = build_optimizer(self.model, spec.train)
        self.average = WeightAverage(self.model, spec.train.steps, spec.train.ema)
        self.criterion = Criterion(spec.train, spec.model.strides, spec.model.reg_max, mixture.groups)
        self.progress = Progress()
        if resume:
            self.restore()
        watch.reading(len(mixture.samples))
        self.loader = Loader(mixture, spec, watch.read)

    def run(self) -> Result:
        """Trains to the end and validates.

        Raises:
            TrainingError: a loss that is no number.
            Interrupted: on Ctrl-C or SIGTERM, after a checkpoint has been written.
        """
        self.output.mkdir(parents=True, exist_ok=True)
        write_text(self.output / SPEC, yaml.safe_dump(plain(self.spec), sort_keys=False))
        train, progress = self.spec.train, self.progress
        self.model.train()
        with Interrupt() as interrupt:
            batches = self.loader.batches(progress.step, train.steps)
            begin = time.monotonic()
            for batch in batches:
                losses = self.train_step(batch)
                now = time.monotonic()
                progress.seconds += now - begin
                progress.epoch_seconds += now - begin
                begin = now
                self.watch.step(progress.step, losses[0])
                epoch_ended = progress.step % train.epoch_steps == 0
                if epoch_ended:
                    self.close_epoch()
                if epoch_ended or interrupt.requested:
                    self.save()
                if interrupt.requested and progress.step < train.steps:
                    batches.close()
                    raise Interrupted(progress.step, train.steps)
        metrics = self.validate()
        if metrics is not None:
            last = progress.rows[-1]
            progress.rows[-1] = EpochRow(**(asdict(last) | {"map50": metrics.map50, "map50_95": metrics.map50_95}))
            write_history(self.output / HISTORY, progress.rows)
            self.save(metrics)
        images = progress.step * train.batch
        return Result(self.output / CHECKPOINT, metrics, progress.step, images, progress.seconds)

    def train_step(self, batch: Batch) -> list[float]:
        """One optimiser step; returns loss, class, box and dfl loss and the number of positives."""
        train, progress = self.spec.train, self.progress
        lr = lr_at(progress.step, train)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with torch.autocast("cpu", torch.bfloat16, enabled=train.bf16):
            maps = self.model(batch.x)
        losses: Losses = self.criterion(maps, batch.targets, progress.step)
        values = (losses.total.detach(), losses.class_, losses.box, losses.dfl, losses.positives)
        parts = [float(value) for value in values]
        if not math.isfinite(parts[0]):
            names = ", ".join(batch.images)
            raise TrainingError(
                f"step {progress.step}: the loss is {parts[0]} (class {parts[1]}, box {parts[2]}, dfl {parts[3]}) at "
                f"lr {lr:.3g} on {names}; try a lower --train.lr or look at these pictures' labels"
            )
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), train.clip)
        self.optimizer.step()
        self.average.update(self.model)
        progress.step += 1
        progress.sums = [total + part for total, part in zip(progress.sums, parts, strict=True)]
        return parts

    def close_epoch(self) -> None:
        """Adds a row to metrics.csv."""
        train, progress = self.spec.train, self.progress
        steps = train.epoch_steps
        loss, class_loss, box_loss, dfl_loss, positives = (total / steps for total in progress.sums)
        row = EpochRow(
            epoch=progress.step // steps,
            step=progress.step,
            images=progress.step * train.batch,
            lr=lr_at(progress.step - 1, train),
            loss=loss,
            class_loss=class_loss,
            box_loss=box_loss,
            dfl_loss=dfl_loss,
            positives=positives,
            seconds=progress.epoch_seconds,
            images_per_s=steps * train.batch / max(progress.epoch_seconds, 1e-9),
        )
        progress.rows.append(row)
        progress.sums, progress.epoch_seconds = [0.0] * 5, 0.0
        write_history(self.output / HISTORY, progress.rows)
        self.watch.epoch(row)

    def validate(self) -> Metrics | None:
        """Accuracy of the averaged model, deployed, on the val split; None when it has no labelled box."""
        mixture = self.mixture
        if not any(len(sample.boxes) for sample in mixture.validation):
            return None
        stage = merged_stage(TorchStage(self.average.model.deploy()), mixture)
        samples, names = merged_samples(mixture.validation, mixture), merged_names(mixture)
        return evaluate(stage, samples, names)

    def save(self, metrics: Metrics | None = None) -> None:
        """Writes the checkpoint: averaged weights to deploy, and the state to go on from."""
        progress = self.progress
        info = {
            "step": progress.step,
            "steps": self.spec.train.steps,
            "epoch": progress.step // self.spec.train.epoch_steps,
            "seed": self.spec.train.seed,
            "seconds": progress.seconds,
            "dataset": ", ".join(source.data for source in self.spec.sources) or self.spec.data,
            "dataset_sha256": self.mixture.sha256,
            "spec": plain(self.spec),
            "metrics": None if metrics is None else asdict(metrics),
        }
        training = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average_updates": self.average.updates,
            "rng": torch.get_rng_state(),
            "progress": asdict(progress),
        }
        save_checkpoint(self.output / CHECKPOINT, self.average.model, info, training)

    def restore(self) -> None:
        """Takes up the run in the folder where it stopped."""
        path = self.output / CHECKPOINT
        try:
            payload = read_payload(path)
            info, training = payload["info"], payload["training"]
            difference = first_difference(info["spec"], plain(self.spec))
            if difference:
                raise TrainingError(
                    f"{path}: was trained with another spec ({difference}); "
                    f"resume with {self.output / SPEC} or start anew with --force"
                )
            if info["dataset_sha256"] != self.mixture.sha256:
                raise TrainingError(f"{path}: {info['dataset']} has changed since; start anew with --force")
            self.model.load_state_dict(training["model"])
            self.optimizer.load_state_dict(training["optimizer"])
            self.average.model.load_state_dict(payload["weights"])
            self.average.updates = training["average_updates"]
            torch.set_rng_state(training["rng"])
            state: dict[str, Any] = dict(training["progress"])
            state["rows"] = [EpochRow(**row) for row in state["rows"]]
            self.progress = Progress(**state)
        except CheckpointError as error:
            raise TrainingError(f"cannot resume: {error}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise TrainingError(f"{path}: cannot be resumed: {error}; start anew with --force") from error


def plain(spec: RunSpec) -> dict[str, Any]:
    """The spec as lists, dictionaries and numbers, as it stands in YAML."""
    return {
        key: {k: list(v) if isinstance(v, tuple) else v for k, v in value.items()} if isinstance(value, dict) else value
        for key, value in asdict(spec).items()
    }


def first_difference(before: dict[str, Any], after: dict[str, Any], prefix: str = "") -> str:
    """The first field in which two specs differ, as "train.lr: 0.02, now 0.01"; "" when they agree. `data` may move."""
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            found = first_difference(old, value, f"{prefix}{key}.")
            if found:
                return found
        elif old != value and prefix + key != "data":
            return f"{prefix}{key}: {old}, now {value}"
    return ""
