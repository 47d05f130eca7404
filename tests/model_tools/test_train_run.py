"""A run learns, stops, resumes and refuses as promised."""

import csv
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_runs import small_spec, state_of, stop_after, trainer_of, write_dataset

from unina.cli.train import main
from unina.data import Sample, load_dataset, read_image
from unina.evaluate import TorchStage
from unina.model import load_checkpoint
from unina.train import RunSpec
from unina.train.interrupt import ECHO_S, Interrupt
from unina.train.loader import Loader, repeat_factors
from unina.train.mixture import load_mixture
from unina.train.progress import first_difference, plain
from unina.train.spec import SourceSpec
from unina.train.trainer import Interrupted, TrainingError, Watch


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_few_pictures_are_learnt_by_heart(tmp_path: Path, one_thread: None) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    trainer = trainer_of(small_spec(dataset.path, 50), tmp_path / "run")
    result = trainer.run()
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert len(rows) == 50
    assert float(rows[-1]["loss"]) < 0.5 * float(rows[0]["loss"])
    assert result.metrics is not None and result.metrics.map50 > 0.95

    stage = TorchStage(load_checkpoint(result.checkpoint).model.deploy())
    sample = dataset.split("train")[0]
    found = stage(read_image(sample.image))
    assert len(found) >= 2
    for box, label in zip(sample.boxes, sample.classes, strict=True):
        best = next(i for i in range(len(found)) if found.classes[i] == label)
        assert np.abs(found.boxes[best] - box).max() < 3


@pytest.mark.parametrize("stop", [4, 3], ids=["between epochs", "inside an epoch"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, one_thread: None, stop: int) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    spec = small_spec(dataset.path, 4, bf16=True, val_every=1)
    spec = replace(spec, augment=replace(spec.augment, mosaic=0.7, mosaic_close=0.4, paste=0.5, noise=0.5))
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


def test_mosaics_end_where_the_spec_says(tmp_path: Path, one_thread: None) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    spec = small_spec(dataset.path, 4)
    plain, mosaics = (
        Loader(load_mixture(changed), changed)
        for changed in (replace(spec, augment=replace(spec.augment, mosaic=part, mosaic_close=0.5)) for part in (0, 1))
    )
    same = [torch.equal(plain.batch(step).x, mosaics.batch(step).x) for step in range(8)]
    assert same == [False] * 4 + [True] * 4


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


def test_data_may_lie_elsewhere_when_a_run_goes_on_but_not_play_another_part() -> None:
    def told(first: str, second: str, validation: str, **labels: str) -> dict[str, object]:
        sources = (SourceSpec(first), SourceSpec(second))
        return plain(RunSpec(sources=sources, validation=SourceSpec(validation, "val", classes=labels)))

    before = told("a/data.yaml", "b/data.yaml", "a/data.yaml", orange="ignore", blue="drop")
    assert first_difference(before, told("x/a", "x/b", "x/a", orange="ignore", blue="drop")) == ""
    assert first_difference(before, told("x/a", "x/b", "x/b", orange="ignore", blue="drop")).startswith(
        "validation.data"
    )
    assert first_difference(before, told("x/a", "x/b", "x/a", orange="ignore")).startswith("validation.classes: {")
    assert first_difference(plain(RunSpec("a")), plain(RunSpec("b"))) == ""


def test_a_run_of_another_version_of_the_network_is_refused_in_one_line(tmp_path: Path, one_thread: None) -> None:
    spec = small_spec(write_dataset(tmp_path / "data"), 1)
    trainer_of(spec, tmp_path / "run").run()
    path = tmp_path / "run" / "checkpoint.pt"
    payload = torch.load(path, weights_only=True)
    state = payload["training"]["model"]
    state["neck.old.weight"] = state.pop(next(name for name in state if name.startswith("neck")))
    torch.save(payload, path)
    with pytest.raises(TrainingError, match=r"checkpoint\.pt: does not fit .*: neck\.\S+: ") as error:
        trainer_of(spec, tmp_path / "run", resume=True)
    assert "\n" not in str(error.value)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_pictures(tmp_path: Path, one_thread: None) -> None:
    dataset = load_dataset(write_dataset(tmp_path / "data"))
    trainer = trainer_of(small_spec(dataset.path, 1), tmp_path / "run")
    trainer.model.backbone.stem.conv3.weight.data[0, 0, 0, 0] = math.nan
    with pytest.raises(TrainingError, match=r"step 0: the loss is nan.*\.png.*--train\.lr"):
        trainer.run()


def test_a_gradient_that_is_no_number_stops_the_run_before_it_reaches_the_weights(
    tmp_path: Path, one_thread: None
) -> None:
    trainer = trainer_of(small_spec(write_dataset(tmp_path / "data"), 1), tmp_path / "run")
    weight = trainer.model.backbone.stem.conv3.weight
    weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match=r"step 0: the gradient's norm is (nan|inf).*\.png"):
        trainer.run()
    assert bool(weight.isfinite().all())


def test_the_best_weights_are_kept_and_the_last_ones_too(tmp_path: Path, one_thread: None) -> None:
    spec = small_spec(write_dataset(tmp_path / "data"), 6, val_every=2)
    trainer_of(spec, tmp_path / "run").run()
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    assert [bool(row["map50"]) for row in rows] == [False, True] * 3
    best, last = (load_checkpoint(tmp_path / "run" / name).info for name in ("best.pt", "checkpoint.pt"))
    assert best["metrics"]["map50"] == pytest.approx(max(float(row["map50"] or 0) for row in rows), abs=1e-5)
    assert last["step"] == 12 and last["metrics"]["map50"] == pytest.approx(float(rows[-1]["map50"]), abs=1e-5)


def test_tensorboard_shows_the_columns_of_metrics_csv_and_crops_with_boxes(tmp_path: Path, one_thread: None) -> None:
    spec = small_spec(write_dataset(tmp_path / "data"), 3, tensorboard=True)
    with pytest.raises(Interrupted):
        trainer_of(spec, tmp_path / "run", Watch(step=stop_after(3))).run()
    trainer_of(spec, tmp_path / "run", resume=True).run()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    rows = list(csv.DictReader((tmp_path / "run" / "metrics.csv").open()))
    for tag, column in (("train/loss", "loss"), ("train/lr", "lr"), ("val/map50", "map50")):
        shown = [(event.step, event.value) for event in events.Scalars(tag)]
        assert shown == [(int(row["step"]), pytest.approx(float(row[column]), rel=1e-5)) for row in rows if row[column]]
    (image,) = events.Images("train/crops")
    assert image.step == 0 and image.height >= 96 and len(image.encoded_image_string) > 1000


def test_a_second_wish_to_stop_is_heard_once_the_first_has_faded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    interrupt = Interrupt()
    interrupt._note(2, None)
    now += ECHO_S - 0.1
    interrupt._note(2, None)  # torchrun's echo of the same Ctrl-C
    assert interrupt.requested
    now += 0.2
    with pytest.raises(KeyboardInterrupt):
        interrupt._note(2, None)


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
    written_files = {"checkpoint.pt", "metrics.csv", "report", "spec.yaml", "tensorboard"}
    assert {path.name for path in run.iterdir()} == written_files
    assert summary["report"] == str(run / "report" / "index.html")
    assert {path.name for path in (run / "report").iterdir()} >= {"index.html", "precision_recall.png", "confusion.png"}

    assert main(words) == 2
    assert "exists already; --resume goes on with that run" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    shutil.rmtree(run / "report")
    (run / "report").touch()
    capsys.readouterr()
    assert main([*words, "--resume"]) == 2, "the report has no place"
    assert capsys.readouterr().err.startswith("unina-train: ")
    (run / "report").unlink()
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
        (["--classes", "[blue, yellow, blue]"], "classes: blue: stands twice"),
        (["--resume", "--force"], "give one of them"),
        (["--train.device", "tpu"], "train.device"),
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
        ("train:", "train: must be a mapping"),
        ("train: {epochs: [", "not YAML"),
        ("sources: [{data: a}, {dta: b}]", "sources.dta: no such field; did you mean sources.data?"),
        ("sources: [{data: a}]\nvalidation: {data: b, splt: val}", "did you mean validation.split?"),
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


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such checkpoint"), (b"PK", "cannot be read as a checkpoint")]
)
def test_a_checkpoint_that_cannot_be_started_from_is_one_line(
    tmp_path: Path, spec_file: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, message: str
) -> None:
    path = tmp_path / "start.pt"
    if content is not None:
        path.write_bytes(content)
    words = [str(spec_file), "--data", str(write_dataset(tmp_path / "data")), "--output", str(tmp_path / "run")]
    assert main([*words, "--train.init_from", str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"unina-train: {path}: {message}")
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


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
    assert repeat_factors(samples, "auto").tolist() == pytest.approx([1] * 14 + [15**0.5, 1])


def test_stopping_while_pictures_are_read_does_not_wait_for_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small_spec(write_dataset(tmp_path / "data"), 1)
    mixture = load_mixture(spec)
    (source,) = mixture.sources
    many = replace(mixture, sources=(replace(source, samples=source.samples * 500),))
    began, stopped = [], Event()

    def read(path: Path) -> np.ndarray:
        if began:
            stopped.wait(60)
        began.append(path)
        return read_image(path)

    def stop() -> None:
        stopped.set()
        raise KeyboardInterrupt

    monkeypatch.setattr("unina.train.loader.read_image", read)
    with pytest.raises(KeyboardInterrupt):
        Loader(many, spec, stop)
    assert len(began) < 1000


def test_pictures_that_do_not_fit_in_memory_are_read_again(tmp_path: Path, one_thread: None) -> None:
    data = write_dataset(tmp_path / "data")
    specs = [small_spec(data, 1, cache_mb=megabytes) for megabytes in (0, 4096)]
    without, within = (Loader(load_mixture(spec), spec) for spec in specs)
    assert without.cache == [None] * 4 and None not in within.cache
    assert torch.equal(without.batch(0).x, within.batch(0).x)


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
