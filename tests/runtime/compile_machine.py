"""A machine that seems to be a Jetson, to run `unina-compile` on.

As a process it runs as an installation lays it out: without the rest of the package, or NumPy.
"""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from standin_trtexec import calls, install_standin, order
from tiny_bundle import TinyBundle, make_bundle

from unina_runtime.compile.command import main

SOURCE = Path(__file__).parents[2] / "runtime" / "python" / "unina_runtime" / "compile"
CACHE = "TRT-100300-EntropyCalibration2\nimages: 3f800000\n"


def compilable(path: Path, seed: int = 0) -> TinyBundle:
    """The tiny bundle with what trtexec is given, as far as a stand-in looks at it."""
    bundle = make_bundle(path, seed)
    (path / "model.onnx").write_bytes(b"\x08\x0a\x12\x09a network")
    (path / "calibration.cache").write_text(CACHE)
    bundle.seal()
    return bundle


@dataclass
class Machine:
    """All paths lie in `folder`."""

    folder: Path
    trtexec: Path
    bundle: TinyBundle

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def links(self) -> Path:
        """What a boot forgets."""
        return self.folder / "run"

    def boot(self) -> None:
        shutil.rmtree(self.links, ignore_errors=True)

    @property
    def command(self) -> list[str]:
        program = [sys.executable, "-m", "unina_runtime.compile.command"]
        places = {"--detector": "detector.toml", "--config": "compile.toml", "--l4t-release": "nv_tegra_release"}
        return [*program, *(part for flag, name in places.items() for part in (flag, str(self.folder / name)))]

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, [str(self.folder / "lib"), os.environ.get("PYTHONPATH")]))
        places = {"STATE_DIRECTORY": str(self.state), "RUNTIME_DIRECTORY": str(self.links)}
        return {**os.environ, **places, "PYTHONPATH": path}

    def run(self, *flags: object) -> subprocess.CompletedProcess[str]:
        """In this process: what is tested starts a process often enough."""
        arguments = [*self.command[3:], *map(str, flags)]
        out, err, former = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGTERM)
        with redirect_stdout(out), redirect_stderr(err), pytest.MonkeyPatch.context() as patch:
            patch.setenv("STATE_DIRECTORY", str(self.state))
            patch.setenv("RUNTIME_DIRECTORY", str(self.links))
            code = main(arguments)
        signal.signal(signal.SIGTERM, former)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def good(self, *flags: object) -> dict[str, Any]:
        """Runs it; it must end with 0. Returns its JSON."""
        done = self.run("--json", *flags)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def bad(self, code: int, *flags: object) -> str:
        """Runs it; it must end with this code. Returns its last line on stderr, which is the reason."""
        done = self.run(*flags)
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stderr}"
        lines = done.stderr.splitlines()
        assert lines and all(line.startswith("unina-compile: ") for line in lines), done.stderr
        return lines[-1]

    def detector(self, **keys: object) -> None:
        lines = {"bundle": str(self.bundle.path), **keys}
        (self.folder / "detector.toml").write_text("".join(f"{key} = {json.dumps(lines[key])}\n" for key in lines))

    def policy(self, **keys: object) -> None:
        lines = {
            "trtexec": str(self.trtexec),
            "trusted_keys": str(self.folder / "keys"),
            "memory_mb": 2048,
            "min_free_mb": 1,
            **keys,
        }
        (self.folder / "compile.toml").write_text("".join(f"{key} = {json.dumps(lines[key])}\n" for key in lines))

    def l4t(self, major: int | None, revision: str = "4.3") -> None:
        release = self.folder / "nv_tegra_release"
        release.unlink(missing_ok=True)
        if major is not None:
            release.write_text(f"# R{major} (release), REVISION: {revision}, GCID: 1, BOARD: generic, EABI: aarch64\n")

    def order(self, **orders: Any) -> None:
        order(self.trtexec, **orders)

    @property
    def compilations(self) -> list[dict[str, Any]]:
        return calls(self.trtexec)

    @property
    def serving(self) -> Path | None:
        """The entry that the detector would take."""
        link = self.links / "detector"
        return link.resolve(strict=True) if link.is_symlink() else None

    @property
    def entries(self) -> set[str]:
        return {path.name for path in self.state.iterdir() if (path / "made.json").exists()}

    def change_bundle(self, seed: int) -> None:
        """Another bundle in the same place."""
        shutil.rmtree(self.bundle.path)
        self.bundle = compilable(self.bundle.path, seed)


def make_machine(folder: Path) -> Machine:
    package = folder / "lib" / "unina_runtime"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "compile").symlink_to(SOURCE)
    machine = Machine(folder, install_standin(folder / "bin"), compilable(folder / "tiny.unina"))
    machine.detector()
    machine.policy()
    machine.l4t(36)
    return machine


def broken_elf(path: Path) -> None:
    """As a package cut short leaves it: executable, but no program."""
    path.unlink()
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
