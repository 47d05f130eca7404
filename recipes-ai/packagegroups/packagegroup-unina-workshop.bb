SUMMARY = "What a developer's car has besides"
DESCRIPTION = "Debuggers, profilers, Python and OpenCV's samples. A recipe of its own, not a package of packagegroup-unina: \
               BitBake builds what any package of a recipe depends on, and the product would need all of it. Not called -dev: every \
               recipe has a package with that ending."

# meta-unina-dla adds packages of a Jetson.
PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit packagegroup features_check

REQUIRED_DISTRO_FEATURES = "systemd overlayfs"

RDEPENDS:${PN} = "\
    gdb \
    opencv-apps \
    opencv-samples \
    packagegroup-unina \
    perf \
    python3-modules \
    python3-opencv \
    python3-unina-runtime \
    strace \
    unina-runtime \
    v4l-utils \
"
