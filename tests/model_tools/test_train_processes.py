"""Several processes train as one: the same batches, statistics and losses as a single one with the whole batch."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tiny_runs import small_spec, state_of, trainer_of, write_dataset
from torch import nn

from unina.cli.train import main
from unina.model import Detector, ModelSpec
from unina.train.batch_norm import SharedBatchNorm, share_statistics
from unina.train.loader import Loader
from unina.train.mixture import load_mixture
from unina.train.processes import Processes
from unina.train.trainer import Trainer, TrainingError, Watch


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("processes") / "data")


@pytest.fixture
def alone() -> Iterator[None]:
    """A process group of one, so that collectives run."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_two_gloo_processes_equal_one_with_the_same_batch(data: Path, tmp_path: Path) -> None:
    """Eight steps: the losses of every epoch and the batch statistics; only the first process writes and prints."""
    spec, only_train = tmp_path / "spec.yaml", data.with_name("only_train.yaml")
    only_train.write_text("path: .\ntrain: images/train\nnames: [blue, yellow]\n")
    spec.write_text(
        f"data: {only_train}\n"
        "model: {input_height: 96, input_width: 96}\n"
        "train: {epochs: 4, epoch_crops: 8, batch: 4, crop: 96,\n"
        "        threads: 1, bf16: false, device: cpu, tensorboard: false}\n"
        "augment: {mosaic: 0.5, mosaic_close: 0.5}\n"
    )
    assert main([str(spec), "--output", str(tmp_path / "one"), "--json"]) == 0
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "unina.cli.train", str(spec), "--output", str(tmp_path / "two"), "--json"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count('"checkpoint"') == 1

    one, two = (list(csv.DictReader((tmp_path / run / "metrics.csv").open())) for run in ("one", "two"))
    assert len(one) == len(two) == 4
    for first, second in zip(one, two, strict=True):
        for column in ("loss", "class_loss", "box_loss", "dfl_loss", "positives", "lr"):
            assert float(second[column]) == pytest.approx(float(first[column]), rel=2e-4), column
    files = {path.name for path in (tmp_path / "two").iterdir()}
    assert files == {"checkpoint.pt", "metrics.csv", "spec.yaml"}, "one process wrote"
    alone, shared = state_of(tmp_path / "one"), state_of(tmp_path / "two")
    assert alone.keys() == shared.keys(), "a checkpoint does not tell how many processes made it"
    for name in (name for name in alone if "running_" in name):
        assert torch.allclose(alone[name], shared[name], rtol=1e-2, atol=1e-3), name
    assert main([str(spec), "--output", str(tmp_path / "two"), "--resume", "--json"]) == 0, "one process goes on"


def test_shares_of_a_batch_are_the_batch(data: Path) -> None:
    spec = small_spec(data, 1)
    mixture = load_mixture(spec)
    whole = Loader(mixture, spec).batch(3)
    for rank in (0, 1):
        share = Loader(mixture, spec, share=(rank, 2)).batch(3)
        assert torch.equal(share.x, whole.x[rank::2]) and share.images == whole.images[rank::2]
        for image in (0, 1):
            mine = whole.targets.images == 2 * image + rank
            assert torch.equal(share.targets.boxes[share.targets.images == image], whole.targets.boxes[mine])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shared_statistics_equal_torchs_own(alone: None, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(5, eps=1e-3, momentum=0.05)
    nn.init.uniform_(plain.weight, 0.5, 2)
    nn.init.normal_(plain.bias)
    shared = SharedBatchNorm.of(nn.BatchNorm2d(5, eps=1e-3, momentum=0.05))
    shared.load_state_dict(plain.state_dict())
    tolerance = {"rtol": 1e-4, "atol": 1e-5} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
    for _ in range(3):
        x = (torch.randn(4, 5, 6, 7) * 3 + 10).to(dtype)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        weight = torch.randn(4, 5, 6, 7).to(dtype)
        first, second = plain(a), shared(b)
        (first * weight).sum().backward()
        (second * weight).sum().backward()
        assert second.dtype == dtype
        torch.testing.assert_close(second, first, **tolerance)
        torch.testing.assert_close(b.grad, a.grad, **tolerance)
    torch.testing.assert_close(shared.weight.grad, plain.weight.grad, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(shared.running_mean, plain.running_mean)
    torch.testing.assert_close(shared.running_var, plain.running_var)
    assert int(shared.num_batches_tracked) == 3
    torch.testing.assert_close(shared.eval()(x), plain.eval()(x))


def test_sharing_statistics_keeps_parameters_and_their_names() -> None:
    model = Detector(ModelSpec(input_height=64, input_width=64), 2)
    names, parameters = list(model.state_dict()), list(model.parameters())
    share_statistics(model)
    assert list(model.state_dict()) == names
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    layers = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert layers and all(isinstance(layer, SharedBatchNorm) for layer in layers)


def test_gradients_are_summed_where_a_process_has_none(alone: None) -> None:
    processes = Processes(count=2)  # the group of one leaves sums as they are
    used, unused, frozen = (nn.Parameter(torch.ones(2, 3)) for _ in range(3))
    frozen.requires_grad_(False)
    (used * torch.arange(6).view(2, 3)).sum().backward()
    processes.sum_gradients([used, frozen, unused])
    assert used.grad is not None and unused.grad is not None and frozen.grad is None
    assert torch.equal(used.grad, torch.arange(6.0).view(2, 3)) and not unused.grad.any()


def test_a_batch_that_cannot_be_shared_is_refused(data: Path, tmp_path: Path) -> None:
    spec = small_spec(data, 1)
    with pytest.raises(TrainingError, match=r"train\.batch: 4: must be a multiple of the 3 processes"):
        Trainer(spec, load_mixture(spec), tmp_path / "run", Watch(), processes=Processes(count=3))


def test_one_process_needs_no_group(data: Path, tmp_path: Path) -> None:
    assert not dist.is_initialized()
    trainer = trainer_of(small_spec(data, 1), tmp_path / "run")
    assert not any(isinstance(module, SharedBatchNorm) for module in trainer.model.modules())
    processes = Processes()
    value = torch.tensor(2.0)
    assert processes.sum(value) is value and processes.gather(("a",)) == ("a",) and not processes.any(False)
