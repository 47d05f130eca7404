SUMMARY = "What a car needs, and what a developer's car has besides"
DESCRIPTION = "packagegroup-unina: the detector as a service, its model and its system. packagegroup-unina-dev: \
               everything to look at it with."

inherit packagegroup features_check

# unina-system needs both; without them the group cannot be installed.
REQUIRED_DISTRO_FEATURES = "systemd overlayfs"

# meta-unina-dla adds packages that depend on the machine.
PACKAGE_ARCH = "${MACHINE_ARCH}"

PACKAGES = "${PN} ${PN}-dev"

RDEPENDS:${PN} = "\
    unina-compile \
    unina-detector \
    unina-model \
    unina-system \
"
RDEPENDS:${PN}-dev = "\
    ${PN} \
    gdb \
    opencv-apps \
    opencv-samples \
    perf \
    python3-modules \
    python3-opencv \
    python3-unina-runtime \
    strace \
    unina-runtime \
    v4l-utils \
"
