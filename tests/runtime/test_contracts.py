"""Our declarations of NVIDIA's libraries, and all code that uses them, against NVIDIA's own headers.

Those of CUDA and cuDLA come from the package index at test time; without a network that is skipped, and says so. The
others are in no registry: environment variables name their folders.
"""

import os
import shutil
import subprocess
import warnings
from pathlib import Path

import pytest
from fetch_headers import fetch

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "runtime"
RUNTIME = ROOT / "runtime"
SOURCES = RUNTIME / "src"
FOLDER = ROOT / "build" / "headers"
INSTALLED = Path("/usr/local/cuda/include")  # a toolkit of this machine, should there be one


@pytest.fixture(scope="module")
def places() -> dict[str, Path]:
    try:
        found = fetch(FOLDER)
    except (subprocess.SubprocessError, OSError) as error:
        reason = f"NVIDIA's headers could not be fetched, so nothing was checked against them: {error}"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    if (INSTALLED / "cuda_runtime_api.h").exists():
        found["installed"] = INSTALLED
    return found


def compile_only(source: Path, *flags: str, before: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`before`: a folder whose headers are taken in place of ours."""
    compiler = os.environ.get("CXX", "g++")
    assert shutil.which(compiler), f"no {compiler}"
    command = [compiler, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    folders = [SOURCES, RUNTIME / "include", RUNTIME]
    command += [f"-I{folder}" for folder in ([before] if before else []) + folders] + [*flags, str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def real(places: dict[str, Path], cuda: str) -> list[str]:
    return ["-DUNINA_SDK_REAL", "-isystem", str(places[cuda]), "-isystem", str(places["cudla"])]


@pytest.mark.parametrize("cuda", ["cuda-12.6", "cuda-13.0", "installed"])
def test_every_contract_holds_in_the_vendors_headers(places: dict[str, Path], cuda: str) -> None:
    if cuda not in places:
        pytest.skip(f"no CUDA toolkit in {INSTALLED}")
    contracts = sorted(TESTS.glob("contract_cu*.cpp"))
    assert [contract.name for contract in contracts] == ["contract_cudart.cpp", "contract_cudla.cpp"]
    for contract in contracts:
        done = compile_only(contract, *real(places, cuda))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cuda", ["cuda-12.6", "cuda-13.0"])
def test_the_device_code_and_the_stand_ins_compile_against_the_vendors_headers(
    places: dict[str, Path], cuda: str
) -> None:
    device = [*(SOURCES / "cuda").glob("*.cpp"), *(SOURCES / "cudla").glob("*.cpp")]
    standins = sorted((TESTS / "standins").glob("cud*.cpp"))
    assert len(device) > 10 and len(standins) > 3
    for source in [*device, *standins]:
        done = compile_only(source, *real(places, cuda), f"-I{TESTS / 'standins'}")
        assert done.returncode == 0, done.stderr


def test_the_adapter_and_the_contract_of_tensorrt_hold_in_the_vendors_headers(places: dict[str, Path]) -> None:
    folder = os.environ.get("UNINA_TRT_INCLUDE")
    if folder is None:
        pytest.skip(
            "UNINA_TRT_INCLUDE does not name a folder with NvInfer.h: TensorRT 10 is compiled against ours only"
        )
    for source in (TESTS / "contract_nvinfer.cpp", SOURCES / "tensorrt" / "nvinfer_adapter.cpp"):
        done = compile_only(source, *real(places, "cuda-12.6"), "-DUNINA_TRT_REAL", "-isystem", folder)
        assert done.returncode == 0, done.stderr


def test_the_standalone_mode_and_its_contract_hold_in_the_vendors_headers(places: dict[str, Path]) -> None:
    folder = os.environ.get("UNINA_NVSCI_INCLUDE")
    if folder is None:
        pytest.skip("UNINA_NVSCI_INCLUDE does not name a folder with nvscibuf.h: NvSci is compiled against ours only")
    standins = [TESTS / "standins" / f"nvsci{part}.cpp" for part in ("buf", "sync")]
    for source in (TESTS / "contract_nvsci.cpp", *(SOURCES / "cudla").glob("*.cpp"), *standins):
        flags = (f"-I{TESTS / 'standins'}", "-DUNINA_NVSCI_REAL", "-isystem", folder)
        done = compile_only(source, *real(places, "cuda-12.6"), *flags)
        assert done.returncode == 0, done.stderr


def test_nvmm_pictures_and_their_contract_hold_in_the_vendors_header() -> None:
    folder = os.environ.get("UNINA_NVBUF_INCLUDE")
    if folder is None:
        pytest.skip("UNINA_NVBUF_INCLUDE does not name a folder with nvbufsurface.h: it is compiled against ours only")
    standin = TESTS / "standins" / "nvbufsurface.cpp"
    for source in (TESTS / "contract_nvbufsurface.cpp", *sorted((SOURCES / "nvmm").glob("*.cpp")), standin):
        flags = (f"-I{TESTS / 'standins'}", "-DUNINA_NVBUF_REAL", "-isystem", folder)
        done = compile_only(source, *flags)
        assert done.returncode == 0, done.stderr


def test_the_parser_of_deepstream_and_its_contract_hold_in_the_vendors_headers() -> None:
    folder = os.environ.get("UNINA_DEEPSTREAM_INCLUDE")
    if folder is None:
        pytest.skip(
            "UNINA_DEEPSTREAM_INCLUDE does not name a folder with nvdsinfer.h: it is compiled against ours only"
        )
    needs = ["/usr/local/cuda/include", *os.environ.get("UNINA_DEEPSTREAM_NEEDS", "").split()]
    flags = [flag for path in (folder, *needs) for flag in ("-idirafter", path)]
    for source in (TESTS / "contract_nvdsinfer.cpp", *sorted((RUNTIME / "deepstream").glob("*.cpp"))):
        done = compile_only(source, "-DUNINA_DEEPSTREAM_REAL", *flags)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("contract", "wrong"),
    [
        ("contract_cudla.cpp", ("cudlaErrorUmd = 7", "cudlaErrorUmd = 8")),
        (
            "contract_cudla.cpp",
            (
                "uint32_t numOutputTensors;\n  uint32_t numInputTensors;",
                "uint32_t numInputTensors;\n  uint32_t numOutputTensors;",
            ),
        ),
        (
            "contract_cudla.cpp",
            ("cudlaModuleUnload(cudlaModule module, uint32_t flags)", "cudlaModuleUnload(cudlaModule module)"),
        ),
        ("contract_cudart.cpp", ("#define cudaHostAllocMapped 0x02", "#define cudaHostAllocMapped 0x04")),
        ("contract_cudart.cpp", ("cudaError_t cudaFreeHost(void* host)", "cudaError_t cudaFreeHost(const void* host)")),
        ("contract_cudla.cpp", ("  CudlaFence* eofFences;\n  uint32_t numEvents;", "  uint32_t numEvents;")),
        ("contract_nvsci.cpp", ("void NvSciBufObjFree(", "NvSciError NvSciBufObjFree(")),
        ("contract_nvsci.cpp", ("#define UNINA_FAKE_SDK 1", "")),
        ("contract_nvbufsurface.cpp", ("NVBUF_LAYOUT_PITCH = 0", "NVBUF_LAYOUT_PITCH = 2")),
        ("contract_nvbufsurface.cpp", ("  std::uint32_t dataSize;\n  void* not_used;", "  std::uint32_t dataSize;")),
        ("contract_nvbufsurface.cpp", ("int NvBufSurfaceUnMap(", "void NvBufSurfaceUnMap(")),
        ("contract_nvinfer.cpp", ("kDLA_HWC4 = 10", "kDLA_HWC4 = 11")),
        ("contract_nvinfer.cpp", ("bool enqueueV3(", "void enqueueV3(")),
        ("contract_nvdsinfer.cpp", ("INT8 = 2", "INT8 = 4")),
        ("contract_nvdsinfer.cpp", ("  int bindingIndex;\n", "")),
        ("contract_nvdsinfer.cpp", ("float left;", "unsigned int left;")),
        ("contract_nvdsinfer.cpp", ("using NvDsInferParseCustomFunc = bool", "using NvDsInferParseCustomFunc = void")),
    ],
)
def test_a_contract_notices_a_difference(tmp_path: Path, contract: str, wrong: tuple[str, str]) -> None:
    old, new = wrong
    library = contract.removeprefix("contract_").removesuffix(".cpp")
    folder = {"cudart": "cuda", "nvsci": "cudla", "nvbufsurface": "nvmm", "nvinfer": "tensorrt"}.get(library, library)
    header = SOURCES / folder / f"{library}_minimal.h"
    if library == "nvdsinfer":
        header = RUNTIME / "deepstream" / f"{library}_minimal.h"
    text = header.read_text()
    assert old in text
    changed = tmp_path / header.parent.name / header.name
    changed.parent.mkdir()
    changed.write_text(f"{text}// only a comment\n")
    same = compile_only(TESTS / contract, before=tmp_path)
    assert same.returncode == 0, same.stderr
    changed.write_text(text.replace(old, new))
    done = compile_only(TESTS / contract, before=tmp_path)
    assert done.returncode != 0
    assert str(TESTS / contract) in done.stderr, "it is the contract that fails, not the header"
