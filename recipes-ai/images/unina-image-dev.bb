SUMMARY = "The car's image with everything to look into it"
DESCRIPTION = "For the workshop, never for a race: root without a password, SSH, debuggers, profilers, Python, OpenCV's \
               samples. The root can be written."

require recipes-ai/images/unina-image.inc

# nooelint: oelint.var.badimagefeature.debug-tweaks,oelint.var.badimagefeature.tools-debug - what the image is for
IMAGE_FEATURES += "debug-tweaks ssh-server-openssh tools-debug tools-profile"
IMAGE_INSTALL += "packagegroup-unina-workshop"
