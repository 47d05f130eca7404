"""What is scored as what: the classes of a model beside those of a data set, and labels that mean "any of these"."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unina.data import Sample
from unina.data.dataset import ANY
from unina_runtime import Detections

DROPPED = -1
"""Stands for no scored class: a label that is ignored, a detection that is not counted."""

STANDS_FOR = {"large_orange": "orange"}
"""A class that a coarser data set files under another: sets with one orange label mean both sizes (docs/data.md)."""

Groups = Sequence[Sequence[int]]
"""`Dataset.groups`: label len(names) + g means "any of the classes groups[g]"."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What one picture holds, in scored classes; boxes in source pixels."""

    boxes: npt.NDArray[np.float32]
    """N×4, x0, y0, x1, y1"""
    classes: npt.NDArray[np.int64]
    """N, indices of scored classes"""
    ignored: npt.NDArray[np.float32]
    """M×4, regions in which a detection is neither right nor wrong"""
    width: int
    height: int

    def heights(self, input_size: tuple[int, int] | None) -> npt.NDArray[np.float64]:
        """N box heights, in pixels of a letterboxed input (rows, columns) or, with None, of the picture."""
        tall: npt.NDArray[np.float64] = (self.boxes[:, 3] - self.boxes[:, 1]).astype(np.float64)
        return tall * self.ratio(input_size)

    def ratio(self, input_size: tuple[int, int] | None) -> float:
        """Input pixels a source pixel (docs/bundle.md, "Letterbox"); 1 without an input."""
        if input_size is None:
            return 1.0
        return min(input_size[0] / self.height, input_size[1] / self.width)


@dataclass(frozen=True)
class ClassMap:
    """From labels and from a model's classes to the classes that are scored."""

    names: tuple[str, ...]
    """of the scored classes; a merged one is called `orange|large_orange`"""
    labels: tuple[int, ...]
    """scored class of each label: the data set's classes, then its groups; DROPPED: its boxes are ignored"""
    detections: tuple[int, ...]
    """scored class of each model class; DROPPED: its detections do not count"""
    notes: tuple[str, ...] = ()
    """what was mapped, ignored or merged, for people"""

    def truth(self, sample: Sample) -> Truth:
        """A sample in scored classes."""
        scored = np.asarray([*self.labels, DROPPED], np.int64)[sample.classes]
        kept = scored != DROPPED
        ignored = np.concatenate([sample.ignored, sample.boxes[~kept]])
        return Truth(sample.boxes[kept], scored[kept], ignored, sample.width, sample.height)

    def scored(self, found: Detections) -> Detections:
        """Detections in scored classes."""
        classes = np.asarray([*self.detections, DROPPED], np.int32)[found.classes]
        kept = classes != DROPPED
        return Detections(found.boxes[kept], found.scores[kept], classes[kept])

    def of_model(self, values: Sequence[float], default: float) -> tuple[float, ...]:
        """One value a scored class → one a model class; `default` for those that are dropped."""
        return tuple(default if scored == DROPPED else values[scored] for scored in self.detections)


def same_classes(names: Sequence[str], groups: Groups, samples: Sequence[Sample]) -> ClassMap:
    """For a model whose classes are the data set's own; merges those that a group label of the samples spans."""
    return map_classes(names, names, groups, samples)


def map_classes(
    model: Sequence[str],
    data: Sequence[str],
    groups: Groups,
    samples: Sequence[Sample],
    wanted: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
    *,
    partial: bool = False,
) -> ClassMap:
    """Finds a data class for each model class.

    Args:
        model: class names of the model.
        data: class names of the data set; groups: its group labels.
        samples: those to score; classes that a group label among them spans are scored as one.
        wanted: model class → data class, "" to drop its detections; before names that agree, and names that agree but
            for the suffix `_cone`.
        ignore: data classes whose boxes count neither as hits nor as misses.
        partial: the model may have more classes than are known, and nothing is asked for those.

    Raises:
        ValueError: a name that is neither's, a model class without a counterpart, or labels that no class can find.
    """
    wanted = dict(wanted or {})
    _check_names(None if partial else model, data, wanted, ignore)
    used = np.unique(np.concatenate([np.zeros(0, np.int64), *(sample.classes for sample in samples)]))
    notes = []
    targets = [_counterpart(name, data, wanted) for name in model]
    for name, target in zip(model, targets, strict=True):
        if target is None:
            notes.append(f"{name}: not counted")
        elif data[target] != name:
            notes.append(f"{name} → {data[target]}")

    owner = list(range(len(data)))  # the first data class of the scored class that each belongs to
    for number, members in enumerate(groups):
        if len(data) + number in used:
            owners = {owner[member] for member in members}
            owner = [min(owners) if mine in owners else mine for mine in owner]
    dropped = {owner[data.index(name)] for name in ignore}
    heads = [head for head in dict.fromkeys(owner) if head not in dropped]
    called = {head: ANY.join(name for name, mine in zip(data, owner, strict=True) if mine == head) for head in owner}
    merged = {head: called[head] for head in heads}
    notes += [f"{name}: scored as one class" for head, name in merged.items() if name != data[head]]
    notes += [f"{called[head]}: ignored" for head in sorted(dropped)]
    place = {head: index for index, head in enumerate(heads)}
    labels = [place.get(head, DROPPED) for head in owner]
    labels += [place.get(owner[members[0]], DROPPED) for members in groups]
    detections = [DROPPED if target is None else place.get(owner[target], DROPPED) for target in targets]
    for label in used:
        scored = labels[label]
        if scored != DROPPED and scored not in detections and not partial:
            raise ValueError(
                f"the data set has boxes labelled {merged[heads[scored]]}, for which the model ({', '.join(model)}) "
                f"has no class: --map MODEL_CLASS={data[heads[scored]]}, or --ignore {data[heads[scored]]}"
            )
    return ClassMap(tuple(merged.values()), tuple(labels), tuple(detections), tuple(notes))


def _check_names(
    model: Sequence[str] | None, data: Sequence[str], wanted: Mapping[str, str], ignore: Sequence[str]
) -> None:
    """Raises ValueError for a name that neither side has."""
    for name, target in wanted.items():
        if model is not None and name not in model:
            raise ValueError(f"--map {name}={target}: the model has no class {name!r}; it has {', '.join(model)}")
        if target and target not in data:
            raise ValueError(f"--map {name}={target}: the data has no class {target!r}; it has {', '.join(data)}")
    for name in ignore:
        if name not in data:
            raise ValueError(f"--ignore {name}: the data has no such class; it has {', '.join(data)}")


def _counterpart(name: str, data: Sequence[str], wanted: Mapping[str, str]) -> int | None:
    """Index of the data class that a model class is scored as; None: not counted. Raises ValueError where unclear."""
    if name in wanted:
        return data.index(wanted[name]) if wanted[name] else None
    if name in data:
        return data.index(name)
    plain = [other.removesuffix("_cone") for other in data]
    for key in (name.removesuffix("_cone"), STANDS_FOR.get(name.removesuffix("_cone"))):
        if key in plain:
            return plain.index(key)
    raise ValueError(
        f"the model's class {name!r} is none of the data's ({', '.join(data)}): --map {name}=DATA_CLASS to score it as "
        f"one of those, or --map {name}= to leave its detections out"
    )
