"""Labels that name several classes: "an orange cone, small or large".

A target of group g, whose class index is classes + g, is taught as the member that the one-to-many head finds likeliest
anywhere inside it; at its positive anchors the other members are neither right nor wrong.
"""

import torch
from torch import Tensor

from unina.train.anchors import Predictions
from unina.train.assigner import Pairs

Groups = tuple[tuple[int, ...], ...]


@torch.no_grad()
def resolve_groups(classes: Tensor, pairs: Pairs, predictions: Predictions, groups: Groups) -> Tensor:
    """T class indices, groups among them, to T plain class indices."""
    first = predictions.logits.shape[1]
    resolved = classes.clone()
    for number, group in enumerate(groups):
        unclear = classes == first + number
        if not bool(unclear.any()):
            continue
        mine = unclear[pairs.targets]
        target, rows = pairs.targets[mine], pairs.rows[mine]
        best = torch.stack(
            [
                torch.full((len(classes),), -torch.inf).scatter_reduce(
                    0, target, predictions.logits_at(rows, torch.full_like(rows, member)), "amax"
                )
                for member in group
            ]
        )
        resolved[unclear] = torch.tensor(group)[best.argmax(dim=0)][unclear]
    return resolved


def other_members(labels: Tensor, resolved: Tensor, groups: Groups, classes: int) -> tuple[Tensor, Tensor]:
    """For P positives: pairs (positive, class) of the members that a group's label leaves open.

    labels: P as labelled, groups among them, from index `classes` on; resolved: P plain classes. Returns two tensors of
    equal length.
    """
    owners, members = [torch.zeros(0, dtype=torch.int64)], [torch.zeros(0, dtype=torch.int64)]
    for number, group in enumerate(groups):
        for member in group:
            owner = torch.nonzero((labels == classes + number) & (resolved != member))[:, 0]
            owners.append(owner)
            members.append(torch.full_like(owner, member))
    return torch.cat(owners), torch.cat(members)
