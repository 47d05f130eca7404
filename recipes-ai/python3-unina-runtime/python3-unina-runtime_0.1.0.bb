SUMMARY = "Python face of the cone detector"
DESCRIPTION = "The package unina_runtime: a thin binding to the same C++ code that the detector's service runs, and unina-profile."

require recipes-ai/unina/unina-source.inc

DEPENDS += "cli11 highway nlohmann-json opencv openssl python3 python3-pybind11"

SRC_URI += "file://runtime;subdir=${BP}"

inherit cmake pkgconfig python3native python3targetconfig

OECMAKE_SOURCEPATH = "${S}/runtime"

EXTRA_OECMAKE = "\
    -DUNINA_GSTREAMER=OFF \
    -DUNINA_MQTT=OFF \
    -DUNINA_PYTHON=ON \
    -DUNINA_PYTHON_DIR=${PYTHON_SITEPACKAGES_DIR} \
    -DUNINA_WERROR=OFF \
    -DUNINA_ZMQ=OFF \
"
OECMAKE_TARGET_COMPILE = "_unina"

# The programs are unina-runtime's.
do_install() {
    DESTDIR="${D}" cmake --install ${B} --component python
}

FILES:${PN} += "${bindir}/unina-profile ${PYTHON_SITEPACKAGES_DIR}/unina_runtime"

# Modules of the standard library that unina_runtime imports, in the packages that OpenEmbedded splits it into
# (concurrent.futures is in asyncio's), and pandas for the tables of unina-profile.
RDEPENDS:${PN} = "\
    python3-asyncio \
    python3-core \
    python3-datetime \
    python3-html \
    python3-io \
    python3-json \
    python3-mmap \
    python3-numpy \
    python3-pandas \
    python3-statistics \
"
