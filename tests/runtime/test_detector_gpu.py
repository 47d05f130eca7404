"""A detector whose pictures a GPU preprocesses finds what one on the CPU finds, byte for byte: with nvcc's own launch
code, kernels played on the streams of the stand-ins."""

import subprocess
from pathlib import Path

import pytest
from programs import refuse
from standin_dla import STANDINS, Dla, standin_loadable
from test_preprocess_cuda import ROOT, RUNTIME, built, compiler, run
from tiny_bundle import TinyBundle

__all__ = ["built", "compiler"]  # fixtures
TESTS = ROOT / "tests" / "runtime"


@pytest.fixture(scope="module")
def detect(compiler: str, built: tuple[Path, str]) -> Path:
    """detect_camera_pictures, with the CUDA part of libunina in place of its absence."""
    kernel, _ = built
    folder = kernel.parent
    flags = [
        "-std=c++17",
        "-O1",
        "-DUNINA_STANDIN_CUDART",
        *(f"-I{path}" for path in (RUNTIME / "include", RUNTIME / "src", TESTS)),
    ]
    objects = [kernel]
    for source in (
        RUNTIME / "src" / "cuda_preprocess" / "letterbox_cuda.cpp",
        RUNTIME / "src" / "cuda_preprocess" / "gpu_letterbox.cpp",
        TESTS / "letterbox_cuda_standin.cpp",
        TESTS / "detect_camera_pictures.cpp",
    ):
        objects.append(folder / f"gpu_{source.stem}.o")
        done = run(compiler, *flags, "-c", source, "-o", objects[-1])
        assert done.returncode == 0, done.stderr
    libraries: list[object] = ["-Xlinker", STANDINS / "libcudart.so.12"]
    libraries += [f"-l{name}" for name in ("opencv_imgproc", "opencv_core", "crypto", "hwy", "dl", "pthread")]
    made = folder / "detect_camera_pictures"
    done = run(compiler, "-cudart", "none", *objects, STANDINS.parents[1] / "libunina.a", *libraries, "-o", made)
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture
def loadable(tmp_path: Path, bundle: TinyBundle) -> Path:
    return standin_loadable(bundle, tmp_path / "tiny.dla")


@pytest.fixture
def dla(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Dla:
    machine = Dla(monkeypatch, tmp_path / "report.txt")
    machine.plug_in()
    return machine


def found(done: subprocess.CompletedProcess[str]) -> list[str]:
    """One text a picture: its format and size, then its detections."""
    pictures: list[str] = []
    for line in done.stdout.splitlines(keepends=True):
        if line[0].isdigit():
            pictures[-1] += line
        else:
            pictures.append(line)
    return pictures


def test_the_gpu_gives_the_detections_of_the_cpu(bundle: TinyBundle, loadable: Path, dla: Dla, detect: Path) -> None:
    on_host, on_cpu, on_gpu = (
        run(detect, bundle.path, *rest) for rest in (("", "cpu"), (loadable, "cpu"), (loadable, "gpu"))
    )
    assert (on_host.returncode, on_cpu.returncode, on_gpu.returncode) == (0, 0, 0), on_gpu.stderr
    assert on_gpu.stdout == on_cpu.stdout == on_host.stdout
    assert len(found(on_gpu)) == 24 and len(set(found(on_gpu))) == 24
    report = dla.report()
    assert (report.live, report.violations) == ("", "")
    assert report.calls["cudaLaunchKernel"] == report.calls["cudlaSubmitTask"] == 24


@pytest.mark.parametrize(
    "fault", ["cudaLaunchKernel:5=fail", "cudaMalloc:2=fail", "cudaMemcpy:6=fail", "cudaHostAlloc:8=fail"]
)
def test_what_the_gpu_refuses_costs_that_picture_alone(
    bundle: TinyBundle, loadable: Path, dla: Dla, detect: Path, fault: str
) -> None:
    whole = found(run(detect, bundle.path, loadable, "gpu"))
    dla.plug_in(fault)
    done = run(detect, bundle.path, loadable, "gpu")
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith(f"{loadable}: "), done.stderr
    assert fault.split(":", maxsplit=1)[0] in done.stderr or "launch" in done.stderr
    differing = [after for before, after in zip(whole, found(done), strict=True) if before != after]
    assert len(differing) == 1 and differing[0].count("\n") == 1  # the picture's name, and nothing found
    assert dla.report().violations == ""


def test_the_gpu_is_refused_where_it_cannot_preprocess(
    bundle: TinyBundle, loadable: Path, dla: Dla, detect: Path, tmp_path: Path
) -> None:
    on_host = run(detect, bundle.path, "", "gpu")
    assert on_host.returncode == 2
    assert "accelerator host reads its input from memory that no GPU sees; take preprocess cpu" in on_host.stderr


def test_a_build_without_cuda_says_so(bundle: TinyBundle, loadable: Path, dla: Dla) -> None:
    arguments = ["--bundle", bundle.path, "--source", "images:nowhere", "--preprocess"]
    message = refuse("unina-detector", *arguments, "gpu", "--dla-loadable", loadable)
    assert "this build has no CUDA" in message and "take preprocess cpu" in message
    assert "no GPU sees" in refuse("unina-detector", *arguments, "gpu", "--accelerator", "host")
    assert "cpu,gpu" in refuse("unina-detector", *arguments, "tpu")
