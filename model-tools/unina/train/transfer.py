"""Transfer learning: starts a model from the weights of another one, as far as they fit."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from unina.model import CheckpointError, Detector
from unina.model.checkpoint import read_payload


@dataclass(frozen=True)
class Transfer:
    """What was taken over."""

    taken: int
    """tensors that fitted"""
    total: int
    """tensors of the model"""
    classes: tuple[str, ...]
    """classes whose outputs were taken over"""
    masks: dict[str, Tensor] = field(default_factory=dict)
    """zeros to keep: parameter → what of it may be other than zero"""

    def __str__(self) -> str:
        classes = ", ".join(self.classes) or "none"
        sparse = f"; {len(self.masks)} tensors stay sparse" if self.masks else ""
        return f"{self.taken} of {self.total} tensors taken over; classes known already: {classes}{sparse}"


@torch.no_grad()
def take_weights(model: Detector, path: Path) -> Transfer:
    """Copies every tensor of a checkpoint's averaged weights whose name and shape agree.

    The outputs of the class towers are taken class by class, by name, so that a model of four classes starts from one
    of three.

    Raises:
        CheckpointError: the file is no checkpoint, or is sparse and of another model.
    """
    payload = read_payload(path)
    source, known, target = payload["weights"], list(payload["classes"]), model.state_dict()
    shared = tuple(name for name in model.classes if name in known)
    rows = torch.tensor([model.classes.index(name) for name in shared], dtype=torch.int64)
    source_rows = torch.tensor([known.index(name) for name in shared], dtype=torch.int64)
    outputs = class_outputs(model)
    taken = 0
    for name, tensor in target.items():
        given = source.get(name)
        if given is None:
            continue
        if name in outputs and given.shape[1:] == tensor.shape[1:]:
            tensor[rows] = given[source_rows].to(tensor.dtype)  # weights that ship are float16
            taken += bool(shared)
        elif name not in outputs and given.shape == tensor.shape:
            tensor.copy_(given)
            taken += 1
    return Transfer(taken, len(target), shared, fitting_masks(model, payload.get("masks") or {}, path))


def fitting_masks(model: Detector, masks: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The masks of a checkpoint; raises CheckpointError where the model has no such parameter."""
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    for name, mask in masks.items():
        if shapes.get(name) != mask.shape:
            raise CheckpointError(
                f"{path}: is sparse 2:4, but {name} is another one here: train the model of the checkpoint, "
                "or prune this one after training"
            )
    return masks


@torch.no_grad()
def keep_zeros(model: nn.Module, masks: dict[str, Tensor]) -> None:
    """Sets to zero what an optimiser step moved away from it."""
    for name, mask in masks.items():
        parameter = model.get_parameter(name)
        parameter.mul_(mask.to(parameter.device))


def class_outputs(model: Detector) -> set[str]:
    """Names of the tensors that hold one row a class."""
    names = set()
    for head in ("one_to_many", "one_to_one"):
        for level, tower in enumerate(getattr(model, head).class_towers):
            last = len(tower) - 1
            names |= {f"{head}.class_towers.{level}.{last}.{kind}" for kind in ("weight", "bias")}
    return names
