SUMMARY = "What the cars are given: unina-image as an update, signed"
DESCRIPTION = "A .swu file for SWUpdate: the root file system for the root that is free, and the firmware that belongs to it. \
               Signed with UNINA_UPDATE_KEY for the certificate that the cars trust."
HOMEPAGE = "https://unina-dla.example.org"
LICENSE = "Apache-2.0"

inherit swupdate

# The private half never gets into an image; a build that only makes images needs none.
UNINA_UPDATE_CERT ??= ""
UNINA_UPDATE_KEY ??= ""

SRC_URI = "file://sw-description file://switch-root"

COMPATIBLE_MACHINE = "(tegra)"

IMAGE_DEPENDS = "unina-image"
UNINA_ROOT = "unina-image${IMAGE_MACHINE_SUFFIX}.rootfs.tar.gz"
SWUPDATE_IMAGES = "${UNINA_ROOT} tegra-bl.cap"
SWUPDATE_SIGNING = "CMS"
SWUPDATE_CMS_CERT = "${UNINA_UPDATE_CERT}"
SWUPDATE_CMS_KEY = "${UNINA_UPDATE_KEY}"

do_swuimage[depends] += "tegra-uefi-capsules:do_deploy"
