"""2:4 sparsity: of four neighbours along the input channels two weights are zero, and the multipliers skip them
(arXiv 2104.08378, section 2; which convolutions of the DLA gain from it, `unina.dla.rules.sparsity` says).

It is the kernel of the deployed convolution that must hold the zeros, and several branches add up to it. So the two
largest of four are chosen in the fused kernel, tap by tap, and the same mask lies on every branch. Where an identity
adds to the middle tap, its weight is always one of the two that stay: no mask could hold it at zero while training.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unina.compress.prune import has_identity
from unina.compress.prune_widths import PruneError
from unina.dla.network import Network
from unina.dla.rules import Context, Site, sparsity
from unina.model import Detector
from unina.model.rep_block import FusableBlock, PointwiseBlock

NEIGHBOURS, LEFT = 4, 2
PATTERN = "sparsity-pattern"


@dataclass(frozen=True)
class PatternPruned:
    """A detector with 2:4 sparse convolutions."""

    model: Detector
    """eval mode"""
    masks: dict[str, Tensor]
    """parameter → what of it may be other than zero, bool"""
    convolutions: tuple[str, ...]
    """names of the nodes of the deploy graph that are sparse now"""
    dense: dict[str, str]
    """the other convolutions, and which rule keeps each from it"""


def prune_pattern(model: Detector, network: Network) -> PatternPruned:
    """Zeroes two of four weights wherever the DLA gains from it; the given model stays as it is.

    Args:
        network: the deploy graph of the model.

    Raises PruneError where there is no such convolution.
    """
    pruned = Detector(model.spec, model.num_classes, model.classes).eval()
    pruned.load_state_dict(model.state_dict())
    context = Context(sparse=True)
    masks: dict[str, Tensor] = {}
    convolutions: list[str] = []
    dense: dict[str, str] = {}
    for node in network.nodes:
        if node.op != "Conv":
            continue
        site = Site(node, network, context)
        found = ((rule, rule.found(site)) for rule in sparsity.RULES if rule.id != PATTERN)
        why = next((f"{what}; {rule.condition}: {rule.limit}" for rule, what in found if what), None)
        if why is not None:
            dense[node.name] = why
            continue
        name = node.inputs[1].removesuffix(".weight").removesuffix(".conv")
        name = name.replace("head.", "one_to_one.", 1) if name.startswith("head.") else name
        masks |= masks_of(name, pruned.get_submodule(name))
        convolutions.append(node.name)
    if not masks:
        raise PruneError(
            "--pattern 2:4: the DLA gains from it in none of this model's convolutions: they need more than 64 input "
            "channels, and a number of kernels that leaves 0, 1, 2, 4, 8, 16 or 32 when divided by 64"
        )
    with torch.no_grad():
        for name, mask in masks.items():
            pruned.get_parameter(name).mul_(mask)
    return PatternPruned(pruned, masks, tuple(convolutions), dense)


@torch.no_grad()
def masks_of(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Masks O×I×k×k on the parameters of a block, or of a lone convolution, by their names in the detector."""
    if not isinstance(module, FusableBlock):
        assert isinstance(module, nn.Conv2d)
        return {f"{name}.weight": two_of_four(module.weight.double().abs())}
    kernel = module.equivalent()[0].abs()
    if isinstance(module, PointwiseBlock):
        return {f"{name}.conv.weight": two_of_four(kernel)}
    if has_identity(module):
        kernel[:, :, 1, 1].fill_diagonal_(torch.inf)
    mask = two_of_four(kernel)
    return {f"{name}.conv3.weight": mask, f"{name}.conv1.weight": mask[:, :, 1:2, 1:2].clone()}


def two_of_four(magnitudes: Tensor) -> Tensor:
    """True where a weight (O×I×k×k) is one of the two largest of its four neighbours along I; equals: the first ones.

    What is left over where I is no multiple of four stays.
    """
    outputs, inputs = magnitudes.shape[:2]
    whole = inputs // NEIGHBOURS * NEIGHBOURS
    fours = magnitudes[:, :whole].reshape(outputs, -1, NEIGHBOURS, *magnitudes.shape[2:])
    order = fours.argsort(dim=2, descending=True, stable=True)
    chosen = torch.zeros_like(fours, dtype=torch.bool).scatter(2, order[:, :, :LEFT], True)
    mask = torch.ones_like(magnitudes, dtype=torch.bool)
    mask[:, :whole] = chosen.reshape(outputs, whole, *magnitudes.shape[2:])
    return mask
