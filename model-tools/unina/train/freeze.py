"""Parts of a model that a run leaves as they are: no gradient, and batch statistics that stay."""

import difflib
from collections.abc import Sequence

from torch import nn


def freeze(model: nn.Module, prefixes: Sequence[str]) -> None:
    """Freezes the parameters of the modules whose names are given, such as "backbone" or "backbone.stages.0".

    Raises ValueError for a name that the model does not have, and where nothing is left to train.
    """
    names = [name for name, _ in model.named_modules() if name]
    for prefix in prefixes:
        if prefix not in names:
            near = difflib.get_close_matches(prefix, names, n=1)
            parts = ", ".join(name for name, _ in model.named_children())
            hint = f"did you mean {near[0]}?" if near else f"parts of the model: {parts}"
            raise ValueError(f"train.freeze: {prefix}: the model has no such part; {hint}")
        model.get_submodule(prefix).requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"train.freeze: [{', '.join(prefixes)}]: nothing is left to train")


def training_mode(model: nn.Module, frozen: Sequence[str]) -> None:
    """Training mode for all but the frozen parts, whose normalisation goes on with the statistics that it has."""
    model.train()
    for prefix in frozen:
        model.get_submodule(prefix).eval()
