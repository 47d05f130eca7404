SUMMARY = "The car's image: detector, model, read-only root"
DESCRIPTION = "Production: root is locked, there is no SSH and nothing listens; everything that lasts is on /data."

require recipes-ai/images/unina-image.inc

IMAGE_FEATURES += "read-only-rootfs"
