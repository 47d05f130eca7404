"""On 64-bit ARM, with and without the dot product of Armv8.2, the host engine gives the defined values: run by QEMU.

The engine and its tests are cross-compiled; other architectures' tools are fetched at test time (`fetch_aarch64.py`).
"""

import os
import platform
import re
import subprocess
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import reference
from fetch_aarch64 import COMPILER, EMULATOR, SYSTEM_LIBRARIES, fetch
from hypothesis import HealthCheck, given, settings
from loadable_writer import Network, loadable_bytes
from random_networks import networks

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "runtime"
RUNTIME = ROOT / "runtime"
FOLDER = ROOT / "build" / "aarch64"
ENGINE = [*sorted((RUNTIME / "src" / "host").glob("*.cpp")), RUNTIME / "src" / "tensor.cpp"]
GOOGLETEST = Path("/usr/src/googletest/googletest")
GTEST_PROGRAMS = ["test_host_targets", "test_host_float_conv"]
# Whether it has the dot product. The first is the nearest that QEMU has to Orin's Cortex-A78AE.
CPUS = {"cortex-a76": True, "cortex-a53": False}
MODES = [(rounding, pointwise) for rounding in ("half-away", "half-even") for pointwise in ("fp32", "fp19")]

pytestmark = pytest.mark.long


class Emulated:
    """The programs, and how to run them."""

    def __init__(self, folder: Path, libraries: Path) -> None:
        self.folder, self.libraries = folder, libraries

    def run(self, cpu: str, program: str, *arguments: object) -> str:
        command = [EMULATOR, "-cpu", cpu, "-L", SYSTEM_LIBRARIES, "-E", f"LD_LIBRARY_PATH={self.libraries}"]
        command += [self.folder / program, *arguments]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def build(folder: Path, libraries: Path) -> Emulated:
    headers = folder / "include"
    headers.mkdir()
    for name in ("hwy", "nlohmann", "gtest"):  # no code for any CPU in them
        (headers / name).symlink_to(Path("/usr/include") / name)
    flags = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-ffp-contract=off"]
    includes = [f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}", f"-I{TESTS}", "-isystem", headers]

    def compile_one(source: Path) -> Path:
        made = folder / f"{source.stem}.o"
        extra = ["-w", f"-I{GOOGLETEST}"] if source.suffix == ".cc" else []
        command = [COMPILER, *flags, *includes, *extra, "-c", source, "-o", made]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr
        return made

    programs = [*GTEST_PROGRAMS, "infer_host"]
    sources = [*ENGINE, *(TESTS / f"{name}.cpp" for name in programs)]
    sources += [GOOGLETEST / "src" / f"{name}.cc" for name in ("gtest-all", "gtest_main")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = {made.stem: made for made in pool.map(compile_one, sources)}
    for program in programs:
        own = [objects[source.stem] for source in ENGINE] + [objects[program]]
        if program in GTEST_PROGRAMS:
            own += [objects["gtest-all"], objects["gtest_main"]]
        command = [COMPILER, "-o", folder / program, *own, libraries / "libhwy.so.1", "-pthread"]
        subprocess.run(list(map(str, command)), check=True, timeout=600)
    return Emulated(folder, libraries)


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    if platform.machine() == "aarch64":
        pytest.skip("this machine is ARM itself: the other tests show it")
    try:
        libraries = fetch(FOLDER)
    except (subprocess.SubprocessError, OSError) as error:
        reason = f"NOT SHOWN HERE: no cross compiler, emulator or library for ARM, and none to be had: {error}"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return build(tmp_path_factory.mktemp("aarch64"), libraries)


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("program", GTEST_PROGRAMS)
def test_every_kernel_computes_the_definition(emulated: Emulated, cpu: str, program: str) -> None:
    said = emulated.run(cpu, program)
    kernels = set(re.findall(r"\[       OK \] \w+\.ConvolvesLikeTheDefinition/(\w+)", said))
    has_dot_product = program == "test_host_targets" and CPUS[cpu]
    assert kernels == ({"NEON", "NEON_DOTPROD"} if has_dot_product else {"NEON"}), said


def differing(emulated: Emulated, cpu: str, network: Network, feeds: dict[str, np.ndarray]) -> int:
    """Bytes of all outputs in all modes that differ from the NumPy reference."""
    loadable, inputs, outputs = (emulated.folder / name for name in ("loadable", "inputs", "outputs"))
    loadable.write_bytes(loadable_bytes(network))
    inputs.write_bytes(b"".join(feeds[name].tobytes() for name in network.inputs))
    emulated.run(cpu, "infer_host", loadable, inputs, outputs)
    expected = b""
    for mode in MODES:
        values = reference.run(network, feeds, *mode)
        expected += b"".join(values[name].tobytes() for name in network.outputs)
    got = np.frombuffer(outputs.read_bytes(), np.uint8)
    assert got.size == len(expected)
    return int((got != np.frombuffer(expected, np.uint8)).sum())


@pytest.mark.parametrize("cpu", CPUS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(case=networks())
def test_no_value_of_random_networks_differs(
    emulated: Emulated, cpu: str, case: tuple[Network, dict[str, np.ndarray]]
) -> None:
    assert differing(emulated, cpu, *case) == 0
