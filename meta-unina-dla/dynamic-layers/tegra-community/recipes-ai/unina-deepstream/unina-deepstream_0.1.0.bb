SUMMARY = "DeepStream's output parser of the cone detector"
DESCRIPTION = "libnvdsinfer_unina.so: the detector's own decoder behind the interface of Gst-nvinfer, compiled against DeepStream's \
               headers. Configurations and networks are written by unina-export deepstream (docs/deepstream.md)."
HOMEPAGE = "https://unina-dla.example.org"
SECTION = "unina"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

DEPENDS = "cuda-cudart deepstream-7.1 tensorrt-core"

# As recipes-ai/unina/unina-source.inc: the checkout that the layer lies in is what is built.
FILESEXTRAPATHS:prepend := "${UNINA_SOURCES}:"
SRC_URI = "\
    file://LICENSE;subdir=${BP} \
    file://runtime/deepstream;subdir=${BP} \
    file://runtime/include;subdir=${BP} \
    file://runtime/src;subdir=${BP} \
"

# Headers and library are of one version of DeepStream, which has a build for L4T alone.
COMPATIBLE_MACHINE = "(tegra)"
PACKAGE_ARCH = "${TEGRA_PKGARCH}"

inherit cmake

OECMAKE_SOURCEPATH = "${S}/runtime/deepstream"
EXTRA_OECMAKE = "\
    -DUNINA_DEEPSTREAM_INCLUDE=${STAGING_DIR_HOST}/opt/nvidia/deepstream/deepstream-7.1/sources/includes \
    -DUNINA_DEEPSTREAM_NEEDS=${STAGING_DIR_HOST}/usr/local/cuda-${CUDA_VERSION}/include \
"

# A module that is opened by its name, not a link for compilers.
FILES_SOLIBSDEV = ""
FILES:${PN} += "${libdir}/libnvdsinfer_unina.so"

RDEPENDS:${PN} = "deepstream-7.1"
