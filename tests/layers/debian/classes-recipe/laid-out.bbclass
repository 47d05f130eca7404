# A recipe whose files were made elsewhere and lie in a folder as they shall be installed (laid_out.py): LAID_OUT is the folder,
# and LAID_OUT_CONTENT, a hash of all in it, makes the signature.
LICENSE = "CLOSED"
INHIBIT_DEFAULT_DEPS = "1"
EXCLUDE_FROM_WORLD = "1"

deltask do_patch
do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    : ${LAID_OUT_CONTENT}
    cp -R --no-dereference --preserve=mode,links,timestamps ${LAID_OUT}/. ${D}/
}
do_install[vardepsexclude] += "LAID_OUT"

PACKAGES = "${PN}"
FILES:${PN} = "/"
# Whoever made them stripped them.
INHIBIT_PACKAGE_STRIP = "1"
INHIBIT_SYSROOT_STRIP = "1"
SYSROOT_DIRS += "${sysconfdir} ${prefix}/local ${prefix}/python-target-config"
PRIVATE_LIBS = ""
