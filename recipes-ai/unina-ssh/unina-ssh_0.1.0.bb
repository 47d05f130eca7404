SUMMARY = "SSH with keys only"
DESCRIPTION = "Lets the keys of a file log in as root, and nothing else: no passwords. Only in images that \
               kas/opt/ssh.yml asks for it."

require recipes-ai/unina/unina-source.inc

# A file of public keys on the build host, as ~/.ssh/authorized_keys has them.
UNINA_SSH_KEYS ??= ""
UNINA_SSH_KEYS_NAME = "${@os.path.basename(d.getVar('UNINA_SSH_KEYS'))}"
UNINA_SSH_KEYS_NAME[vardepvalue] = "${UNINA_SSH_KEYS_NAME}"
FILESEXTRAPATHS:prepend := "${@os.path.dirname(d.getVar('UNINA_SSH_KEYS')) or d.getVar('UNINA_SOURCES')}:"

SRC_URI += "\
    file://keys-only.conf;subdir=${BP} \
    ${@'file://${UNINA_SSH_KEYS_NAME};subdir=${BP}' if d.getVar('UNINA_SSH_KEYS') else ''} \
"

inherit allarch

EXCLUDE_FROM_WORLD = "1"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    [ -n "${UNINA_SSH_KEYS}" ] || bbfatal "UNINA_SSH_KEYS names no file of public keys (kas/opt/ssh.yml)"
    install -D -m 0644 ${S}/keys-only.conf ${D}${sysconfdir}/ssh/sshd_config.d/10-unina.conf
    install -D -m 0644 ${S}/${UNINA_SSH_KEYS_NAME} ${D}${sysconfdir}/ssh/authorized_keys.d/root
}

FILES:${PN} += "${sysconfdir}/ssh"

RDEPENDS:${PN} = "openssh-sshd"
