"""The TensorRT plugin builds for GPUs, its launches hand over what the kernels need, and it holds in NVIDIA's headers.

Needs nvcc; what needs TensorRT's headers (UNINA_TRT_INCLUDE) or a GPU says so and is skipped. That the plugin finds
what the decoder finds, and what TensorRT sees of it, is shown in every build: test_decode_kernels, test_decode_plugin.
"""

import ctypes
import os
import re
import sys
from pathlib import Path

import pytest
from test_contracts import compile_only
from test_preprocess_cuda import nvcc, run

ROOT = Path(__file__).parents[2]
RUNTIME, TESTS = ROOT / "runtime", ROOT / "tests" / "runtime"
PLUGIN = RUNTIME / "tensorrt-plugin"
INCLUDES = [f"-I{folder}" for folder in (PLUGIN, RUNTIME / "include", RUNTIME / "src", TESTS)]
DECODER = [RUNTIME / "src" / f"{name}.cpp" for name in ("decode", "tensor", "preprocess/placement")]
KERNELS = {"candidate_kernel", "rank_kernel", "nms_kernel"}


@pytest.fixture(scope="module")
def compiler() -> str:
    path = nvcc()
    if path is None:
        pytest.skip("NOT SHOWN HERE: no nvcc, so the plugin's kernels were not compiled")
    return path


@pytest.fixture(scope="module")
def trt_include() -> str:
    folder = os.environ.get("UNINA_TRT_INCLUDE")
    if folder is None:
        pytest.skip(
            "NOT SHOWN HERE: UNINA_TRT_INCLUDE does not name a folder with NvInfer.h, so the plugin was compiled "
            "against our declarations of TensorRT only"
        )
    return folder


@pytest.fixture(scope="module")
def cuda_include(compiler: str) -> str:
    places = [Path(compiler).resolve().parents[1] / "include", Path("/usr/local/cuda/include")]
    found = next((place for place in places if (place / "cuda_runtime_api.h").is_file()), None)
    if found is None:
        pytest.skip(f"NOT SHOWN HERE: no cuda_runtime_api.h in {places}")
    return str(found)


@pytest.fixture(scope="module")
def kernels(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The kernels' object file and what ptxas said of it."""
    made = tmp_path_factory.mktemp("plugin") / "decode_kernels.o"
    targets = [word for sm in (75, 87, 90) for word in ("-gencode", f"arch=compute_{sm},code=sm_{sm}")]
    done = run(
        compiler, "-O3", "-std=c++17", "-fmad=false", *targets, "-Xptxas", "-v", "-Werror", "all-warnings",
        "-DUNINA_SDK_REAL", *INCLUDES, "-c", PLUGIN / "decode_kernels.cu", "-o", made,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return made, done.stderr


def kernel_test(compiler: str, kernels: Path, cudart: str, *more: str | Path) -> Path:
    """test_decode_kernels with the real launches, on the runtime library that is named."""
    program = kernels.parent / f"kernels-{cudart}"
    sources = [TESTS / "test_decode_kernels.cpp", PLUGIN / "decode_plan.cpp", *DECODER]
    flags = ["-std=c++17", "-O1", "-DUNINA_SDK_REAL", "-DUNINA_TEST_CUDA", *INCLUDES]
    done = run(compiler, *flags, kernels, *sources, *more, "-cudart", cudart, "-lgtest", "-lgtest_main", "-o", program)
    assert done.returncode == 0, done.stderr
    return program


def test_the_kernels_build_for_three_generations_and_keep_everything_in_registers(kernels: tuple[Path, str]) -> None:
    found = re.findall(
        r"(\w+_kernel)E\w*' for 'sm_(\d+)'.*?(\d+) bytes spill stores.*?Used (\d+) reg", kernels[1], re.S
    )
    names = {(next(name for name in KERNELS if name in mangled), sm) for mangled, sm, _, _ in found}
    assert names == {(name, sm) for name in KERNELS for sm in ("75", "87", "90")}, kernels[1]
    for mangled, sm, spilled, registers in found:
        print(f"sm_{sm} {mangled[-20:]}: {registers} registers, {spilled} bytes spilled", file=sys.stderr)
        assert spilled == "0"


def test_the_launches_hand_over_what_the_kernels_need(compiler: str, kernels: tuple[Path, str]) -> None:
    done = run(kernel_test(compiler, kernels[0], "none", TESTS / "decode_cuda_standin.cpp"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[       OK ] DecodeKernels.NmsKeepsTheBestOfThoseOfAClassThatOverlap" in done.stdout


def test_a_gpu_finds_what_the_decoder_finds(compiler: str, kernels: tuple[Path, str]) -> None:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        driver = None
    if driver is None or driver.cuInit(0) != 0:
        pytest.skip("NOT SHOWN HERE: no GPU, so what the plugin's kernels compute there was not compared")
    done = run(kernel_test(compiler, kernels[0], "static", "-DUNINA_TEST_GPU"))
    assert done.returncode == 0, done.stdout + done.stderr


def vendor(trt_include: str, cuda_include: str) -> list[str]:
    return ["-DUNINA_SDK_REAL", "-DUNINA_TRT_REAL", "-isystem", trt_include, "-isystem", cuda_include]


def test_the_plugin_and_its_contract_hold_in_the_vendors_headers(trt_include: str, cuda_include: str) -> None:
    sources = sorted(PLUGIN.glob("*.cpp"))
    assert {"decode_plugin.cpp", "decode_creator.cpp", "register.cpp"} <= {source.name for source in sources}
    for source in (TESTS / "contract_nvinfer_plugin.cpp", *sources):
        done = compile_only(source, f"-I{PLUGIN}", *vendor(trt_include, cuda_include))
        assert done.returncode == 0, done.stderr


def test_what_tensorrt_sees_holds_through_the_vendors_interfaces(
    trt_include: str, cuda_include: str, tmp_path: Path
) -> None:
    parts = ("decode_plan", "decode_fields", "decode_plugin", "decode_creator")
    sources = [*(PLUGIN / f"{part}.cpp" for part in parts), *DECODER]
    sources += [TESTS / "test_decode_plugin.cpp", TESTS / "played_launch.cpp"]
    flags = ["-std=c++17", "-O1", "-ffp-contract=off", *INCLUDES, *vendor(trt_include, cuda_include)]
    program = tmp_path / "plugin"
    done = run("g++", *flags, *sources, "-lgtest", "-lgtest_main", "-lpthread", "-o", program)
    assert done.returncode == 0, done.stderr
    done = run(program)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[       OK ] DecodePlugin.ABatchGivesTheDecodersDetectionsOfEachPicture" in done.stdout


@pytest.fixture(scope="module")
def library(compiler: str, trt_include: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libunina_plugin.so, built as docs/tensorrt-plugin.md says."""
    folder = tmp_path_factory.mktemp("library")
    done = run(
        "cmake", "-S", PLUGIN, "-B", folder, "-G", "Ninja",
        f"-DUNINA_TRT_INCLUDE={trt_include}", f"-DCMAKE_CUDA_COMPILER={compiler}",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("cmake", "--build", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "libunina_plugin.so"


def test_the_library_registers_the_plugin_when_it_is_loaded_and_returns_what_fails(
    library: Path, trt_include: str, cuda_include: str, tmp_path: Path
) -> None:
    fake = tmp_path / "libnvinfer.so.10"
    loader = tmp_path / "load_plugin"
    flags = ["-std=c++17", *vendor(trt_include, cuda_include)]
    shared = ["-shared", "-fPIC", "-Wl,-soname,libnvinfer.so.10"]
    for command in (
        ["g++", *flags, *shared, TESTS / "fake_nvinfer.cpp", "-o", fake],
        ["g++", *flags, TESTS / "load_plugin.cpp", "-ldl", "-o", loader],
    ):
        done = run(*command)
        assert done.returncode == 0, done.stderr
    done = run(loader, fake, library)
    assert done.returncode == 0, done.stdout + done.stderr
    # Memory of the CPU, and here no GPU either: the kernels cannot run, and nothing is thrown.
    assert done.stdout == "registered, made, enqueue returned -1\n", done.stdout + done.stderr
    assert re.fullmatch(r"unina: UninaDecode: CUDA refused its kernels: [^\n]+\n", done.stderr)


def test_without_tensorrt_the_library_says_so_and_loads(library: Path) -> None:
    done = run(sys.executable, "-c", f"import ctypes; ctypes.CDLL('{library}'); print('alive')")
    assert done.stdout == "alive\n" and re.fullmatch(r"unina: libnvinfer\.so\.10: [^\n]+\n", done.stderr), done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kFLOAT32 = 1", "kFLOAT32 = 2"),
        ("virtual IPluginV3* clone() noexcept", "virtual IPluginV3* clone()"),
        ("enum class TensorRTPhase : int32_t { kBUILD = 0, kRUNTIME = 1 }",
         "enum class TensorRTPhase : int32_t { kRUNTIME = 0, kBUILD = 1 }"),
    ],
)  # fmt: skip
def test_the_contract_notices_a_difference(tmp_path: Path, before: str, after: str) -> None:
    header = PLUGIN / "nvinfer_plugin_minimal.h"
    assert before in header.read_text()
    changed = tmp_path / header.name
    changed.write_text(header.read_text().replace(before, after))
    contract = TESTS / "contract_nvinfer_plugin.cpp"
    assert compile_only(contract, f"-I{PLUGIN}").returncode == 0
    assert compile_only(contract, f"-I{PLUGIN}", "-include", str(changed)).returncode != 0


def test_a_build_without_headers_says_what_to_install(tmp_path: Path, compiler: str) -> None:
    flags = ["-DUNINA_TRT_INCLUDE=UNINA_TRT_INCLUDE-NOTFOUND", "-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY"]
    flags += [f"-DCMAKE_FIND_ROOT_PATH={tmp_path}", f"-DCMAKE_CUDA_COMPILER={compiler}"]
    done = run("cmake", "-S", PLUGIN, "-B", tmp_path / "build", "-G", "Ninja", *flags)
    assert done.returncode != 0 and "-DUNINA_TRT_INCLUDE=FOLDER" in " ".join(done.stderr.split())
