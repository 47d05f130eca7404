"""NVIDIA's headers under the names of meta-tegra's recipes, so that ours compile for an Orin; no libraries behind them.

CUDA's and cuDLA's come from the Python package index. TensorRT's are in no registry: UNINA_TRT_INCLUDE names a folder
with NvInfer.h (github.com/NVIDIA/TensorRT, release/10.3), and without it the build for an Orin is one without TensorRT.
"""

import importlib.util
import os
import shutil
from pathlib import Path

from laid_out import write_layer, write_recipe
from parsed import ROOT

TEGRA_ONLY = 'COMPATIBLE_MACHINE = "(tegra)"\nPACKAGE_ARCH = "${TEGRA_PKGARCH}"\nALLOW_EMPTY:${PN} = "1"\n'
CUDA = "usr/local/cuda-12.6/include"
# Packages of meta-tegra's and meta-tegra-community's that ours ask for and that hold nothing here.
EMPTY = (
    "gstreamer1.0-plugins-nvarguscamerasrc gstreamer1.0-plugins-nvv4l2camerasrc gstreamer1.0-plugins-nvvidconv "
    "nv-tegra-release python3-pycuda python3-tensorrt tegra-argus-daemon tegra-libraries-core tegra-libraries-cuda "
    "tegra-libraries-dla-compiler tegra-tools-jetson-clocks tegra-tools-tegrastats tensorrt-plugins tensorrt-trtexec"
)


def make(folder: Path) -> Path:
    """The layer, made anew each time: it is small, and signatures are of the content."""
    spec = importlib.util.spec_from_file_location("fetch_headers", ROOT / "tests" / "runtime" / "fetch_headers.py")
    assert spec is not None and spec.loader is not None
    fetcher = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetcher)
    fetched = fetcher.fetch(folder / "headers")
    layer = folder / "layer"
    shutil.rmtree(layer, ignore_errors=True)
    sources = {"cuda-cudart": (fetched["cuda-12.6"], CUDA), "libcudla": (fetched["cudla"], CUDA)}
    tensorrt = os.environ.get("UNINA_TRT_INCLUDE")
    if tensorrt:
        sources["tensorrt-core"] = (Path(tensorrt), "usr/include")
    for name, (source, place) in sources.items():
        shutil.copytree(source, layer / "files" / name / place)
        write_recipe(layer, name, "10.3" if name == "tensorrt-core" else "12.6", "NVIDIA's headers", TEGRA_ONLY)
    (layer / "files/nvidia-empty").mkdir()
    names = EMPTY if tensorrt else f"{EMPTY} tensorrt-core"
    write_recipe(layer, "nvidia-empty", "1", "Nothing", f'{TEGRA_ONLY}RPROVIDES:${{PN}} = "{names}"\n')
    write_layer(layer, "nvidia-headers")
    return layer
