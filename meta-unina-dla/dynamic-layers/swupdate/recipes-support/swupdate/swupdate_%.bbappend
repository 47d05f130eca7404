# SWUpdate for a car: signed updates only, no web server, hawkBit as the server, and no boot loader of its own, since the
# firmware keeps the two roots.
FILESEXTRAPATHS:prepend:tegra234 := "${THISDIR}/files:"

SRC_URI:append:tegra234 = " file://unina.cfg"

# Its own service serves whoever asks; unina-fleet starts SWUpdate, if a server is named.
SYSTEMD_AUTO_ENABLE:${PN}:tegra234 = "disable"
