"""The processes that share a run (torchrun): each takes its part of every batch, and sums make them agree.

No wrapper is put around the model: every loss is divided by numbers summed over all processes, so that the gradient of
the whole batch is the plain sum of theirs, added up in one go after the backward pass.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unina.train.spec import Device

ENVIRONMENT = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))
"""What torchrun sets, and what holds without it."""


@dataclass(frozen=True)
class Processes:
    """This process among those of the run."""

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def first(self) -> bool:
        """Whether this one writes, prints and validates."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The tensor, added up over all processes, in its shape; without a gradient."""
        if self.count == 1:
            return tensor
        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total

    def largest(self, tensor: Tensor) -> Tensor:
        """The tensor, each value the largest of all processes, in its shape."""
        if self.count == 1:
            return tensor
        found = tensor.to(self.device, copy=True)
        dist.all_reduce(found, dist.ReduceOp.MAX)
        return found.cpu()

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in one of the processes."""
        return bool(self.sum(torch.tensor(float(flag), device=self.device)) > 0) if self.count > 1 else flag

    def gather(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The names of all processes, one process after the other."""
        if self.count == 1:
            return names
        found: list[tuple[str, ...]] = [()] * self.count
        dist.all_gather_object(found, names)
        return tuple(name for own in found for name in own)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces every gradient by the sum of those of all processes."""
        if self.count == 1:
            return
        mine = [parameter for parameter in parameters if parameter.requires_grad]
        flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in mine])
        dist.all_reduce(flat)
        for parameter, part in zip(mine, torch.split(flat, [p.numel() for p in mine]), strict=True):
            parameter.grad = part.view_as(parameter)

    def wait(self) -> None:
        """Returns when all processes have come here."""
        if self.count > 1:
            dist.barrier()


ALONE = Processes()
"""One process, on the CPU."""


@contextmanager
def joined(device: Device) -> Iterator[Processes]:
    """This process as torchrun started it, or alone; leaves the others at the end.

    On CUDA ("auto": where there is one) a process takes GPU LOCAL_RANK and talks through NCCL, else through Gloo.
    """
    rank, count, local = (int(os.environ.get(name, default)) for name, default in ENVIRONMENT)
    place = torch.device("cpu")
    if device != "cpu" and torch.cuda.is_available():
        place = torch.device("cuda", local % torch.cuda.device_count())
        torch.cuda.set_device(place)
    if count == 1:
        yield Processes(device=place)
        return
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo")
    processes = Processes(rank, count, place)
    try:
        yield processes
        processes.wait()  # for the first one, which validates alone
    finally:
        dist.destroy_process_group()


class OnDevice(nn.Module):
    """A network on a device behind inputs and outputs on the CPU, for scoring."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.network, self.device = network.to(device), device

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """N×3×H×W to the network's maps."""
        return tuple(tensor.cpu() for tensor in self.network(x.to(self.device)))
