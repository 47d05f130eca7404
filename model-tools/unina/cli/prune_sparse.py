"""What 2:4 sparsity saves: which convolutions are sparse, and the estimated time before and after."""

from dataclasses import dataclass

from rich.console import Group
from rich.table import Table

from unina.compress.prune_pattern import PatternPruned
from unina.dla.estimate import estimate_plan
from unina.dla.network import Network
from unina.dla.platforms import PowerMode
from unina.dla.steps import plan


@dataclass(frozen=True)
class SparseFigures:
    """A detector as it is deployed, all INT8 on one DLA."""

    convolutions: int
    sparse: int
    """convolutions of which half the weights are zero"""
    sparse_macs: float
    """part of the multiplications that is in them"""
    dense_ms: float
    """estimate before"""
    sparse_ms: float
    """estimate with the sparse ones skipping their zeros"""
    uncertainty: float
    """of the latter, as a fraction of it"""
    mode: str
    """power mode"""

    @classmethod
    def of(cls, network: Network, found: PatternPruned, mode: PowerMode) -> "SparseFigures":
        """Step by step: the estimate counts a convolution as sparse where the wide rule holds, we where it is."""
        steps = plan(network)
        dense, thin = estimate_plan(steps, mode), estimate_plan(steps, mode, sparse=True)
        chosen = [not set(found.convolutions).isdisjoint(step.nodes) for step in steps.steps]
        layers = list(zip(dense.layers, thin.layers, chosen, strict=True))
        return cls(
            convolutions=len(found.convolutions) + len(found.dense),
            sparse=len(found.convolutions),
            sparse_macs=sum(before.macs for before, _, here in layers if here) / dense.macs,
            dense_ms=dense.latency_ms,
            sparse_ms=sum((after if here else before).latency_ms for before, after, here in layers),
            uncertainty=thin.uncertainty,
            mode=mode.name,
        )


def sparse_table(figures: SparseFigures, found: PatternPruned) -> Group:
    """For a person: what is sparse, why the rest is not, and the estimate."""
    saved = Table(title="2:4 sparsity", title_justify="left", show_header=False)
    change = figures.sparse_ms / figures.dense_ms - 1
    saved.add_row("sparse convolutions", f"{figures.sparse} of {figures.convolutions}")
    saved.add_row("multiplications in them", f"{figures.sparse_macs:.0%}")
    saved.add_row(
        f"DLA ms, estimated ±{figures.uncertainty:.0%}, {figures.mode}",
        f"{figures.dense_ms:.2f} → {figures.sparse_ms:.2f} ({change:+.0%})",
    )
    reasons = Table(title="dense", title_justify="left")
    reasons.add_column("convolutions", justify="right")
    reasons.add_column("why")
    kinds = [why.split("; ")[-1] for why in found.dense.values()]
    for kind in sorted(set(kinds)):
        reasons.add_row(str(kinds.count(kind)), kind)
    return Group(saved, reasons)
