"""Where a key is provisioned, only what it signed is taken and served; keys change without a gap. Signed by openssl."""

import subprocess
from pathlib import Path

from machine import BOOT_S, Machine, SwitchOn
from serving import COMPILER, install_newer, log_of, messages, new_bundle, refused, wait_serving

ACCEPTED = "it served well for 8"
# The unsigned one counts no more as soon as there is a key, so what is signed replaces it without a trial beside it.
TAKEN_OVER = "event=reload state=done"
KEYS = "/etc/unina/trusted-keys"


def openssl(*words: object) -> None:
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, timeout=60)


def new_key(folder: Path, name: str) -> Path:
    """As docs/first-boot.md says it."""
    key = folder / f"{name}.key"
    openssl("genpkey", "-algorithm", "ed25519", "-out", key)
    openssl("pkey", "-in", key, "-pubout", "-out", key.with_suffix(".pub"))
    return key


def trust(machine: Machine, key: Path) -> None:
    public = key.with_suffix(".pub")
    machine.run(f"mkdir -p {KEYS}")
    machine.write(f"{KEYS}/{public.name}", public.read_bytes())


def sign(machine: Machine, bundle: str, key: Path) -> str:
    """A bundle on the device, by a key that never gets there."""
    manifest, signature = key.with_name("manifest.json"), key.with_name("signature")
    manifest.write_bytes(machine.read(f"{bundle}/manifest.json"))
    openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", manifest, "-out", signature)
    machine.write(f"{bundle}/signature", signature.read_bytes())
    return bundle


def test_where_a_key_is_provisioned_only_what_it_signed_is_taken(
    device: Machine, switch_on: SwitchOn, tmp_path: Path
) -> None:
    team, stranger = new_key(tmp_path, "team"), new_key(tmp_path, "stranger")
    trust(device, team)
    assert "is not signed" in refused(device, new_bundle(device, "unsigned", "newer"))
    by_a_stranger = sign(device, new_bundle(device, "strange", "newer"), stranger)
    assert "signature" in refused(device, by_a_stranger)
    changed = sign(device, new_bundle(device, "changed", "newer"), team)
    device.run(f"echo >> {changed}/manifest.json")
    assert "signature" in refused(device, changed)
    assert messages(device, 1)[0]["detections"]

    install_newer(device, path=sign(device, new_bundle(device, "signed", "newer"), team))
    device.until(lambda: TAKEN_OVER in device.journal, "the signed one", BOOT_S)
    device.cut()
    again = switch_on(device.data, "after-signing").wait_agent()
    assert wait_serving(again)["detections"]
    assert "already compiled: cones.unina" in log_of(again, COMPILER)


def test_a_new_key_beside_the_old_one_lets_a_fleet_change_over(device: Machine, tmp_path: Path) -> None:
    old, new = new_key(tmp_path, "old"), new_key(tmp_path, "new")
    trust(device, old)
    install_newer(device, path=sign(device, new_bundle(device, "before", "newer"), old))
    device.until(lambda: TAKEN_OVER in device.journal, "the signed one", BOOT_S)
    by_new = sign(device, new_bundle(device, "after", "newer"), new)
    assert "signature" in refused(device, by_new)
    trust(device, new)
    install_newer(device, path=by_new)
    device.until(lambda: ACCEPTED in device.journal, "the trial", BOOT_S)
    device.run(f"rm {KEYS}/old.pub")
    assert "signature" in refused(device, sign(device, new_bundle(device, "late", "newer"), old))
    assert messages(device, 1)[0]["detections"]
