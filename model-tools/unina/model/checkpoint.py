"""Checkpoints: one file that holds the model, its spec and class names, and all that training needs to go on."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unina.data.whole import new_file
from unina.model.detector import Detector
from unina.model.spec import ModelSpec

FORMAT = "unina-checkpoint-1"


class CheckpointError(ValueError):
    """A file that is no checkpoint of ours, or is damaged; the message names it."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained detector (averaged weights, eval mode) and where it comes from."""

    model: Detector
    spec: ModelSpec
    classes: tuple[str, ...]
    info: dict[str, Any]
    """plain values: epoch, seed, dataset_sha256, map50, the whole training spec"""
    scales: dict[str, float] | None = None
    """tensor of the deploy graph → INT8 scale, float32; None unless it was trained in integers"""
    masks: dict[str, Tensor] | None = None
    """parameter → what of it may be other than zero, bool; None unless it is sparse"""


def save_checkpoint(
    path: Path,
    model: Detector,
    info: dict[str, Any],
    training: dict[str, Any] | None = None,
    scales: dict[str, float] | None = None,
    masks: dict[str, Tensor] | None = None,
) -> None:
    """Writes a checkpoint atomically.

    `model` carries the weights to deploy; `training` whatever the trainer needs to resume (tensors, numbers, strings);
    `scales` what it learnt of its tensors' ranges; `masks` the zeros that every later training keeps.
    """
    payload = {
        "format": FORMAT,
        "spec": dataclasses.asdict(model.spec),
        "classes": list(model.classes),
        "weights": model.state_dict(),
        "info": info,
        "training": training or {},
    }
    if scales is not None:
        payload["scales"] = scales
    if masks:
        payload["masks"] = masks
    with new_file(path) as file:
        torch.save(payload, file)


def read_payload(path: Path) -> dict[str, Any]:
    """The checkpoint as the plain dictionary that was saved; raises CheckpointError."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; unina-train writes RUN_DIR/checkpoint.pt")
    try:
        payload = torch.load(path, map_location="cpu", weights_only=True)  # never runs code from the file
    except Exception as error:  # torch raises anything from KeyError to UnpicklingError on a damaged file
        raise CheckpointError(f"{path}: cannot be read as a checkpoint: {str(error).splitlines()[0]}") from error
    if not isinstance(payload, dict) or payload.get("format") != FORMAT:
        raise CheckpointError(f"{path}: not a checkpoint of unina-train (expected format {FORMAT!r})")
    return payload


def load_checkpoint(path: Path | str) -> Checkpoint:
    """The detector of a checkpoint, ready to deploy; raises CheckpointError that names the file."""
    path = Path(path)
    payload = read_payload(path)
    try:
        spec = ModelSpec(**payload["spec"])
        classes = tuple(payload["classes"])
        model = Detector(spec, len(classes), classes)
        weights, info = payload["weights"], payload["info"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: does not fit this version of unina: {error}") from error
    load_weights(model, weights, path)
    return Checkpoint(model.eval(), spec, classes, info, payload.get("scales"), payload.get("masks"))


def load_weights(model: nn.Module, weights: dict[str, Tensor], path: Path) -> None:
    """Puts the weights of a checkpoint into a model; raises CheckpointError that names the first that does not fit.

    torch's own message lists all of them, hundreds where a layer was moved, behind a line that names none.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in (*wanted, *given):
        if wanted.get(name) != given.get(name):
            here, there = (str(list(shapes[name])) if name in shapes else "nothing" for shapes in (wanted, given))
            raise CheckpointError(
                f"{path}: does not fit this version of unina: {name}: {there} in the file, {here} in the model; "
                "train again, or start a new run from it with --train.init_from"
            )
    model.load_state_dict(weights)
