SUMMARY = "Makes a plain image a car's: /data, watchdog, journal"
DESCRIPTION = "Mounts /data, the partition that outlives updates, formatting it the first time; lays /var/lib/unina and the \
               changes to /etc/unina on it; sets the hardware watchdog and bounds the journal."

require recipes-ai/unina/unina-source.inc

SRC_URI += "\
    file://data.mount;subdir=${BP} \
    file://journal.conf;subdir=${BP} \
    file://unina-data-format.service;subdir=${BP} \
    file://var-lib-unina.mount;subdir=${BP} \
    file://watchdog.conf;subdir=${BP} \
"

PACKAGE_ARCH = "${MACHINE_ARCH}"

inherit systemd features_check overlayfs

REQUIRED_DISTRO_FEATURES += "systemd overlayfs"

# The block device of /data. A machine says its own; QEMU gets a second disk (kas/qemuarm64.yml).
UNINA_DATA_DEVICE ??= "/dev/disk/by-partlabel/data"
UNINA_DATA_DEVICE:qemuall ?= "/dev/vdb"

# How long the hardware waits for a system that hangs, in systemd's notation; "off" for none.
UNINA_WATCHDOG ??= "20s"

# What may be changed on the car although the root is read-only; the class writes the mount units.
OVERLAYFS_WRITABLE_PATHS[data] = "${sysconfdir}/unina"

SYSTEMD_SERVICE:${PN} = "data.mount unina-data-format.service var-lib-unina.mount"

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d ${D}${systemd_system_unitdir} ${D}${localstatedir}/lib/unina ${D}/data
    install -m 0644 ${S}/data.mount ${S}/unina-data-format.service ${S}/var-lib-unina.mount ${D}${systemd_system_unitdir}/
    sed -i 's|@DATA_DEVICE@|${UNINA_DATA_DEVICE}|g' \
        ${D}${systemd_system_unitdir}/data.mount ${D}${systemd_system_unitdir}/unina-data-format.service

    install -D -m 0644 ${S}/watchdog.conf ${D}${systemd_unitdir}/system.conf.d/10-unina.conf
    sed -i 's|@WATCHDOG@|${UNINA_WATCHDOG}|g' ${D}${systemd_unitdir}/system.conf.d/10-unina.conf
    install -D -m 0644 ${S}/journal.conf ${D}${systemd_unitdir}/journald.conf.d/10-unina.conf
}

FILES:${PN} += "\
    /data \
    ${localstatedir}/lib/unina \
    ${systemd_system_unitdir}/*.mount \
    ${systemd_system_unitdir}/*.service \
    ${systemd_unitdir}/journald.conf.d \
    ${systemd_unitdir}/system.conf.d \
"

# systemd-makefs calls mkfs.ext4.
RDEPENDS:${PN} = "e2fsprogs-mke2fs systemd"
