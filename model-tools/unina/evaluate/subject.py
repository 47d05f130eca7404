"""What `unina-eval` is given to score: a bundle, a checkpoint, a training run or saved detections, as named stages."""

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from unina.data import read_image
from unina.evaluate.arithmetic import OWN, POINTWISES, ROUNDINGS, Arithmetic, modes
from unina.evaluate.jsonl import SavedDetections, read_detections
from unina.evaluate.stages import (
    SCORE_FLOOR,
    Head,
    HostStage,
    NetworkStage,
    Observation,
    OnnxStage,
    TinygradStage,
    TorchStage,
    TrainingForm,
)
from unina.evaluate.tinygrad_maps import missing
from unina.model import Checkpoint, DeployedDetector, ModelSpec, load_checkpoint

PictureStage = Callable[[Path], Observation]
"""What a stage makes of a picture on disk, in classes of the model."""
CHECKPOINT = "checkpoint.pt"
TORCH, FUSED, ONNX, TINYGRAD, QDQ, HOST = "torch", "fused", "onnx", "tinygrad", "qdq", "host"
"""As trained, every block one convolution, exported, the same on another runtime, with Q/DQ, on the integer engine."""
STAGES = (TORCH, FUSED, ONNX, TINYGRAD, QDQ, HOST)
"""In the order in which a network passes through them."""
DEVICE = "device"
"""Begins the name of a stage that was not computed here."""
ALL = "all"


@dataclass(frozen=True)
class ExportedForms:
    """What a checkpoint becomes when it is exported, in memory."""

    onnx: bytes
    qdq: bytes | None = None
    loadable: bytes | None = None
    """both None unless the checkpoint holds the scales of INT8"""


Exporter = Callable[[Checkpoint, DeployedDetector, Path], ExportedForms]
"""Exports the checkpoint of that path; the room `export` lies to the right of this one, so that it must be given."""


@dataclass(frozen=True)
class Subject:
    """A detector, or what one said."""

    path: Path
    classes: tuple[str, ...]
    input_size: tuple[int, int] | None
    """rows, columns; None: unknown (saved detections)"""
    stages: dict[str, Callable[[], PictureStage]]
    """by name; each makes itself ready when called"""
    default_stages: tuple[str, ...]
    thresholds: tuple[float, ...] | None = None
    """of the bundle's manifest, one a class"""
    may_lack_classes: bool = False
    """classes that were never found are not known"""
    onnx: Path | None = None
    """the bundle's deploy graph"""
    spec: ModelSpec | None = None
    """of a checkpoint, at the input size that is evaluated"""
    emulate: Callable[[Arithmetic], PictureStage] | None = None
    """the stage host in a mode of its arithmetic"""
    rounding: str | None = None
    """of the stage host"""
    emulated: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """stages that stand for host, with the mode of each (`emulating`)"""
    devices: Mapping[str, SavedDetections] = dataclasses.field(default_factory=dict)
    """stages that were computed elsewhere, with what was said there (`device.with_device`)"""
    notes: tuple[str, ...] = ()
    """what whoever reads the figures has to know"""

    @property
    def siblings(self) -> tuple[str, ...]:
        """Stages that are several forms of one: modes of host, and devices."""
        return (*(self.emulated if len(self.emulated) > 1 else ()), *self.devices)

    def chosen(self, names: tuple[str, ...] | None) -> tuple[str, ...]:
        """The named stages, each once, and those of devices, or the default ones; `all`: every one that can run here.

        Raises ValueError for one that the subject lacks.
        """
        if names and ALL in names:
            able = (name for name in STAGES if name in self.stages or (name == HOST and self.emulated))
            names = tuple(name for name in able if name != TINYGRAD or not missing()) or self.default_stages
        names = tuple(dict.fromkeys((*names, *self.devices))) if names else None
        if names and self.emulated:
            if HOST not in names:
                raise ValueError("--rounding and --pointwise are modes of the stage host; name it in --stages")
            names = tuple(one for name in names for one in (self.emulated if name == HOST else (name,)))
        for name in names or ():
            if name not in self.stages:
                raise ValueError(f"stage {name!r}: {self.path} has {', '.join(self.stages)}{self._hint(name)}")
        return names or self.default_stages

    def _hint(self, name: str) -> str:
        if name in {TORCH, FUSED} and self.onnx is not None:
            return " (give --checkpoint)"
        if name in {QDQ, HOST} and self.spec is not None:
            return "; it holds no scales of INT8: unina-export it, and give the bundle and --checkpoint"
        return ""

    def emulating(self, roundings: Sequence[str], pointwises: Sequence[str]) -> "Subject":
        """This detector with a stage for every mode of arithmetic in place of the stage host.

        Args:
            roundings: of ROUNDINGS; none: its own.
            pointwises: of POINTWISES; none: fp32.

        Raises:
            ValueError: it has no integers to compute with.
        """
        if self.emulate is None or self.rounding is None:
            raise ValueError(f"--rounding and --pointwise are modes of the stage host, which {self.path} lacks")
        chosen = modes(roundings or (self.rounding,), pointwises or POINTWISES[:1])
        names = {f"{HOST} {mode}": str(mode) for mode in chosen}
        stages = dict(self.stages)
        del stages[HOST]
        stages |= {name: partial(self.emulate, mode) for name, mode in zip(names, chosen, strict=True)}
        default = (*(name for name in self.default_stages if name != HOST), *names)
        return dataclasses.replace(self, stages=stages, default_stages=default, emulated=names)


def open_subject(
    path: Path,
    root: Path,
    *,
    checkpoint: Path | None = None,
    input_size: tuple[int, int] | None = None,
    exporter: Exporter | None = None,
) -> Subject:
    """Understands what a path is.

    Args:
        path: NAME.unina, checkpoint.pt, a folder that holds one, or a file of detections.
        root: the data set's folder, from which saved detections name their pictures.
        checkpoint: of a bundle, for its stages torch and fused.
        input_size: rows and columns instead of the model's own.
        exporter: for the other stages of a checkpoint, called when the first of them is asked for.

    Raises:
        ValueError: none of these, damaged, or an input size that does not fit.
    """
    if (path / "manifest.json").exists() or path.suffix == ".unina":
        return _bundle(path, checkpoint, input_size)
    if checkpoint is not None:
        raise ValueError(f"--checkpoint belongs to a bundle; {path} is none")
    if path.is_dir() and (path / CHECKPOINT).exists():
        return _checkpoint(path / CHECKPOINT, input_size, exporter)
    if path.is_dir():
        raise ValueError(f"{path}: neither a bundle (manifest.json) nor a run of unina-train ({CHECKPOINT})")
    if not path.exists():
        raise ValueError(f"{path}: no such bundle, checkpoint, run folder or file of detections")
    if path.suffix in {".jsonl", ".json", ".txt"}:
        return _saved(path, root, input_size)
    return _checkpoint(path, input_size, exporter)


def _bundle(path: Path, checkpoint: Path | None, input_size: tuple[int, int] | None) -> Subject:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        head = Head.of_manifest(manifest)
        classes, thresholds = tuple(manifest["classes"]), tuple(float(value) for value in manifest["thresholds"])
        rounding = manifest["rounding"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path / 'manifest.json'}: not a readable bundle manifest ({error})") from error
    size = (head.height, head.width)
    if input_size not in {None, size}:
        raise ValueError(
            f"--input-size: the input of {path} is fixed at {size[1]}x{size[0]}; give its checkpoint instead"
        )

    def emulate(arithmetic: Arithmetic) -> PictureStage:
        return _of_file(HostStage(path / "host.loadable", head, arithmetic))

    stages: dict[str, Callable[[], PictureStage]] = {
        ONNX: lambda: _of_file(OnnxStage(path / "model.onnx", head)),
        QDQ: lambda: _of_file(OnnxStage(path / "model.qdq.onnx", head)),
        HOST: lambda: emulate(OWN),
    }
    default = tuple(stages)
    stages[TINYGRAD] = lambda: _of_file(TinygradStage(path / "model.onnx", head))
    if checkpoint is not None:
        trained = load_checkpoint(checkpoint)
        deployed = trained.model.deploy()
        for what, ours, theirs in (
            ("classes", trained.classes, classes),
            ("outputs", deployed.output_names, head.output_names),
            ("bins", deployed.reg_max, head.reg_max),
        ):
            if ours != theirs:
                raise ValueError(f"--checkpoint {checkpoint}: {path} is not its bundle: {what} {ours}, there {theirs}")
        stages[TORCH] = lambda: _of_file(TorchStage(TrainingForm(trained.model), head))
        stages[FUSED] = lambda: _of_file(TorchStage(deployed, head))
    return Subject(
        path, classes, size, stages, default, thresholds, onnx=path / "model.onnx", emulate=emulate, rounding=rounding
    )


def _checkpoint(path: Path, input_size: tuple[int, int] | None, exporter: Exporter | None) -> Subject:
    loaded = load_checkpoint(path)
    deployed = loaded.model.deploy()
    head = Head.of_deployed(deployed)
    spec = loaded.spec
    if input_size is not None:
        if any(side <= 0 or side % head.strides[-1] for side in input_size):
            raise ValueError(
                f"--input-size {input_size[1]}x{input_size[0]}: both must be multiples of {head.strides[-1]}, "
                "the coarsest stride"
            )
        head = dataclasses.replace(head, height=input_size[0], width=input_size[1])
        spec = dataclasses.replace(spec, input_height=input_size[0], input_width=input_size[1])
        deployed.spec = spec
    stages: dict[str, Callable[[], PictureStage]] = {
        TORCH: lambda: _of_file(TorchStage(TrainingForm(loaded.model), head)),
        FUSED: lambda: _of_file(TorchStage(deployed, head)),
    }
    emulate: Callable[[Arithmetic], PictureStage] | None = None
    if exporter is not None:

        @cache
        def forms() -> ExportedForms:
            return exporter(loaded, deployed, path)

        stages[ONNX] = lambda: _of_file(OnnxStage(forms().onnx, head))
        stages[TINYGRAD] = lambda: _of_file(TinygradStage(forms().onnx, head))
        if loaded.scales is not None:

            def emulate(arithmetic: Arithmetic) -> PictureStage:
                return _of_file(HostStage(forms().loadable or b"", head, arithmetic))

            stages[QDQ] = lambda: _of_file(OnnxStage(forms().qdq or b"", head))
            stages[HOST] = lambda: emulate(OWN)
    size = (head.height, head.width)
    rounding = ROUNDINGS[0] if emulate else None
    return Subject(path, loaded.classes, size, stages, (TORCH,), spec=spec, emulate=emulate, rounding=rounding)


def _saved(path: Path, root: Path, input_size: tuple[int, int] | None) -> Subject:
    saved = read_detections(path)
    stages: dict[str, Callable[[], PictureStage]] = {"saved": lambda: lambda image: Observation(saved.of(image, root))}
    run, notes = saved.run, tuple[str, ...]()
    if run is not None:
        input_size = input_size or run.input_size
        if not max(run.thresholds) <= SCORE_FLOOR:
            notes = (
                f"{path} holds nothing below a score of {max(run.thresholds):g} of some class: mAP lacks the tail of "
                f"its curve; unina-detector --score-threshold {SCORE_FLOOR:g} writes it",
            )
    return Subject(path, saved.names, input_size, stages, ("saved",), may_lack_classes=saved.run is None, notes=notes)


def _of_file(stage: NetworkStage) -> PictureStage:
    return lambda image: stage.observe(read_image(image))
