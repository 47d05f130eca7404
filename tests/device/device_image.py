"""The emulated device's disks: kernel and initial RAM disk, and a read-only root that is laid out as the image's is.

Onto a Debian go the installation, the bundle and the system units of the recipes, with the recipes' own files. Where
the real image has NVIDIA's software, this one has stand-ins: libcudla.so.1 and libcudart.so.12, which run the host
engine behind cuDLA's calls, and trtexec, which wraps the bundle's host.loadable.
"""

import gzip
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from arm_root import arm_root
from cpio import archive
from cross_build import Built, cross_build
from device_cache import making, remove_unused, use
from installed_system import stage_files
from pico_bundle import pico_bundle, write_pictures
from slim_opencv import empty_libraries

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SYSTEM = ROOT / "recipes-ai" / "unina-system"
MODEL = ROOT / "recipes-ai" / "unina-model"
STANDIN_TRTEXEC = ROOT / "tests" / "runtime" / "standin_trtexec.py"

BUNDLE = "/usr/share/unina/bundles/pico.unina"
PICTURES = "/usr/share/device/pictures"
PICTURE_COUNT = 8
ORDERS = "/etc/unina/standin-orders.json"
L4T = "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic, EABI: aarch64\n"
STRETCHED = "dla_timeout_ms = 20000"  # a stand-in may wait long for its turn on a busy machine
DATA_DEVICE = "/dev/vdb"  # UNINA_DATA_DEVICE:qemuall
FPS = 2  # of the pictures; what two interpreted cores keep up with beside other work
# Beside what the recipes enable.
ENABLED = ("etc-unina.mount", "tmp.mount", "device-agent.service", "device-hold.service")
# Nobody logs in, and what Debian's packages do now and then is no part of the image.
MASKED = ("getty.target", "getty-static.service", "serial-getty@ttyAMA0.service", "serial-getty@hvc0.service")
MASKED += ("systemd-hwdb-update.service", "systemd-binfmt.service", "systemd-modules-load.service", "ldconfig.service")
MASKED += ("modprobe@configfs.service", "modprobe@fuse.service", "modprobe@loop.service", "modprobe@dm_mod.service")
MASKED += ("modprobe@drm.service", "modprobe@efi_pstore.service", "systemd-pstore.service", "dev-hugepages.mount")
MASKED += ("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-kernel-config.mount", "dev-mqueue.mount")
MASKED += ("sys-fs-fuse-connections.mount", "proc-sys-fs-binfmt_misc.automount", "systemd-update-done.service")
MASKED += ("timers.target", "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service")
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "squashfs", "overlay")
NOT_ON_DEVICE = {"include", "gcc", "modules", "boot", "dri", "perl", "fonts", "proj", "locale", "i18n", "mysql"}
NOT_ON_DEVICE |= {"cmake", "pkgconfig", "libLLVM-15.so.1", "libz3.so.4", "bash-completion", "initramfs-tools"}

ETC_OVERLAY = """\
# What overlayfs.bbclass writes for OVERLAYFS_WRITABLE_PATHS[data] = "/etc/unina" (unina-system), in one unit.
[Unit]
RequiresMountsFor=/data
Requires=etc-unina-folders.service
After=etc-unina-folders.service

[Mount]
What=overlay
Where=/etc/unina
Type=overlay
Options=lowerdir=/etc/unina,upperdir=/data/upper/etc/unina,workdir=/data/workdir/etc/unina

[Install]
WantedBy=multi-user.target
"""
ETC_FOLDERS = """\
[Unit]
RequiresMountsFor=/data
DefaultDependencies=no

[Service]
Type=oneshot
ExecStart=/usr/bin/mkdir -p /data/upper/etc/unina /data/workdir/etc/unina
RemainAfterExit=true
"""


@dataclass(frozen=True)
class DeviceImage:
    """Files that every emulated device starts from; none of them is ever written."""

    kernel: Path
    initrd: Path
    root: Path
    bundle: Path
    pictures: Path
    """the bundle and the pictures, as they are on the device"""
    installed: tuple[str, ...]
    """files of `cmake --install`, as paths on the device"""


def device_image(cache: Path) -> DeviceImage:
    """All of it, made again where something changed. Raises Missing where tools are, and RuntimeError."""
    with making(cache):
        debian = arm_root(cache)
        built = cross_build(cache, debian)
        bundle = pico_bundle(cache)
        pictures = _pictures(cache)
        parts = [built.stage, HERE, SYSTEM, STANDIN_TRTEXEC, bundle, pictures, *built.standins]
        disks = cache / f"disks-{_key(parts, str(debian))}"
        if disks.exists():
            use(disks)
        else:
            remove_unused(cache, "disks-*")
            _make_disks(disks, debian, built, bundle, pictures)
        installed = tuple(stage_files(built.stage))
    kernel = next((debian / "boot").glob("vmlinuz-*"))
    return DeviceImage(kernel, disks / "initrd", disks / "root.squashfs", bundle, pictures, installed)


def _pictures(cache: Path) -> Path:
    folder = cache / f"pictures-{_key([HERE / 'pico_bundle.py'])}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=cache) as name:
            write_pictures(Path(name) / "pictures", PICTURE_COUNT).rename(folder)
    return folder


def _make_disks(disks: Path, debian: Path, built: Built, bundle: Path, pictures: Path) -> None:
    """Whole, or not at all."""
    with tempfile.TemporaryDirectory(dir=disks.parent, prefix="new-disks-") as name:
        fresh, tree = Path(name) / "disks", Path(name) / "root"
        fresh.mkdir()
        shutil.copytree(debian, tree, symlinks=True, copy_function=os.link, ignore=_left_out)
        _lay_out(tree, built, bundle, pictures)
        libraries = Path("usr/lib/aarch64-linux-gnu")
        for library, empty in empty_libraries(debian / libraries, Path(name) / "empty-libraries").items():
            (tree / libraries / library).unlink()
            shutil.copy(empty, tree / libraries / library)
        squash = (
            "mksquashfs",
            tree,
            fresh / "root.squashfs",
            "-all-root",
            "-no-progress",
            "-noI",
            "-noD",
            "-noF",
            "-noX",
        )
        _quietly(*squash)
        (fresh / "initrd").write_bytes(gzip.compress(_initial_ram_disk(debian), 1))
        use(fresh).rename(disks)


def _key(parts: list[Path], more: str = "") -> str:
    """Of everything that goes onto the device."""
    key = sha256(more.encode())
    for part in parts:
        files = sorted(path for path in part.rglob("*") if path.is_file()) if part.is_dir() else [part]
        for file in files:
            if "__pycache__" not in file.parts:
                key.update(f"{file.relative_to(part)} {file.stat().st_mode}\n".encode() + file.read_bytes())
    return key.hexdigest()[:12]


def _left_out(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in NOT_ON_DEVICE or name.endswith((".a", ".o"))}


def _lay_out(tree: Path, built: Built, bundle: Path, pictures: Path) -> None:
    """Everything of ours, over a tree whose files are links to Debian's: none of those is written to."""
    shutil.copytree(built.stage, tree, symlinks=True, dirs_exist_ok=True)
    for library in built.standins:
        shutil.copy(library, tree / "usr/lib/aarch64-linux-gnu" / library.name)
    shutil.copytree(bundle, tree / BUNDLE[1:])
    shutil.copytree(pictures, tree / PICTURES[1:])
    units = tree / "usr/lib/systemd/system"
    for name in ("data.mount", "unina-data-format.service", "var-lib-unina.mount"):
        _write(units / name, (SYSTEM / "files" / name).read_text().replace("@DATA_DEVICE@", DATA_DEVICE))
    _write(units / "etc-unina.mount", ETC_OVERLAY)
    _write(units / "etc-unina-folders.service", ETC_FOLDERS)
    _write(tree / "usr/lib/systemd/journald.conf.d/10-unina.conf", (SYSTEM / "files" / "journal.conf").read_text())
    watchdog = (SYSTEM / "files" / "watchdog.conf").read_text().replace("@WATCHDOG@", "20s")
    _write(tree / "usr/lib/systemd/system.conf.d/10-unina.conf", watchdog)
    link = (MODEL / "files" / "unina-model.conf").read_text().replace("@BUNDLE@", BUNDLE)
    _write(tree / "usr/lib/tmpfiles.d/unina-model.conf", link)
    configuration = tree / "etc/unina/detector.toml"  # as UNINA_CAMERA does it
    lines = configuration.read_text().splitlines()
    source = f'source = "images:{PICTURES}?fps={FPS}&loop=1"'
    text = "".join(f"{source if line.startswith('source = ') else line}\n" for line in lines)
    _write(configuration, f"{text}\n{STRETCHED}\n")
    _write(tree / "etc/nv_tegra_release", L4T)
    _write(units / "tmp.mount", (tree / "usr/share/systemd/tmp.mount").read_text())
    trtexec = tree / "usr/src/tensorrt/bin/trtexec"
    _write(trtexec, "#!/usr/bin/python3 -IS\n" + STANDIN_TRTEXEC.read_text(), 0o755)
    (trtexec.parent / "orders.json").symlink_to(ORDERS)
    _write(tree / ORDERS[1:], '{"seconds": 3}\n')
    for name in ("agent.py", "reader.py", "store_check.py", "new_bundle.py"):
        _write(tree / "usr/lib/device" / name, (HERE / "guest" / name).read_text())
    for name in ("device-agent.service", "device-hold.service"):
        _write(units / name, (HERE / "guest" / name).read_text())
    _write(tree / "usr/lib/systemd/journald.conf.d/20-device.conf", (HERE / "guest" / "journal.conf").read_text())
    # Of the devices that the kernel made before udev ran, only disks and lines are told to it: there are 200 terminals
    few = "[Service]\nExecStart=\nExecStart=-udevadm trigger --type=devices --action=add"
    few += " --subsystem-match=block --subsystem-match=virtio-ports\n"
    _write(units / "systemd-udev-trigger.service.d" / "few.conf", few)
    _quietly("systemd-sysusers", f"--root={tree}")
    _quietly("systemctl", f"--root={tree}", "enable", *_enabled(), *ENABLED)
    _quietly("systemctl", f"--root={tree}", "mask", *MASKED)
    _quietly("systemctl", f"--root={tree}", "set-default", "multi-user.target")


def _enabled() -> list[str]:
    """Units that the recipes of what is installed enable."""
    recipes = (ROOT / "recipes-ai" / "unina-runtime", SYSTEM)
    texts = [recipe.read_text() for folder in recipes for recipe in folder.glob("*.bb")]
    lists = [units for text in texts for units in re.findall(r'^SYSTEMD_SERVICE:.* = "(.*)"', text, re.M)]
    return [unit for units in lists for unit in units.split()]


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """A new file: never through a link to Debian's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _quietly(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words[:3]))}: {done.stderr.strip() or done.stdout.strip()}")


def _initial_ram_disk(debian: Path) -> bytes:
    """A shell, the drivers that Debian's kernel has as modules, and a script."""
    modules = {path.stem: path for path in (debian / "usr/lib/modules").rglob("*.ko")}
    order: list[str] = []

    def need(name: str) -> None:
        content = modules[name].read_bytes()
        depends = content[content.index(b"\0depends=") + 9 :].split(b"\0", 1)[0].decode()
        for other in filter(None, depends.split(",")):
            need(other)
        if name not in order:
            order.append(name)

    for name in MODULES:
        need(name)
    files = {f"modules/{name}.ko": modules[name].read_bytes() for name in order}
    files["modules/order"] = "".join(f"{name}.ko\n" for name in order).encode()
    files["busybox"] = (debian / "usr/bin/busybox").read_bytes()
    files["init"] = (HERE / "guest" / "init").read_bytes()
    return archive(["dev", "root", "modules"], files)
