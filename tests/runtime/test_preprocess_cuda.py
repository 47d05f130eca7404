"""The CUDA letterbox builds for Orin without spills, its host side hands over what the definition needs, and a GPU,
where there is one, gives the definition's bytes."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "runtime"
KERNEL = RUNTIME / "src" / "cuda_preprocess" / "letterbox_kernel.cu"
SOURCES = [
    RUNTIME / "src" / "cuda_preprocess" / "letterbox_cuda.cpp",
    *(
        RUNTIME / "src" / "preprocess" / f"{name}.cpp"
        for name in ("image", "placement", "resize", "letterbox_definition")
    ),
    RUNTIME / "src" / "tensor.cpp",
    ROOT / "tests" / "runtime" / "test_letterbox_cuda.cpp",
]
TARGETS = ["arch=compute_87,code=sm_87", "arch=compute_90,code=sm_90", "arch=compute_87,code=compute_87"]


def nvcc() -> str | None:
    """The toolkit's compiler, or that of PyPI's nvidia-cuda-nvcc in this environment."""
    packages = Path(sysconfig.get_path("purelib")) / "nvidia"
    found = [shutil.which("nvcc"), *map(str, [Path("/usr/local/cuda/bin/nvcc"), *packages.glob("*/bin/nvcc")])]
    return next((path for path in found if path and Path(path).is_file()), None)


def run(*command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def compiler() -> str:
    path = nvcc()
    if path is None:
        pytest.skip(
            "NOT SHOWN HERE: no nvcc (CUDA toolkit, or pip install nvidia-cuda-nvcc nvidia-nvvm nvidia-cuda-crt)"
        )
    return path


@pytest.fixture(scope="module")
def built(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The kernel's object file and what ptxas said of it."""
    made = tmp_path_factory.mktemp("cuda") / "letterbox_kernel.o"
    targets = [word for target in TARGETS for word in ("-gencode", target)]
    done = run(
        compiler, "-O3", "-std=c++17", *targets, "-Xptxas", "-v", "-Werror", "all-warnings",
        f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}", "-c", KERNEL, "-o", made,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made, done.stderr


@pytest.fixture(scope="module")
def programs(compiler: str, built: tuple[Path, str]) -> dict[str, Path]:
    """The same objects, linked with the stand-in and with NVIDIA's runtime."""
    kernel, _ = built
    folder = kernel.parent
    standin = ROOT / "tests" / "runtime" / "letterbox_cuda_standin.cpp"
    flags = ["-std=c++17", "-O1", f"-I{RUNTIME / 'include'}", f"-I{RUNTIME / 'src'}", "-I/usr/include/opencv4"]
    objects = []
    for source in [*SOURCES, standin]:
        objects.append(folder / f"{source.stem}.o")
        done = run(compiler, *flags, "-c", source, "-o", objects[-1])
        assert done.returncode == 0, done.stderr
    libraries = ["-lopencv_imgproc", "-lopencv_core", "-lgtest", "-lgtest_main"]
    linked = {}
    for name, own, runtime in (("standin", objects, "none"), ("real", objects[:-1], "static")):
        linked[name] = folder / name
        done = run(compiler, kernel, *own, "-cudart", runtime, *libraries, "-o", linked[name])
        assert done.returncode == 0, done.stderr
    return linked


def test_the_kernel_builds_for_orin_and_keeps_everything_in_registers(built: tuple[Path, str]) -> None:
    said = built[1]
    kernels = re.findall(
        r"PixelFormatE(\d).*?for 'sm_(\d+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers", said, re.DOTALL
    )
    assert sorted({target for _, target, _, _ in kernels}) == ["87", "90"] and len(kernels) == 8, said
    names = ["BGR", "RGBA", "NV12", "UYVY"]
    for source, target, spilled, registers in sorted(kernels):
        print(f"sm_{target} {names[int(source)]}: {registers} registers, {spilled} bytes spilled", file=sys.stderr)
        assert spilled == "0"
        assert int(registers) <= 40, "more than 40 registers: an Orin SM no longer holds all of its 1536 threads"


def test_the_host_side_launches_what_the_definition_needs(programs: dict[str, Path]) -> None:
    done = run(programs["standin"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[       OK ] Gpu.GivesTheDefinitionForEveryFormatLayoutAndSize" in done.stdout


def test_a_gpu_gives_the_definition(programs: dict[str, Path]) -> None:
    done = run(programs["real"])
    assert done.returncode == 0, done.stdout + done.stderr
    if "no GPU" in done.stdout:
        pytest.skip("NOT SHOWN HERE: no GPU, so the kernel's bytes were not compared with the definition's")
    print(*re.findall(r".*GB/s.*", done.stdout), sep="\n", file=sys.stderr)
