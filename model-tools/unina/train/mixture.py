"""What a run trains and validates on: samples of several data sets, told in the model's classes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unina.data import DataError, Dataset, Fault, Sample, load_dataset
from unina.data.dataset import ANY
from unina.data.remap import remap
from unina.evaluate import Stage
from unina.train.spec import RunSpec, SourceSpec

Groups = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Source:
    """Samples to train on; a class index of len(names) + g means "one of groups[g]"."""

    samples: tuple[Sample, ...]
    share: float
    """of the crops, all sources' shares sum to 1"""


@dataclass(frozen=True)
class Mixture:
    """All data of a run."""

    names: tuple[str, ...]
    """the model's classes"""
    groups: Groups
    sources: tuple[Source, ...]
    validation: tuple[Sample, ...]
    """empty: nothing to validate on"""
    sha256: str
    """of the data sets, in the order in which they were given"""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """All training samples, source after source."""
        return tuple(sample for source in self.sources for sample in source.samples)


def load_mixture(spec: RunSpec) -> Mixture:
    """Reads the data sets that a spec names.

    Raises:
        DataError: an unreadable or faulty data set, a class without a meaning, or no labelled box to train on.
    """
    wanted = spec.sources or (SourceSpec(spec.data),)
    validation = spec.validation or (SourceSpec(spec.data, "val") if spec.data else None)
    datasets: dict[str, Dataset] = {}
    for path in [source.data for source in (*wanted, *([validation] if validation else []))]:
        if path not in datasets:
            datasets[path] = load_dataset(Path(path), empty=True)  # one source may be all negatives
    names = spec.classes or datasets[wanted[0].data].names
    groups: list[tuple[int, ...]] = []

    def told(source: SourceSpec) -> tuple[Sample, ...]:
        dataset = datasets[source.data]
        samples = dataset.split(source.split)
        found, own = remap(samples, dataset.names, source.classes, names, groups=dataset.groups, origin=dataset.path)
        return regrouped(found, own, groups, len(names))

    total = sum(source.share for source in wanted)
    sources = tuple(Source(told(source), source.share / total) for source in wanted)
    if not any(len(sample.boxes) for source in sources for sample in source.samples):
        count = sum(len(source.samples) for source in sources)
        message = f"not one labelled box in {count} pictures; check that labels/ lies beside images/"
        raise DataError([Fault(datasets[wanted[0].data].path, None, "train", message)])
    labelled: tuple[Sample, ...] = ()
    if validation and (spec.validation or "val" in datasets[validation.data].splits):
        labelled = told(validation)
    digest = hashlib.sha256()
    for dataset in datasets.values():
        digest.update(dataset.sha256.encode())
    sha256 = next(iter(datasets.values())).sha256 if len(datasets) == 1 else digest.hexdigest()
    return Mixture(tuple(names), tuple(groups), sources, labelled, sha256)


def regrouped(
    samples: Sequence[Sample], own: Groups, groups: list[tuple[int, ...]], classes: int
) -> tuple[Sample, ...]:
    """Samples whose group indices point into `own`, told with indices into the run's `groups`, which may grow."""
    for group in own:
        if group not in groups:
            groups.append(group)
    table = np.array([*range(classes), *(classes + groups.index(group) for group in own)], np.int64)
    return tuple(replace(sample, classes=table[sample.classes]) for sample in samples)


def merged_table(mixture: Mixture) -> npt.NDArray[np.int64]:
    """Class or group index → class index, the members of a group all the same: what labels that join them can score."""
    table = np.arange(len(mixture.names) + len(mixture.groups))
    for number, group in enumerate(mixture.groups):
        table[[*group, len(mixture.names) + number]] = group[0]
    return table


def merged_names(mixture: Mixture) -> tuple[str, ...]:
    """Class names for merged indices; joined classes are called "a|b"."""
    joined = {group[0]: ANY.join(mixture.names[member] for member in group) for group in mixture.groups}
    return tuple(joined.get(index, name) for index, name in enumerate(mixture.names))


def merged_samples(samples: Sequence[Sample], mixture: Mixture) -> list[Sample]:
    """Samples with merged classes."""
    table = merged_table(mixture)
    return [replace(sample, classes=table[sample.classes]) for sample in samples]


def merged_stage(stage: Stage, mixture: Mixture) -> Stage:
    """A stage whose detections bear merged classes."""
    table = merged_table(mixture)

    def merged(image: npt.NDArray[np.uint8]) -> Any:
        found = stage(image)
        return replace(found, classes=table[found.classes].astype(np.int32))

    return merged
