# python3-pycuda drags nvcc onto the device, so both Python bindings are for the development image only.
RDEPENDS:${PN}:append:tegra234 = " \
    python3-pycuda \
    python3-tensorrt \
    tegra-tools-jetson-clocks \
    tegra-tools-tegrastats \
"
