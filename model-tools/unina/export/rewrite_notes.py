"""What whoever exports a network has to know of its rewriting."""

from collections.abc import Sequence

from unina.dla.network import Network
from unina.export.deploy_network import DeployNetwork


def left_out(network: Network, named: Sequence[str], ends: Sequence[str]) -> tuple[str, ...]:
    """Sigmoids that the bundle ends in front of: what reads its outputs has to know. (A softmax classify takes itself.)

    Args:
        named: the outputs that were asked for.
        ends: what the bundle ends at, for each of them.
    """
    return tuple(
        f"{name} (Sigmoid) is left out: the bundle ends at {end}"
        for name, end in zip(named, ends, strict=True)
        if name != end and network.producers[name].op == "Sigmoid"
    )


def costly(network: Network, rewritten: DeployNetwork) -> tuple[str, ...]:
    """What the rewriting took several layers for."""
    written = {step.output for step in rewritten.steps}
    leaky = [node for node in network.nodes if node.op in {"LeakyRelu", "PRelu"} and node.outputs[0] in written]
    if not leaky:
        return ()
    return (f"{leaky[0].op}, {len(leaky)} times, became three layers each; ReLU in training costs none",)
