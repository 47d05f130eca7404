"""How programs end."""

import subprocess
import sys

import pytest

from unina.cli.exit_code import STOPPED, exit_code


def raised(error: BaseException) -> int:
    """The code of a program whose work raises this."""

    def work() -> int:
        raise error

    return exit_code("unina-x", work, refusals=(ValueError,))


def test_the_answer_of_the_work_is_the_exit_code() -> None:
    assert [exit_code("unina-x", lambda code=code: code) for code in (0, 1, 2)] == [0, 1, 2]  # type: ignore[misc]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("spec.yaml:3: no"), "unina-x: spec.yaml:3: no"),
        (FileNotFoundError(2, "No such file or directory", "a.pt"), "unina-x: a.pt: No such file or directory"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_two(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert raised(error) == 2
    assert capsys.readouterr().err == f"{line}\n"


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(KeyError):
        raised(KeyError("x"))


def test_ctrl_c_is_told_from_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert raised(KeyboardInterrupt()) == STOPPED == 130
    assert "stopped; nothing was written" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    program = "from unina.cli.exit_code import exit_code; exit(exit_code('x', lambda: print('a' * 10**6) or 0))"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
