# On an Orin the detector has the DLA and the GPU besides the host engine. All that is CUDA is opened at run time, so no
# library's name is in the binaries, and the packages are named here.
# Not inherited: cuda.bbclass. Nothing here is compiled by nvcc, and the class would build a compiler of its own first.

PACKAGECONFIG:append:tegra234 = " cudla tensorrt"

# The recipes of the vendor's headers are for a Jetson only.
COMPATIBLE_MACHINE:tegra234 = "(tegra234)"
PACKAGE_ARCH:tegra234 = "${SOC_FAMILY_PKGARCH}"

RDEPENDS:unina-detector:append:tegra234 = " \
    cuda-cudart \
    gstreamer1.0-plugins-nvarguscamerasrc \
    gstreamer1.0-plugins-nvv4l2camerasrc \
    gstreamer1.0-plugins-nvvidconv \
    libcudla \
    tegra-argus-daemon \
    tegra-libraries-core \
    tegra-libraries-cuda \
    tensorrt-core \
"

# The first boot compiles the bundle: trtexec (in ${prefix}/src/tensorrt/bin, not in PATH) loads the DLA's compiler when it runs,
# and /etc/nv_tegra_release says for which L4T a loadable is good.
RDEPENDS:unina-compile:append:tegra234 = " \
    nv-tegra-release \
    tegra-libraries-dla-compiler \
    tensorrt-plugins \
    tensorrt-trtexec \
"
