"""What a run trains and validates on: samples of several data sets, told in the model's classes."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unina.data import DataError, Dataset, Fault, Sample, load_dataset
from unina.data.remap import remap
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
