SUMMARY = "Integer cone detector for the DLA: service, benchmark, first-boot compiler"
DESCRIPTION = "Runs detector bundles: letterbox, DLA, GPU or integer host engine, decoder, and a systemd service that \
               publishes detections. One cmake --install lays out programs, units, users, device rules and configuration."

require recipes-ai/unina/unina-source.inc

DEPENDS += "cli11 highway nlohmann-json opencv openssl"

# The pages that are installed, by name: another page's edit shall not compile everything anew.
SRC_URI += "\
    file://docs/first-boot.md;subdir=${BP} \
    file://docs/service.md;subdir=${BP} \
    file://docs/update.md;subdir=${BP} \
    file://runtime;subdir=${BP} \
"

inherit cmake pkgconfig systemd useradd

OECMAKE_SOURCEPATH = "${S}/runtime"

# Accelerators: host is always there; cudla is there, too, and finds its libraries when it runs.
#   cudla     compile the DLA's code against NVIDIA's own headers, not our declarations of them
#   tensorrt  the accelerator tensorrt (GPU, or a DLA core through TensorRT)
# Sources: images, video and frames are always there.
#   gstreamer cameras and every other pipeline of GStreamer
# Sinks: the socket and the ring are always there; these two need a network for the unit.
#   zmq       ZeroMQ
#   mqtt      MQTT; mosquitto is in meta-networking
PACKAGECONFIG ??= "gstreamer"
PACKAGECONFIG[cudla] = "-DUNINA_SDK=real \
                        -DUNINA_CUDA_INCLUDE=${UNINA_CUDA_HEADERS} -DUNINA_CUDLA_INCLUDE=${UNINA_CUDA_HEADERS},-DUNINA_SDK=minimal,cuda-cudart libcudla"
PACKAGECONFIG[tensorrt] = "-DUNINA_TRT_INCLUDE=${STAGING_INCDIR},-DUNINA_TRT_INCLUDE=,tensorrt-core"
PACKAGECONFIG[zmq] = "-DUNINA_ZMQ=ON,-DUNINA_ZMQ=OFF,zeromq"
PACKAGECONFIG[mqtt] = "-DUNINA_MQTT=ON,-DUNINA_MQTT=OFF,mosquitto"
PACKAGECONFIG[gstreamer] = "-DUNINA_GSTREAMER=ON,-DUNINA_GSTREAMER=OFF,gstreamer1.0 gstreamer1.0-plugins-base"

UNINA_CUDA_HEADERS = "${STAGING_DIR_HOST}/usr/local/cuda-${CUDA_VERSION}/include"

# A warning of a newer compiler is for the developers, not for who builds an image.
EXTRA_OECMAKE = "-DUNINA_WERROR=OFF"

# Where the image's detector gets its pictures: a source of docs/service.md, instead of the configuration's (kas/opt/camera.yml).
UNINA_CAMERA ??= ""
UNINA_CAMERA_FOR_SED = "${@d.getVar('UNINA_CAMERA').replace('&', chr(92) + '&').replace('|', chr(92) + '|')}"

do_install:append() {
    if [ -n "${UNINA_CAMERA}" ]; then
        sed -i 's|^source = .*|source = "${UNINA_CAMERA_FOR_SED}"|' ${D}${sysconfdir}/unina/detector.toml
    fi
}

PACKAGES =+ "unina-detector unina-compile"

FILES:unina-detector += "\
    ${bindir}/unina-detector \
    ${nonarch_base_libdir}/udev \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
    ${nonarch_libdir}/udev \
    ${sysconfdir}/unina/detector.toml \
    ${systemd_system_unitdir}/unina-detector* \
"
FILES:unina-compile += "\
    ${bindir}/unina-compile \
    ${datadir}/unina/python \
    ${sysconfdir}/unina/compile.toml \
    ${sysconfdir}/unina/trusted-keys \
    ${systemd_system_unitdir}/unina-compile* \
    ${systemd_system_unitdir}/unina-update* \
"
CONFFILES:unina-compile += "${sysconfdir}/unina/compile.toml"
CONFFILES:unina-detector += "${sysconfdir}/unina/detector.toml"

# sysusers.d makes users while a device boots, which a read-only root forbids: the same ones are made with the image.
USERADD_PACKAGES = "unina-detector"
GROUPADD_PARAM:unina-detector = "--system render; --system unina; --system unina-compile"
USERADD_PARAM:unina-detector = "\
    ${UNINA_USER} --gid unina unina; \
    ${UNINA_USER},unina --gid unina-compile unina-compile \
"
UNINA_USER = "--system --no-create-home --home-dir / --shell ${base_sbindir}/nologin --groups video,render"

SYSTEMD_PACKAGES = "unina-detector unina-compile"
SYSTEMD_SERVICE:unina-detector = "unina-detector.service"
SYSTEMD_SERVICE:unina-compile = "unina-compile.service unina-update.service unina-update.path"

RDEPENDS:${PN} = "unina-detector"
RDEPENDS:unina-compile = "\
    python3-core \
    python3-crypt \
    python3-ctypes \
    python3-fcntl \
    python3-io \
    python3-json \
    python3-resource \
    python3-tomllib \
    unina-detector \
"
RDEPENDS:unina-detector = "${@bb.utils.contains('PACKAGECONFIG', 'gstreamer', '${UNINA_GSTREAMER_PLUGINS}', '', d)}"
RRECOMMENDS:unina-detector = "unina-model"

# What the pipelines of docs/service.md need; other plugins are an image's choice (IMAGE_INSTALL).
UNINA_GSTREAMER_PLUGINS = "\
    gstreamer1.0-plugins-base-app \
    gstreamer1.0-plugins-base-videoconvertscale \
    gstreamer1.0-plugins-good-video4linux2 \
"
