"""Repeating re-does only what changed, and a failed step says what to do."""

import sys
from pathlib import Path

import pytest

from unina.cli.steps import StepError, Steps


def append(path: Path, word: str) -> list[str]:
    return [sys.executable, "-c", f"open({str(path)!r}, 'a').write({word!r})"]


def chain(folder: Path, source: Path) -> list[str]:
    """Runs two steps, the second after the first; returns what was said."""
    said: list[str] = []
    steps = Steps(folder, said.append)
    for name in ("first", "second"):
        steps.run(
            name,
            append(folder / name, "x"),
            reads=[source] if name == "first" else [],
            makes=[folder / name],
            advice="",
        )
    return said


def runs(folder: Path) -> tuple[int, int]:
    return len((folder / "first").read_text()), len((folder / "second").read_text())


def test_an_unchanged_step_is_not_run_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    chain(tmp_path, source)
    said = chain(tmp_path, source)
    assert runs(tmp_path) == (1, 1)
    assert all("unchanged" in line for line in said)


def test_a_changed_input_re_does_the_step_and_all_after_it(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    chain(tmp_path, source)
    source.write_text("2")
    chain(tmp_path, source)
    assert runs(tmp_path) == (2, 2)


def test_a_lost_output_is_made_again(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    chain(tmp_path, source)
    (tmp_path / "second").unlink()
    chain(tmp_path, source)
    assert runs(tmp_path) == (1, 1)


def test_a_failed_step_names_its_command_and_the_advice_and_runs_again(tmp_path: Path) -> None:
    steps = Steps(tmp_path, lambda _: None)
    command = [sys.executable, "-c", "raise SystemExit(3)"]
    for _ in range(2):
        with pytest.raises(StepError, match=r"paint failed: .* exit code 3\. Buy paint\."):
            steps.run("paint", command, reads=[], makes=[], advice="Buy paint.")


def test_a_step_that_writes_nothing_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="did not write"):
        Steps(tmp_path, lambda _: None).run(
            "idle", [sys.executable, "-c", ""], reads=[], makes=[tmp_path / "x"], advice=""
        )


def test_a_broken_memory_only_costs_a_repetition(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("1")
    chain(tmp_path, source)
    (tmp_path / "steps.json").write_text("{")
    chain(tmp_path, source)
    assert runs(tmp_path) == (2, 2)


def test_a_repeated_step_starts_with_an_empty_folder(tmp_path: Path) -> None:
    folder = tmp_path / "frames"
    for name in ("old", "new"):
        code = f"import pathlib; p = pathlib.Path({str(folder)!r}); p.mkdir(exist_ok=True); (p / {name!r}).touch()"
        Steps(tmp_path, lambda _: None).run("draw", [sys.executable, "-c", code], reads=[], makes=[folder], advice="")
    assert [path.name for path in folder.iterdir()] == ["new"]
