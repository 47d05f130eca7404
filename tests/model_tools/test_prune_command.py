"""`unina-prune` in rounds, its folder, its exit codes and what other commands make of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from tiny_runs import small_spec, trainer_of, write_dataset

from unina.cli import prune as command
from unina.cli.train import main as train
from unina.cli.train import parse
from unina.compress.prune_channels import filters_of
from unina.model import Detector, ModelSpec, load_checkpoint, save_checkpoint
from unina.train.progress import plain


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a data set, a spec and a detector that has seen it."""
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("prune")
    spec = small_spec(write_dataset(root / "data"), 2)
    trainer_of(spec, root / "run").run()
    (root / "spec.yaml").write_text(yaml.safe_dump(plain(small_spec(root / "data" / "data.yaml", 1))))
    return root


@pytest.fixture(scope="module")
def finished(trained: Path) -> Path:
    """The folder of two rounds."""
    output = trained / "rounds"
    assert command.main(in_rounds(trained, output, "--max-drop", "100", "--json")) == 0
    return output


def asked(trained: Path, output: Path, *more: str) -> list[str]:
    words = [str(trained / "run" / "checkpoint.pt"), "--ratio", "0.4", "--multiple", "8", "--output", str(output)]
    return [*words, *more]


def in_rounds(trained: Path, output: Path, *more: str) -> list[str]:
    return asked(trained, output, "--rounds", "2", "--retrain", str(trained / "spec.yaml"), *more)


def test_pruned_at_once_prints_what_it_saves_and_every_command_takes_it(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(asked(trained, tmp_path / "half", "--json")) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    before, after = found["before"], found["after"]
    assert after["filters"] <= 0.6 * before["filters"]
    for name in ("parameters", "macs", "latency_ms"):
        assert 0 < after[name] < before[name]
    left = load_checkpoint(tmp_path / "half" / "checkpoint.pt")
    assert filters_of(left.model) == after["filters"]
    deployed = left.model.deploy()
    kernels = sum(parameter.numel() for parameter in deployed.parameters())
    assert kernels == after["parameters"]

    # the same model by its spec alone, with every tensor of the pruned one
    words = [str(trained / "spec.yaml"), "--config", str(tmp_path / "half" / "model.yaml")]
    words += ["--train.init_from", str(found["checkpoint"]), "--output", str(tmp_path / "again")]
    assert parse(words).spec.model == left.spec
    assert train([*words, "--json"]) == 0
    again = load_checkpoint(tmp_path / "again" / "checkpoint.pt")
    assert again.spec == left.spec


def test_rounds_end_at_the_ratio_and_are_not_done_twice(
    trained: Path, finished: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = finished
    first = json.loads((output / "prune.json").read_text())
    counts = [one["filters"] for one in first["rounds"]]
    assert len(counts) == 2 and first["before"]["filters"] > counts[0] > counts[1] == first["after"]["filters"]
    assert counts[0] <= 0.8 * first["before"]["filters"] and counts[1] <= 0.6 * first["before"]["filters"]
    second = load_checkpoint(output / "round-2" / "run" / "checkpoint.pt")
    final = load_checkpoint(output / "checkpoint.pt")
    for name, tensor in second.model.state_dict().items():
        assert torch.equal(tensor, final.model.state_dict()[name])

    monkeypatch.setattr("unina.compress.prune_rounds.Trainer", None)  # nothing is left to train
    monkeypatch.setattr("unina.compress.prune_rounds.validated", None)
    assert command.main(in_rounds(trained, output, "--max-drop", "100", "--json", "--resume")) == 0
    assert json.loads(capsys.readouterr().out) == first | {"checkpoint": str(output / "checkpoint.pt")}


def test_a_drop_beyond_the_limit_ends_it_and_the_last_good_round_stays(
    trained: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = shutil.copytree(finished, tmp_path / "rounds")
    capsys.readouterr()
    for number, drop in ((1, 1.0), (2, 2.5)):
        path = output / f"round-{number}" / "round.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"drop": drop}))
    assert command.main(in_rounds(trained, output, "--max-drop", "2", "--resume")) == 1
    assert "round 2 lost 2.50 points of mAP50-95, more than 2: stopped" in " ".join(capsys.readouterr().out.split())
    good = load_checkpoint(output / "round-1" / "run" / "checkpoint.pt")
    assert load_checkpoint(output / "checkpoint.pt").spec == good.spec

    assert command.main(in_rounds(trained, output, "--max-drop", "0.5", "--resume", "--json")) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["after"] is None and found["checkpoint"] is None and not found["reached"] and len(found["rounds"]) == 1
    assert not (output / "checkpoint.pt").exists()


def test_stopped_between_rounds_goes_on_where_it_stopped(
    trained: Path,
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from unina.compress import prune_rounds  # noqa: PLC0415

    parts = tmp_path / "parts"
    expected = json.loads((finished / "prune.json").read_text())
    real = prune_rounds.Trainer

    class Stopped(real):  # type: ignore[misc,valid-type]
        def run(self) -> Any:
            if "round-2" in str(self.output):
                self.output.mkdir(parents=True)
                self.save("checkpoint.pt")
                raise KeyboardInterrupt
            return super().run()

    with monkeypatch.context() as patched:
        patched.setattr(prune_rounds, "Trainer", Stopped)
        assert command.main(in_rounds(trained, parts, "--max-drop", "100", "--json")) == 130
    capsys.readouterr()
    assert command.main(in_rounds(trained, parts, "--max-drop", "100", "--json", "--resume")) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["rounds"] == expected["rounds"] and found["after"] == expected["after"]


def test_what_can_not_be_done_is_one_line_and_leaves_nothing(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out"
    rows = (
        (asked(trained, output, "--rounds", "2"), "--rounds 2: give --retrain"),
        (asked(trained, output, "--train.epochs", "2"), "--train.epochs: no such option"),
        (asked(trained, output, "--ratio", "0.95"), "smaller --ratio"),
        (asked(trained, output, "--ratio", "2"), "ratio: 2"),
        (in_rounds(trained, output, "--max-drop", "nan"), "--max-drop: nan: must lie in 0..100"),
        (asked(trained, output, "--resume"), "--resume goes on with rounds"),
        (["nowhere.pt", "--output", str(output)], "nowhere.pt: no such checkpoint"),
        (in_rounds(trained, output, "--trian.epochs", "2"), "no such option"),
        (in_rounds(trained, output, "--classes", "[red, green]"), "the checkpoint knows blue, yellow"),
    )
    for words, said in rows:
        assert command.main(words) == 2, words
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
        assert not output.exists(), words


def test_a_folder_of_others_is_never_thrown_away(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    assert command.main(asked(trained, tmp_path / "mine", "--force")) == 2
    assert (tmp_path / "mine" / "thesis.tex").exists()

    assert command.main(asked(trained, tmp_path / "out", "--json")) == 0
    own = str(tmp_path / "out" / "checkpoint.pt")
    assert command.main([own, *asked(trained, tmp_path / "out", "--force")[1:]]) == 2
    assert "name another folder" in capsys.readouterr().err and Path(own).exists()
    assert command.main(asked(trained, tmp_path / "out", "--json")) == 2
    assert "--force throws it away" in capsys.readouterr().err
    assert command.main(asked(trained, tmp_path / "out", "--json", "--force", "--scope", "layer")) == 0


def test_rounds_that_were_begun_otherwise_do_not_go_on(
    trained: Path, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Detector(ModelSpec(input_height=96, input_width=96), 2, ("blue", "yellow"))
    save_checkpoint(tmp_path / "other.pt", model, {})
    for words, said in (
        (in_rounds(trained, finished, "--resume", "--rounds", "3"), "was begun with rounds 2, now 3"),
        (in_rounds(trained, finished, "--resume", "--train.lr", "0.1"), "another training (train.lr: 0.004, now 0.1)"),
        ([str(tmp_path / "other.pt"), *in_rounds(trained, finished, "--resume")[1:]], "begun with checkpoint_sha256"),
    ):
        assert command.main(words) == 2
        assert said in capsys.readouterr().err
