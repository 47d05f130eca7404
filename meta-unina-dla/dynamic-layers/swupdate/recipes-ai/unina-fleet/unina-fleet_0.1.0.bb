SUMMARY = "Updates of image and model by SWUpdate, confirmed by a detector that serves"
DESCRIPTION = "unina-fleet gives SWUpdate what this car knows: the root that is free, the certificate to trust, the server to \
               ask. confirm-boot tells the firmware that a new root is good once its detector serves, and goes back otherwise."
HOMEPAGE = "https://unina-dla.example.org"
SECTION = "unina"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# The certificates that updates must be signed for, a PEM file on the build host; the first one signs (unina-swu.bb).
UNINA_UPDATE_CERT ??= ""
# A hawkBit server. Without one nothing asks a network; /etc/unina/fleet.env may name one later.
UNINA_FLEET_SERVER ??= ""
UNINA_UPDATE_CERT_NAME = "${@os.path.basename(d.getVar('UNINA_UPDATE_CERT'))}"
UNINA_UPDATE_CERT_NAME[vardepvalue] = "${UNINA_UPDATE_CERT_NAME}"
FILESEXTRAPATHS:prepend := "${UNINA_SOURCES}:${@os.path.dirname(d.getVar('UNINA_UPDATE_CERT')) or d.getVar('UNINA_SOURCES')}:"

SRC_URI = "\
    file://LICENSE;subdir=${BP} \
    file://confirm-boot;subdir=${BP} \
    file://confirm-boot.conf;subdir=${BP} \
    file://unina-fleet.service;subdir=${BP} \
    file://unina-fleet;subdir=${BP} \
    ${@'file://${UNINA_UPDATE_CERT_NAME};subdir=${BP}' if d.getVar('UNINA_UPDATE_CERT') else ''} \
"

# It says which board an update must be for.
PACKAGE_ARCH = "${MACHINE_ARCH}"
COMPATIBLE_MACHINE = "(tegra)"

EXCLUDE_FROM_WORLD = "1"

inherit systemd

SYSTEMD_SERVICE:${PN} = "unina-fleet.service"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    [ -n "${UNINA_UPDATE_CERT}" ] || bbfatal "UNINA_UPDATE_CERT names no certificate (kas/opt/swupdate.yml)"
    if grep -q PRIVATE ${S}/${UNINA_UPDATE_CERT_NAME}; then
        bbfatal "${UNINA_UPDATE_CERT} holds a private key; give the certificate"
    fi
    install -D -m 0644 ${S}/${UNINA_UPDATE_CERT_NAME} ${D}${datadir}/unina/update.pem
    install -D -m 0755 ${S}/confirm-boot ${D}${libexecdir}/unina/confirm-boot
    install -D -m 0755 ${S}/unina-fleet ${D}${bindir}/unina-fleet
    sed -i 's|@BOARD@|${MACHINE}|' ${D}${bindir}/unina-fleet
    install -D -m 0644 ${S}/unina-fleet.service ${D}${systemd_system_unitdir}/unina-fleet.service
    install -D -m 0644 ${S}/confirm-boot.conf ${D}${systemd_system_unitdir}/nv_update_verifier.service.d/10-unina.conf
    if [ -n "${UNINA_FLEET_SERVER}" ]; then
        install -d ${D}${sysconfdir}/unina
        echo "UNINA_FLEET_SERVER=${UNINA_FLEET_SERVER}" > ${D}${sysconfdir}/unina/fleet.env
        chmod 0600 ${D}${sysconfdir}/unina/fleet.env
    fi
}

FILES:${PN} += "\
    ${datadir}/unina/update.pem \
    ${libexecdir}/unina/confirm-boot \
    ${systemd_system_unitdir}/nv_update_verifier.service.d \
"

RDEPENDS:${PN} = "efivar swupdate tegra-redundant-boot unina-compile unina-detector"
