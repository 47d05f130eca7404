SUMMARY = "The key whose owner alone may give the car a model"
DESCRIPTION = "With it unina-compile takes only bundles that were signed with this Ed25519 key's other half. Only in images \
               that kas/opt/signing-key.yml asks for it."

require recipes-ai/unina/unina-source.inc
require recipes-ai/unina-trusted-key/trusted-key.inc

inherit allarch

EXCLUDE_FROM_WORLD = "1"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    case "${UNINA_TRUSTED_KEY}" in
    *.pub) ;;
    *) bbfatal "UNINA_TRUSTED_KEY=${UNINA_TRUSTED_KEY}: expected the .pub file of a key (kas/opt/signing-key.yml)" ;;
    esac
    if grep -q PRIVATE ${S}/${UNINA_TRUSTED_KEY_NAME}; then
        bbfatal "${UNINA_TRUSTED_KEY} is a private key; give the public one"
    fi
    install -D -m 0644 ${S}/${UNINA_TRUSTED_KEY_NAME} ${D}${sysconfdir}/unina/trusted-keys/${UNINA_TRUSTED_KEY_NAME}
}

FILES:${PN} += "${sysconfdir}/unina/trusted-keys"

RDEPENDS:${PN} = "python3-cryptography unina-compile"
