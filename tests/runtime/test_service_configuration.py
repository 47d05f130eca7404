"""The service's configuration: the shipped file holds every key, and what is wrong is one line."""

import re
import signal
from pathlib import Path

from programs import run
from service_process import ServiceProcess, make_frames
from tiny_bundle import TinyBundle

EXAMPLE = Path(__file__).parents[2] / "runtime" / "etc" / "detector.toml"


def refused(*arguments: object) -> str:
    done = run("unina-detector", "serve", *arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("unina-detector serve: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def keys_of_the_example() -> list[str]:
    return re.findall(r"^#?([a-z_]+) = ", EXAMPLE.read_text(), re.MULTILINE)


def test_the_example_holds_every_key_and_every_key_is_a_flag() -> None:
    text = run("unina-detector", "serve", "--help").stdout
    documented = set(re.findall(r"--([a-z-]+) ", text)) - {"help", "version", "config"}
    assert {key.replace("_", "-") for key in keys_of_the_example()} == documented
    assert len(keys_of_the_example()) == len(set(keys_of_the_example()))


def test_the_example_with_every_key_switched_on_is_taken(tmp_path: Path, bundle: TinyBundle) -> None:
    file = tmp_path / "detector.toml"
    file.write_text(re.sub(r"^#([a-z_]+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE))
    frames = make_frames(tmp_path / "frames")
    # Flags win over the file; the port of the example stays closed here.
    arguments = ["--config", file, "--bundle", bundle.path, "--source", f"images:{frames}?fps=50&loop=1"]
    with ServiceProcess(tmp_path, *arguments, "--metrics-listen", "").wait_ready() as service:
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(20) == 0


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "detector.toml"
    file.write_text("# a comment\nsorce = 'images:x'\n")
    assert f"{file}, line 2: unknown key 'sorce'; did you mean 'source'?" in refused("--config", file)


def test_an_unknown_flag_comes_with_the_nearest() -> None:
    assert "unknown flag '--souce'; did you mean '--source'?" in refused("--souce", "images:x")
    assert "unknown flag '--ring-slot'; did you mean '--ring-slots'?" in refused("--ring-slot=9")
    assert "unexpected argument 'now'" in refused("now")
    assert "--threads: '0': expected 1 to 256" in refused("--threads", 0)
