"""How far a run has come, and whether a spec is still the one that it began with."""

from dataclasses import asdict, dataclass, field
from typing import Any

from unina.train.history import EpochRow
from unina.train.spec import RunSpec

PARTS = 9
"""Figures of a step that an epoch sums up."""
FREE = {"train.device", "train.threads", "train.cache_mb", "train.tensorboard"}
"""Fields that may change when a run goes on: what computes, not what is computed. Data may lie elsewhere, too."""


@dataclass
class Progress:
    """Everything that a resumed run needs besides weights and optimiser."""

    step: int = 0
    seconds: float = 0.0
    rows: list[EpochRow] = field(default_factory=list)
    sums: list[float] = field(default_factory=lambda: [0.0] * PARTS)
    """loss, class, box, dfl, positives, the three of distillation and sparsity, since the epoch began"""
    epoch_seconds: float = 0.0
    best: float = -1.0
    """largest mAP50 of the validations so far"""

    @classmethod
    def of(cls, state: dict[str, Any]) -> "Progress":
        """From what `asdict` made; raises TypeError for another program's."""
        sums = [*state["sums"], *[0.0] * (PARTS - len(state["sums"]))]  # older runs have fewer
        return cls(**(state | {"sums": sums, "rows": [EpochRow(**row) for row in state["rows"]]}))


def plain(spec: RunSpec) -> dict[str, Any]:
    """The spec as lists, dictionaries and numbers, as it stands in YAML."""

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: told(inner) for key, inner in value.items()}
        return [told(inner) for inner in value] if isinstance(value, tuple | list) else value

    return {key: told(value) for key, value in asdict(spec).items()}


def first_difference(before: dict[str, Any], after: dict[str, Any]) -> str:
    """The first field in which two specs differ, as "train.lr: 0.02, now 0.01"; "" when a run may go on.

    A field that the older one does not have counts as its default. Where the data sets lie does not matter, only which
    of them are the same one: their hash tells whether they have changed.
    """

    def look(old: Any, new: Any, default: Any, name: str) -> str:
        if isinstance(new, dict) and isinstance(old, dict) and not name.endswith("classes"):  # a map is one value
            defaults = default if isinstance(default, dict) else {}
            for key, value in new.items():
                inner = f"{name}.{key}" if name else key
                found = look(old.get(key, defaults.get(key)), value, defaults.get(key), inner)
                if found:
                    return found
            return ""
        return f"{name}: {old}, now {new}" if old != new and name not in FREE else ""

    return look(placeless(before), placeless(after), plain(RunSpec()), "")


def placeless(spec: dict[str, Any]) -> dict[str, Any]:
    """A spec, as `plain` tells it, with a number in place of each data set's path."""
    numbers: dict[str, int] = {"": 0}

    def told(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: number(inner) if key == "data" else told(inner) for key, inner in value.items()}
        return [told(inner) for inner in value] if isinstance(value, tuple | list) else value

    def number(path: str) -> str:
        return f"data set {numbers.setdefault(path, len(numbers))}"

    return {key: told(value) for key, value in spec.items() if key != "data"} | {"data": number(spec.get("data", ""))}
