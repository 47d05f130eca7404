"""A run learns, stops, resumes and refuses as promised."""

import csv
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from unina.cli.train import main
from unina.data import Sample, load_dataset, read_image
from unina.evaluate import TorchStage
from unina.model import ModelSpec, load_checkpoint
from unina.train import AugmentSpec, RunSpec, TrainSpec
from unina.train.loader import Loader, repeat_factors
from unina.train.mixture import load_mixture
from unina.train.trainer import Interrupted, Trainer, TrainingError, Watch

COLORS = {0: (200, 60, 20), 1: (20, 200, 240)}  # BGR of blue and yellow


def write_dataset(root: Path, pictures: int = 4, labelled: bool = True, size: int = 96) -> Path:
    """Blue and yellow blocks on noise, as a YOLO-txt data set whose val is its train."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        rng = np.random.default_rng(0)
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(pictures):
            pixels = rng.integers(90, 130, (size, size, 3), dtype=np.uint8)
            lines = []
            for label, corner in enumerate(((8, 12), (52, 48))):
                x, y = (int(c + rng.integers(0, 20)) for c in corner)
                pixels[y : y + 24, x : x + 16] = COLORS[label]
                lines.append(f"{label} {(x + 8) / size} {(y + 12) / size} {16 / size} {24 / size}")
            cv2.imwrite(str(root / "images" / split / f"{number}.png"), pixels)
            text = "\n".join(lines) + "\n" if labelled or split == "val" else ""
            (root / "labels" / split / f"{number}.txt").write_text(text)
    path = root / "data.yaml"
    path.write_text("path: .\ntrain: images/train\nval: images/val\nnames: [blue, yellow]\n")
    return path


def small_spec(data: Path, epochs: int, **train: object) -> RunSpec:
    fields: dict[str, object] = {"epoch_crops": 8, "batch": 4, "crop": 96, "threads": 1, "bf16": False, "ema": 0.05}
    return RunSpec(
        data=str(data),
        model=ModelSpec(input_height=96, input_width=96),
        train=TrainSpec(**({"epochs": epochs} | fields | train)),  # type: ignore[arg-type]
        augment=AugmentSpec(scale_min=0.9, scale_max=1.1, blur=0, noise=0),
    )


def trainer_of(spec: RunSpec, output: Path, watch: Watch | None = None, resume: bool = False) -> Trainer:
    return Trainer(spec, load_mixture(spec), output, watch or Watch(), resume)


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_few_pictures_are_learnt_by_heart(tmp_path: Path, one_thread: None) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    trainer = trainer_of(small_spec(dataset.path, 40), tmp_path / "run")
    result = trainer.run()
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert len(rows) == 40
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert result.metrics is not None and result.metrics.map50 > 0.95

    stage = TorchStage(load_checkpoint(result.checkpoint).model.deploy())
    sample = dataset.split("train")[0]
    found = stage(read_image(sample.image))
    assert len(found) >= 2
    for box, label in zip(sample.boxes, sample.classes, strict=True):
        best = next(i for i in range(len(found)) if found.classes[i] == label)
        assert np.abs(found.boxes[best] - box).max() < 3


def state_of(path: Path) -> dict[str, torch.Tensor]:
    payload = torch.load(path / "checkpoint.pt", weights_only=True)
    state = {f"ema.{k}": v for k, v in payload["weights"].items()}
    state |= {f"model.{k}": v for k, v in payload["training"]["model"].items()}
    for index, buffers in payload["training"]["optimizer"]["state"].items():
        state |= {f"optimizer.{index}.{k}": v for k, v in buffers.items() if isinstance(v, torch.Tensor)}
    return state


def stop_after(step: int) -> Callable[[int, float], None]:
    """A watcher that asks the run to stop as Ctrl-C does, from within step `step`."""

    def on_step(now: int, loss: float) -> None:
        if now == step:
            os.kill(os.getpid(), signal.SIGINT)

    return on_step


@pytest.mark.parametrize("stop", [4, 3], ids=["between epochs", "inside an epoch"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, one_thread: None, stop: int) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    spec = small_spec(dataset.path, 4, bf16=True)
    whole = trainer_of(spec, tmp_path / "whole").run()

    with pytest.raises(Interrupted):
        trainer_of(spec, tmp_path / "parts", Watch(step=stop_after(stop))).run()
    torch.manual_seed(99)  # the resumed process starts from other random numbers
    parts = trainer_of(spec, tmp_path / "parts", resume=True).run()

    first, second = state_of(tmp_path / "whole"), state_of(tmp_path / "parts")
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(name.startswith("optimizer.") for name in first)
    assert whole.metrics == parts.metrics
    rows = [list(csv.DictReader((tmp_path / run / "metrics.csv").open())) for run in ("whole", "parts")]
    timing = {"seconds", "images_per_s"}
    assert [{k: v for k, v in row.items() if k not in timing} for row in rows[0]] == [
        {k: v for k, v in row.items() if k not in timing} for row in rows[1]
    ]


def test_a_finished_run_resumes_to_the_same_result(tmp_path: Path, one_thread: None) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    spec = small_spec(dataset.path, 1)
    first = trainer_of(spec, tmp_path / "run").run()
    again = trainer_of(spec, tmp_path / "run", resume=True).run()
    assert (again.steps, again.metrics) == (first.steps, first.metrics)


def test_resuming_with_another_spec_or_data_set_is_refused_by_name(tmp_path: Path, one_thread: None) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    trainer_of(small_spec(dataset.path, 1), tmp_path / "run").run()
    with pytest.raises(TrainingError, match=r"train\.lr: 0\.004, now 0\.5"):
        trainer_of(small_spec(dataset.path, 1, lr=0.5), tmp_path / "run", resume=True)
    (tmp_path / "data" / "labels" / "train" / "0.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    with pytest.raises(TrainingError, match="has changed"):
        trainer_of(small_spec(dataset.path, 1), tmp_path / "run", resume=True)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_pictures(tmp_path: Path, one_thread: None) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    trainer = trainer_of(small_spec(dataset.path, 1), tmp_path / "run")
    trainer.model.backbone.stem.conv3.weight.data[0, 0, 0, 0] = math.nan
    with pytest.raises(TrainingError, match=r"step 0: the loss is nan.*\.png.*--train\.lr"):
        trainer.run()


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(
        "model: {input_height: 96, input_width: 96}\n"
        "train: {epochs: 5, epoch_crops: 4, batch: 2, crop: 96, threads: 1, bf16: false}\n"
    )
    return path


def test_command_line_overrides_the_spec(
    tmp_path: Path, spec_file: Path, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    data = write_dataset(tmp_path / "data")
    run = tmp_path / "run"
    words = [str(spec_file), "--data", str(data), "--output", str(run), "--train.epochs", "1", "--json"]
    assert main(words) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["steps"] == 2 and summary["images"] == 4
    assert set(summary["val"]) >= {"map50", "map50_95"}
    written = yaml.safe_load((run / "spec.yaml").read_text())
    assert written["train"]["epochs"] == 1 and written["train"]["batch"] == 2 and written["data"] == str(data)
    assert sorted(p.name for p in run.iterdir()) == ["checkpoint.pt", "metrics.csv", "spec.yaml"]

    assert main(words) == 2
    assert "exists already; --resume goes on with that run" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    assert main([str(run / "spec.yaml"), "--output", str(run), "--force", "--json"]) == 0, "spec.yaml repeats the run"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train.epoch", "3"], "--train.epoch: no such option; did you mean --train.epochs?"),
        (["--train.epochs", "three"], "train.epochs"),
        (["--train.lr", "-1"], "train.lr: -1.0: must lie in"),
        (["--model.levels", "[p2,p4]"], "model.levels: ['p2', 'p4']: levels go from fine to coarse"),
        (["--model.backbone", "pica"], "model.backbone"),
        (["--train.crop", "100"], "train.crop: 100: must be a multiple of 16"),
        (["--resume", "--force"], "give one of them"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it(
    tmp_path: Path, spec_file: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main([str(spec_file), "--data", "d.yaml", "--output", str(tmp_path / "run"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epoch: 3}", "train.epoch: no such field; did you mean train.epochs?"),
        ("epochs: 3", "epochs: no such field; did you mean train.epochs?"),
        ("model: pico", "model: must be a mapping"),
        ("train: {epochs: [", "not YAML"),
    ],
)
def test_a_wrong_spec_is_one_line_that_names_file_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text(text)
    assert main([str(spec), "--data", "d.yaml", "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "wrong.yaml" in error and message in error
    assert len(error.strip().splitlines()) == 1


def test_a_data_set_without_labels_is_refused(
    tmp_path: Path, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_dataset(tmp_path / "data", labelled=False)
    assert main([str(spec_file), "--data", str(data), "--output", str(tmp_path / "run")]) == 2
    assert "not one labelled box in 4 pictures" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_force_never_empties_a_folder_that_is_no_run(
    tmp_path: Path, spec_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_dataset(tmp_path / "data")
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    assert main([str(spec_file), "--data", str(data), "--output", str(precious), "--force"]) == 2
    assert "is no run of unina-train" in capsys.readouterr().err
    assert (precious / "thesis.txt").exists()


def test_a_pass_shows_every_picture_and_repeats_the_rare_class() -> None:
    def sample(*classes: int) -> Sample:
        return Sample(Path("x.png"), 1, 1, np.zeros((len(classes), 4), np.float32), np.array(classes, np.int64))

    samples = [sample(0)] * 14 + [sample(0, 1)] + [sample()]  # class 1 stands in one picture of 16
    factors = repeat_factors(samples, 0.25)
    assert factors.tolist() == pytest.approx([1] * 14 + [2, 1])
    assert repeat_factors(samples, 0).tolist() == [1] * 16


def test_batches_are_contiguous_and_a_pass_leaves_no_picture_out(tmp_path: Path, one_thread: None) -> None:
    """A channels_last batch would corrupt the heap in torch 2.13's CPU gradient; NumPy's stack() would make one."""
    spec = small_spec(write_dataset(tmp_path / "data", pictures=5), 1)
    loader = Loader(load_mixture(spec), spec)
    batch = loader.batch(0)
    assert batch.x.is_contiguous() and batch.x.shape == (4, 3, 96, 96) and batch.x.dtype == torch.float32
    assert float(batch.x.min()) >= -128 and float(batch.x.max()) <= 127
    assert sorted(loader.index_at(position) for position in range(5)) == list(range(5))
    again = Loader(load_mixture(spec), spec).batch(0)
    assert torch.equal(batch.x, again.x) and torch.equal(batch.targets.boxes, again.targets.boxes)
