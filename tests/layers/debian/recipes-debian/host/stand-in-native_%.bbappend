# Where OpenEmbedded's classes look for tools that they would have built, the host's own.
do_install() {
    install -d ${D}${bindir}/python3-native ${D}${sbindir} ${D}${prefix}/lib/pseudo ${D}${libdir}/python${PYTHON_BASEVERSION}/site-packages
    ln -s /usr/bin/pseudo ${D}${bindir}/pseudo
    for place in lib/pseudo/lib lib/pseudo/lib64 ${@d.getVar('DEBIAN_PSEUDO_LIBRARIES').removeprefix('/usr/')}; do
        mkdir -p $(dirname ${D}${prefix}/$place)
        ln -s ${DEBIAN_PSEUDO_LIBRARIES} ${D}${prefix}/$place
    done

    # OpenEmbedded patches them so that --root works below pseudo; --prefix does the same, without a chroot
    for name in useradd groupadd groupmems; do
        printf '#!/bin/sh\nexec /usr/sbin/%s $(echo "$@" | sed s/--root/--prefix/)\n' $name > ${D}${sbindir}/$name
        chmod 0755 ${D}${sbindir}/$name
    done

    # Debian's Python installs below /usr/local, into dist-packages; OpenEmbedded's does not
    cp -R ${DEBIAN_HOST}/usr/lib/python3/dist-packages/. ${D}${libdir}/python${PYTHON_BASEVERSION}/site-packages/
    cat > ${D}${libdir}/python${PYTHON_BASEVERSION}/site-packages/sitecustomize.py <<END
import sysconfig
sysconfig._get_preferred_schemes = lambda: dict.fromkeys(("prefix", "home", "user"), "posix_prefix")
END
    cat > ${D}${bindir}/python3-native/python3 <<'END'
#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here/../../lib/python${PYTHON_BASEVERSION}/site-packages${PYTHONPATH:+:$PYTHONPATH}" exec /usr/bin/python3 "$@"
END
    chmod 0755 ${D}${bindir}/python3-native/python3
    ln -s python3-native/python3 ${D}${bindir}/nativepython3
}
SYSROOT_DIRS_NATIVE += "${prefix}/lib"
