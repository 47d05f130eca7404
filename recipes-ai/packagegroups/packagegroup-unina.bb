SUMMARY = "What a car needs: the detector as a service, its model, its system"
DESCRIPTION = "The packages of the product's image and no more; what a developer wants besides is in packagegroup-unina-workshop."

inherit packagegroup features_check

# unina-system needs both; without them the group cannot be installed.
REQUIRED_DISTRO_FEATURES = "systemd overlayfs"

RDEPENDS:${PN} = "\
    unina-compile \
    unina-detector \
    unina-model \
    unina-system \
"
