SUMMARY = "The detector's bundle that the image ships"
DESCRIPTION = "A bundle (.unina): network, calibration, integer form and manifest. cones.unina by default; UNINA_BUNDLE \
               names another one. It is verified when the package is built, as the car will."

require recipes-ai/unina/unina-source.inc
require recipes-ai/unina-trusted-key/trusted-key.inc

# A .unina folder anywhere on the build host, for instance in local.conf or a kas overlay:
#   UNINA_BUNDLE = "/home/me/ours.unina"
UNINA_BUNDLE ??= "${UNINA_SOURCES}/recipes-ai/unina-model/files/cones.unina"

# Name and folder apart: the name is part of the signature, the place is not, the content always is.
UNINA_BUNDLE_NAME = "${@os.path.basename(d.getVar('UNINA_BUNDLE').rstrip('/'))}"
UNINA_BUNDLE_NAME[vardepvalue] = "${UNINA_BUNDLE_NAME}"
FILESEXTRAPATHS:prepend := "${@os.path.dirname(d.getVar('UNINA_BUNDLE').rstrip('/'))}:"

DEPENDS += "${@'python3-cryptography-native' if d.getVar('UNINA_TRUSTED_KEY') else ''}"

SRC_URI += "\
    file://${UNINA_BUNDLE_NAME};subdir=${BP} \
    file://check-bundle.toml;subdir=${BP} \
    file://runtime/python/unina_runtime/compile;subdir=${BP} \
    file://runtime/systemd/package.py;subdir=${BP} \
    file://unina-model.conf;subdir=${BP} \
"

# The build host's own Python may be older than tomllib.
inherit allarch python3native

do_configure[noexec] = "1"

# The car would refuse what is refused here; so a wrong bundle costs a build, not a car.
do_compile() {
    install -m 0644 ${S}/runtime/systemd/package.py ${S}/runtime/python/unina_runtime/__init__.py
    trust=
    if [ -n "${UNINA_TRUSTED_KEY}" ]; then
        trust="--trust ${S}/${UNINA_TRUSTED_KEY_NAME}"
    fi
    PYTHONPATH=${S}/runtime/python python3 -B -m unina_runtime.compile.command --dry-run --accelerator host \
        --config ${S}/check-bundle.toml --bundle ${S}/${UNINA_BUNDLE_NAME} $trust \
        || bbfatal "${UNINA_BUNDLE_NAME} does not go into an image"
}

do_install() {
    install -d ${D}${datadir}/unina/bundles/${UNINA_BUNDLE_NAME}
    install -m 0644 ${S}/${UNINA_BUNDLE_NAME}/* ${D}${datadir}/unina/bundles/${UNINA_BUNDLE_NAME}/
    install -d ${D}${nonarch_libdir}/tmpfiles.d
    sed 's|@BUNDLE@|${datadir}/unina/bundles/${UNINA_BUNDLE_NAME}|' ${S}/unina-model.conf > ${D}${nonarch_libdir}/tmpfiles.d/unina-model.conf
}

FILES:${PN} += "${datadir}/unina/bundles ${nonarch_libdir}/tmpfiles.d"
