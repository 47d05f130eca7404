SUMMARY = "Provides by name what our recipes depend on; never built"
LICENSE = "CLOSED"

INHIBIT_DEFAULT_DEPS = "1"

deltask do_patch

PROVIDES += "\
    base-files base-passwd cli11 gstreamer1.0 gstreamer1.0-plugins-base highway nlohmann-json opencv openssl python3 \
    python3-pybind11 shadow shadow-sysroot virtual/${TARGET_PREFIX}binutils virtual/${TARGET_PREFIX}compilerlibs \
    virtual/${TARGET_PREFIX}gcc virtual/crypt virtual/libc \
"
RPROVIDES:${PN} = "\
    base-files base-passwd e2fsprogs-mke2fs gstreamer1.0-plugins-base-app \
    gstreamer1.0-plugins-base-videoconvertscale gstreamer1.0-plugins-good-video4linux2 openssh-sshd python3-asyncio \
    python3-core python3-cryptography python3-crypt python3-ctypes python3-datetime python3-fcntl python3-html python3-io \
    python3-json python3-mmap python3-numpy python3-pandas python3-pyyaml python3-resource python3-statistics \
    python3-tomllib shadow systemd \
"
ALLOW_EMPTY:${PN} = "1"
