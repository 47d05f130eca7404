"""What whoever exports a network has to know of its rewriting."""

from collections import Counter
from collections.abc import Sequence

from unina.dla.network import Network
from unina.export.deploy_network import DeployNetwork


def left_out(network: Network, named: Sequence[str], ends: Sequence[str], *, classifies: bool) -> tuple[str, ...]:
    """Sigmoids and softmaxes that the bundle ends in front of: what reads its outputs has to know.

    Args:
        named: the outputs that were asked for.
        ends: what the bundle ends at, for each of them.
        classifies: the decode takes the softmax itself.
    """
    return tuple(
        f"{name} ({network.producers[name].op}) is left out: the bundle ends at {end}"
        for name, end in zip(named, ends, strict=True)
        if name != end and not (classifies and network.producers[name].op == "Softmax")
    )


def costly(rewritten: DeployNetwork) -> tuple[str, ...]:
    """What a network of the same size would run faster without."""
    prelus = [step for step in rewritten.steps if step.op == "Relu" and step.output.endswith(".above")]
    smooth = [step for step in rewritten.steps if step.op in {"Sigmoid", "Tanh", "Mul"}]
    notes = []
    if prelus:
        notes.append(f"PRelu, {len(prelus)} times, became three layers each; ReLU in training costs none")
    if smooth:
        counts = Counter(step.op for step in smooth)
        told = ", ".join(f"{count} × {op}" for op, count in counts.items())
        notes.append(f"{told}: FP16 layers between INT8 ones on the DLA; ReLU in training, and no gates, cost none")
    return tuple(notes)
