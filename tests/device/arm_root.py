"""A Debian for 64-bit ARM, unpacked and never run: the device's userland, and the sysroot that it is compiled against.

The packages come from Debian when a test first needs them; the folder is kept as long as the list below stays as it is.
"""

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "qemu-system-aarch64": "qemu-system-arm",
    "qemu-img": "qemu-utils",
    "mksquashfs": "squashfs-tools",
    "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
    "cmake": "cmake",
    "ninja": "ninja-build",
    "systemctl": "systemd",
    "systemd-sysusers": "systemd",
}
USERLAND = (
    *("systemd", "udev", "e2fsprogs", "util-linux", "mount", "bash", "dash", "coreutils", "sed", "grep", "procps"),
    *("base-passwd", "base-files", "login", "passwd", "libc-bin", "busybox-static", "linux-image-cloud-arm64"),
    *("python3", "python3-cryptography"),
)
LIBRARIES = (
    *("libopencv-core-dev", "libopencv-imgproc-dev", "libopencv-imgcodecs-dev", "libopencv-videoio-dev"),
    *("libssl-dev", "libhwy-dev", "libgtest-dev", "nlohmann-json3-dev", "libcli11-dev", "libstdc++-12-dev"),
    "libc6-dev",
)
RELEASE = "bookworm"
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/merged-usr")  # as on the image, whose units say /usr/lib/systemd
NOT_NEEDED = ("./dev/*", "./usr/share/doc", "./usr/share/man", "./usr/share/locale", "./boot/System.map*")


class Missing(Exception):
    """What the emulated device needs and this machine does not have; the text says how to get it."""


def require_programs() -> None:
    """Installs what is missing where that is allowed. Raises Missing."""
    missing = sorted({package for program, package in PROGRAMS.items() if shutil.which(program) is None})
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise Missing(f"no {', '.join(missing)} here: sudo {' '.join(command)}")
    subprocess.run(["apt-get", "-qq", "update"], check=False, capture_output=True, timeout=900)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise Missing(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")


def arm_root(cache: Path) -> Path:
    """The folder, made unless it is there. Raises Missing."""
    require_programs()
    words = ["mmdebstrap", "--quiet", "--variant=extract", "--architectures=arm64", f"--hook-dir={MERGED_USR}"]
    words += [f"--include={','.join((*USERLAND, *LIBRARIES))}", RELEASE, "-"]
    words += os.environ.get("DEBIAN_MIRROR", "").split()
    root = cache / f"arm-root-{sha256(repr((words, NOT_NEEDED)).encode()).hexdigest()[:8]}"
    if root.exists():
        return root
    fresh = cache / "arm-root.new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as unpacker:
        tar = ["tar", "-x", "-C", str(fresh), *(f"--exclude={name}" for name in NOT_NEEDED)]
        subprocess.run(tar, stdin=unpacker.stdout, check=True, timeout=1800)
        _, said = unpacker.communicate(timeout=60)
    if unpacker.returncode != 0:
        raise Missing(f"mmdebstrap could not fetch Debian for ARM: {said.decode(errors='replace').strip()[-500:]}")
    _finish(fresh)
    fresh.rename(root)
    return root


def _finish(root: Path) -> None:
    """What Debian's maintainer scripts would do, as far as it matters here."""
    libraries = root / "usr/lib/aarch64-linux-gnu"
    for name in ("blas/libblas.so.3", "lapack/liblapack.so.3"):
        (libraries / Path(name).name).symlink_to(name)
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
        (root / "etc" / f"{'g' if name == 'group' else ''}shadow").touch(0o640)
    # A fixed one: this is never the first start of the system, only of ours
    (root / "etc/machine-id").write_text(f"{sha256(b'emulated device').hexdigest()[:32]}\n")
    (root / "etc/hostname").write_text("device\n")
    (root / "etc/fstab").write_text("")
    (root / "data").mkdir()
    # Bytecode as a distribution installs it: the root is read-only
    version = next((root / "usr/lib").glob("python3.*")).name
    if shutil.which(version):
        words = [version, "-m", "compileall", "-q", "-x", "test|lib2to3|idlelib"]
        words += ["--invalidation-mode", "unchecked-hash"]
        folders = [str(root / "usr/lib" / name) for name in (version, "python3/dist-packages")]
        subprocess.run([*words, *folders], check=False, capture_output=True, timeout=600)
