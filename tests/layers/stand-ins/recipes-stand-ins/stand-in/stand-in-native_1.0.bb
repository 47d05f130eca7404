SUMMARY = "Provides by name the host's tools that our recipes depend on; never built"
LICENSE = "CLOSED"

INHIBIT_DEFAULT_DEPS = "1"

inherit native nopackages

deltask do_patch

PROVIDES += "\
    cmake-native dwarfsrcfiles-native file-native ninja-native opkg-utils-native patch-replacement-native pkgconfig-native \
    pseudo-native python3-build-native python3-hatchling-native python3-installer-native python3-native quilt-native \
    rpm-native shadow-native systemd-systemctl-native unzip-native virtual/fakeroot-native zstd-native \
"
