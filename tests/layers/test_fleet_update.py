"""Signed updates of image and model go through SWUpdate itself, where it is installed; stand-ins are the car."""

import functools
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from fetch_swupdate import fetch
from parsed import ROOT

LAYER = ROOT / "meta-unina-dla"
FILES = LAYER / "dynamic-layers" / "swupdate" / "recipes-ai" / "unina-fleet" / "files"
IMAGE = LAYER / "dynamic-layers" / "swupdate" / "recipes-ai" / "images" / "unina-swu"
MODEL_SWU = LAYER / "scripts" / "model-swu"
BUNDLE = ROOT / "recipes-ai" / "unina-model" / "files" / "cones.unina"
BOARD = "unina-agx-orin-64gb"
STAND_INS = {
    "nvbootctrl": '[ "$1" != get-current-slot ] || cat slot',
    "unina-compile": 'echo "unina-compile $*"; cp -r "$2" installed; exit "$(cat refuses)"',
    "systemctl": (
        'if [ "$1" != start ]; then echo "the detector ended with it; 9f2c serves again"\n'
        'elif [ "$(cat rolls_back)" = 0 ]; then mkdir -p accepted; ln -sfn ../installed accepted/bundle\n'
        "else exit 1; fi"
    ),
    "efivar": "exit 0",
    "oe4t-set-uefi-OSIndications": "echo armed > armed",
}


def program(name: str, text: str) -> None:
    path = Path(name)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture(autouse=True)
def tools() -> None:
    missing = [name for name in ("cpio", "openssl") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"no {' and no '.join(missing)}: updates are neither packed nor signed")


@pytest.fixture
def car(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: stand-ins in bin/, slot 0 runs, keys of a fleet and of a stranger."""
    monkeypatch.chdir(tmp_path)
    Path("bin").mkdir()
    for name, text in STAND_INS.items():
        program(f"bin/{name}", text)
    Path("slot").write_text("0\n")
    Path("refuses").write_text("0\n")
    Path("rolls_back").write_text("0\n")
    Path("serial").write_bytes(b"1420524\0")
    Path("os-release").write_text('VERSION_ID="0.1.0"\n')
    return tmp_path


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("fleet", "stranger"):
        subprocess.run(
            f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.pem".split(),
            cwd=folder,
            check=True,
            capture_output=True,
        )
    return folder


def environment(car: Path, trust: Path, **more: str) -> dict[str, str]:
    return {
        "PATH": f"{car / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin",
        "UNINA_BOARD": BOARD,
        "UNINA_FLEET_DIR": str(car / "fleet"),
        "UNINA_MODEL": str(car / "served"),
        "UNINA_OS_RELEASE": str(car / "os-release"),
        "UNINA_ACCEPTED": str(car / "accepted"),
        "UNINA_TRIAL": str(car / "unina-trial"),
        "UNINA_SERIAL": str(car / "serial"),
        "UNINA_UPDATE_TRUST": str(trust),
        **more,
    }


@functools.cache
def fetched() -> dict[str, str] | str:
    """With what environment SWUpdate runs, or why there is none; tried once."""
    try:
        return fetch(ROOT / "build" / "swupdate")
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


def swupdate() -> dict[str, str]:
    found = fetched()
    if isinstance(found, str):
        pytest.skip(f"no swupdate (Debian: swupdate), so no update is really installed: {found}")
    return found


def update(car: Path, keys: Path, file: str, trust: str = "fleet.pem", **more: str) -> subprocess.CompletedProcess[str]:
    """unina-fleet with SWUpdate itself, in a /run of its own: the paths in an update are absolute."""
    found = swupdate()
    alone = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace here: unshare --mount is refused")
    script = f"mount -t tmpfs tmpfs /run && exec sh {FILES / 'unina-fleet'} {file}"
    return subprocess.run(
        [*alone, "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={
            **environment(car, keys / trust, **more),
            **found,
            "PATH": f"{car / 'bin'}:{found['PATH']}:/usr/sbin:/sbin",
        },
    )


def installed(done: subprocess.CompletedProcess[str]) -> bool:
    """By its errors: the last word and the exit code of Debian's 2022.12 are wrong now and then, 2026.05's are not."""
    return "SWUpdate was successful" in done.stdout and "[ERROR] :" not in done.stdout + done.stderr


def pack(keys: Path, *, signer: str = "fleet", bundle: Path = BUNDLE) -> subprocess.CompletedProcess[str]:
    signed = ["--cert", str(keys / f"{signer}.pem"), "--key", str(keys / f"{signer}.key")]
    return subprocess.run(
        [str(MODEL_SWU), str(bundle), *signed, "--output", "model.swu"], capture_output=True, text=True, check=False
    )


def test_a_model_alone_reaches_the_cars_own_install_whole(car: Path, keys: Path) -> None:
    assert pack(keys).returncode == 0
    done = update(car, keys, "model.swu")
    assert installed(done), done.stdout[-3000:]
    assert "unina-compile install /run/unina-fleet/model/cones.unina" in done.stdout
    names = {path.name for path in BUNDLE.iterdir()}
    assert {path.name for path in Path("installed").iterdir()} == names
    for name in names:
        assert (Path("installed") / name).read_bytes() == (BUNDLE / name).read_bytes()
    # by hand, so no server waits for an answer
    assert not Path("fleet/verdict").exists()


@pytest.mark.parametrize(("by", "told"), [("server", "2\n"), ("hand", None)])
def test_a_server_hears_that_a_model_was_taken(car: Path, keys: Path, by: str, told: str | None) -> None:
    pack(keys)
    assert installed(update(car, keys, "model.swu", UNINA_FLEET=by))
    verdict = Path("fleet/verdict")
    assert (verdict.read_text() if verdict.exists() else None) == told


@pytest.mark.parametrize("answer", ["refuses", "rolls_back"])
def test_a_model_that_the_car_does_not_keep_is_a_failed_update(car: Path, keys: Path, answer: str) -> None:
    Path(answer).write_text("1\n")
    pack(keys)
    done = update(car, keys, "model.swu", UNINA_FLEET="server")
    assert not installed(done) and done.returncode == 1 and "was not installed" in done.stderr
    # what is an error of SWUpdate's is told to the server
    assert ("the detector ended with it" in done.stdout + done.stderr) == (answer == "rolls_back")
    assert not Path("fleet/verdict").exists()


def test_an_update_of_a_stranger_is_refused_before_anything_of_it_runs(car: Path, keys: Path) -> None:
    pack(keys, signer="stranger")
    done = update(car, keys, "model.swu")
    assert done.returncode == 1
    assert "unina-compile" not in done.stdout and not Path("installed").exists()


@pytest.mark.parametrize("signer", ["fleet", "stranger"])
def test_while_keys_are_changed_a_car_takes_what_either_signed(car: Path, keys: Path, signer: str) -> None:
    both = [(keys / f"{name}.pem").read_text() for name in ("stranger", "fleet")]
    (keys / "both.pem").write_text("".join(both))
    assert pack(keys, signer=signer).returncode == 0
    done = update(car, keys, "model.swu", "both.pem")
    assert installed(done), done.stdout[-3000:]


def test_an_update_with_a_changed_byte_is_refused(car: Path, keys: Path) -> None:
    pack(keys)
    packed = Path("model.swu").read_bytes()
    at = packed.index(b"TRT-")  # the calibration cache, in the middle of the model
    Path("model.swu").write_bytes(packed[:at] + b"X" + packed[at + 1 :])
    assert update(car, keys, "model.swu").returncode == 1
    assert not Path("installed").exists()


def test_what_is_no_bundle_is_not_packed(car: Path, keys: Path) -> None:
    Path("empty.unina").mkdir()
    done = pack(keys, bundle=Path("empty.unina"))
    assert done.returncode == 2 and "manifest.json" in done.stderr
    assert not Path("model.swu").exists()


def test_the_same_model_gives_the_same_content(car: Path, keys: Path) -> None:
    """What is signed depends on the bundle alone, not on who packed it when."""
    texts = []
    for _ in range(2):
        pack(keys)
        packed = Path("model.swu").read_bytes()
        texts.append(packed[packed.index(b"software = {") : packed.index(b"\n};\n")])
    assert texts[0] == texts[1]


def image_swu(keys: Path, device: str = "") -> None:
    """What unina-swu.bb makes, of a small root: meta-swupdate's class fills in variables and hashes."""
    Path("root/etc").mkdir(parents=True)
    Path("root/etc/os-release").write_text("VERSION_ID=0.1.1\n")
    root = f"unina-image-{BOARD}.rootfs.tar.gz"
    subprocess.run(["tar", "--numeric-owner", "-czf", root, "-C", "root", "."], check=True)
    Path("tegra-bl.cap").write_text("capsule")
    shutil.copy(IMAGE / "switch-root", "switch-root")
    values = {"DISTRO_VERSION": "0.1.1", "MACHINE": BOARD, "UNINA_ROOT": root}
    text = re.sub(r"@@(\w+)@@", lambda found: values[found[1]], (IMAGE / "sw-description").read_text())
    text = re.sub(
        r"\$swupdate_get_sha256\((.*?)\)",
        lambda found: hashlib.sha256(Path(found[1]).read_bytes()).hexdigest(),
        text,
    )
    if device:
        text = text.replace("/dev/disk/by-partlabel/APP_b", device).replace("/boot/efi", "/run/efi")
    Path("sw-description").write_text(text)
    sign = "openssl cms -sign -in sw-description -out sw-description.sig -outform DER -nosmimecap -binary"
    signer = ["-signer", str(keys / "fleet.pem"), "-inkey", str(keys / "fleet.key")]
    subprocess.run([*sign.split(), *signer], check=True)
    names = ["sw-description", "sw-description.sig", "switch-root", root, "tegra-bl.cap"]
    with Path("image.swu").open("wb") as file:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "crc"], input="\n".join(names).encode(), stdout=file, check=True)


@pytest.mark.parametrize(("board", "slot", "taken"), [(BOARD, 0, True), (BOARD, 1, True), ("unina-orin-nx", 0, False)])
def test_an_images_update_is_for_one_board_and_for_either_root(
    car: Path, keys: Path, board: str, slot: int, taken: bool
) -> None:
    image_swu(keys)
    real = shutil.which("swupdate", path=swupdate()["PATH"])
    program("bin/swupdate", f'exec {real} -c "$@"')  # checks, writes nothing
    Path("slot").write_text(f"{slot}\n")
    done = update(car, keys, "image.swu", UNINA_BOARD=board)
    assert installed(done) == taken, done.stdout[-3000:]


def test_the_root_that_does_not_run_is_formatted_filled_and_put_on_trial(car: Path, keys: Path) -> None:
    if os.geteuid() != 0 or shutil.which("losetup") is None:
        pytest.skip("no root, or no losetup: no partition to write an image to")
    with Path("disk").open("wb") as file:
        file.truncate(256 << 20)
    made = subprocess.run(["losetup", "--show", "-f", "disk"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no loop device: {made.stderr}")
    loop = made.stdout.strip()
    try:
        image_swu(keys, loop)
        done = update(car, keys, "image.swu")
        if "diskformat" in done.stdout and "no handler" in done.stdout.lower():
            pytest.skip("this swupdate was built without diskformat")
        assert installed(done), done.stdout[-3000:]
        look = f"mount -t tmpfs tmpfs /run && mkdir /run/root && mount {loop} /run/root && cat /run/root/etc/os-release"
        seen = subprocess.run(["unshare", "--mount", "sh", "-c", look], capture_output=True, text=True, check=False)
        assert seen.stdout == "VERSION_ID=0.1.1\n", seen.stderr
    finally:
        subprocess.run(["losetup", "-d", loop], check=False)
    assert Path("unina-trial").read_text() == "1 hand\n"
    assert Path("armed").exists()


def asked(car: Path, **settings: str) -> tuple[subprocess.CompletedProcess[str], list[str], str]:
    """unina-fleet --server with a stand-in for SWUpdate: what it said, SWUpdate's arguments and configuration."""
    program("bin/swupdate", 'for one; do echo "$one"; done > arguments')
    done = subprocess.run(
        ["sh", str(FILES / "unina-fleet"), "--server"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(car, car / "fleet.pem", RUNTIME_DIRECTORY=str(car / "run"), **settings),
    )
    arguments = Path("arguments").read_text().splitlines() if Path("arguments").exists() else []
    configuration = Path("run/swupdate.cfg")
    return done, arguments, configuration.read_text() if configuration.exists() else ""


def test_the_server_is_told_who_the_car_is_and_a_token_is_on_no_command_line(car: Path) -> None:
    Path("served").mkdir()
    Path("served/bundle").symlink_to(BUNDLE)
    done, arguments, configuration = asked(car, UNINA_FLEET_SERVER="https://a.example.org", UNINA_FLEET_TOKEN="abc")
    assert done.returncode == 0, done.stderr
    assert "cafile" not in configuration
    assert 'id = "1420524"' in configuration and 'targettoken = "abc"' in configuration
    assert 'value = "0.1.0"' in configuration
    assert hashlib.sha256((BUNDLE / "manifest.json").read_bytes()).hexdigest()[:12] in configuration
    assert "abc" not in arguments
    assert Path("run/swupdate.cfg").stat().st_mode & 0o077 == 0
    assert arguments[arguments.index("-e") + 1] == "root,b"


def test_what_became_of_the_last_update_is_told_once(car: Path) -> None:
    Path("fleet").mkdir()
    Path("fleet/verdict").write_text("3\n")
    told = [asked(car, UNINA_FLEET_SERVER="https://updates.example.org")[1][-1] for _ in range(2)]
    assert told == ["-c 3", ""]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "UNINA_FLEET_SERVER"),
        ({"UNINA_FLEET_SERVER": 'https://a"; id = "b'}, "characters"),
        ({"UNINA_FLEET_SERVER": "https://a", "UNINA_SERIAL": "/nonexistent"}, "UNINA_FLEET_ID"),
    ],
)
def test_a_server_or_car_without_a_proper_name_asks_nobody(car: Path, settings: dict[str, str], says: str) -> None:
    done, arguments, _ = asked(car, **settings)
    assert done.returncode == 2 and says in done.stderr and arguments == []


@pytest.mark.parametrize(("swupdate", "code"), [(0, 0), (1, 1)])
def test_the_exit_code_says_whether_an_update_was_installed(car: Path, swupdate: int, code: int) -> None:
    program("bin/swupdate", f"exit {swupdate}")
    Path("any.swu").touch()
    run = environment(car, car / "fleet.pem", RUNTIME_DIRECTORY=str(car / "run"))
    command = ["sh", str(FILES / "unina-fleet"), "any.swu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=run)
    assert done.returncode == code and ("was not installed" in done.stderr) == bool(code)


def test_a_car_that_does_not_know_its_root_writes_to_none(car: Path) -> None:
    Path("slot").write_text("2\n")
    done, arguments, _ = asked(car, UNINA_FLEET_SERVER="https://a")
    assert done.returncode == 2 and "slot '2'" in done.stderr and arguments == []


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    upstream = tmp_path / "nv_update_verifier.service"
    upstream.write_text("[Unit]\nDescription=stands for meta-tegra's\n[Service]\nType=simple\nExecStart=/bin/true\n")
    (tmp_path / f"{upstream.name}.d").mkdir()
    texts = {
        tmp_path / "unina-fleet.service": (FILES / "unina-fleet.service").read_text(),
        tmp_path / f"{upstream.name}.d" / "10-unina.conf": (FILES / "confirm-boot.conf").read_text(),
    }
    for path, text in texts.items():
        path.write_text(re.sub(r"=/usr/(bin|libexec)/\S+", f"={sys.executable}", text))
    units = [str(tmp_path / "unina-fleet.service"), str(upstream)]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=60
    )
    assert [line for line in done.stderr.splitlines() if str(tmp_path) in line or "unina" in line] == []


def test_what_runs_on_a_car_asks_its_small_tools_for_nothing_that_they_lack() -> None:
    """The image's are BusyBox's, whose tar was built without long options."""
    scripts = [
        FILES / "confirm-boot",
        FILES / "unina-fleet",
        IMAGE / "switch-root",
        MODEL_SWU.with_name("install-model"),
    ]
    for script in scripts:
        text = script.read_text()
        assert text.startswith("#!/bin/sh\n")
        assert not re.search(r"\b(tar|cmp|cut|grep|mkdir|mktemp|mv|rm|sha256sum|tr) [^|;&\n]*--", text), script


def test_nobody_is_asked_and_nothing_started_unless_a_server_is_named() -> None:
    assert "ConditionPathExists=/etc/unina/fleet.env" in (FILES / "unina-fleet.service").read_text()
    append = (LAYER / "dynamic-layers/swupdate/recipes-support/swupdate/swupdate_%.bbappend").read_text()
    assert 'SYSTEMD_AUTO_ENABLE:${PN}:tegra234 = "disable"' in append
    options = (LAYER / "dynamic-layers/swupdate/recipes-support/swupdate/files/unina.cfg").read_text()
    assert "# CONFIG_WEBSERVER is not set" in options and "CONFIG_SIGNED_IMAGES=y" in options
