"""Signatures: with a key provisioned, only what it signed serves; `unina-export --sign`, openssl and this agree."""

import shutil
import subprocess
from pathlib import Path

import pytest
from compile_machine import Machine, make_machine

pytest.importorskip("cryptography")
if shutil.which("openssl") is None:
    pytest.skip("no openssl to make keys with", allow_module_level=True)


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make_key(folder: Path, name: str, *kind: str) -> tuple[Path, Path]:
    """Private and public key, as docs/first-boot.md makes them."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    openssl("genpkey", *(kind or ("-algorithm", "ed25519")), "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    return private, public


def sign(machine: Machine, key: Path) -> None:
    manifest, signature = machine.bundle.path / "manifest.json", machine.bundle.path / "signature"
    openssl("pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", manifest, "-out", signature)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return make_machine(tmp_path)


def test_what_a_trusted_key_signed_is_compiled_and_keeps_its_signature(machine: Machine, tmp_path: Path) -> None:
    private, public = make_key(tmp_path, "team")
    sign(machine, private)
    report = machine.good("--trust", public)
    assert report["signed_by"] == "team.pub"
    assert (Path(report["served"]) / "bundle" / "signature").read_bytes().__len__() == 64
    assert machine.good("--trust", public)["outcome"] == "present"


def test_a_key_in_the_folder_of_trusted_keys_needs_no_flag(machine: Machine, tmp_path: Path) -> None:
    private, public = make_key(tmp_path, "team")
    (tmp_path / "keys").mkdir()
    public.rename(tmp_path / "keys" / "team.pub")
    assert "is not signed" in machine.bad(1)
    sign(machine, private)
    assert machine.good()["signed_by"] == "team.pub"


def test_while_keys_change_both_are_trusted(machine: Machine, tmp_path: Path) -> None:
    (old, old_public), (new, new_public) = make_key(tmp_path, "old"), make_key(tmp_path, "new")
    for key, name in ((old, "old.pub"), (new, "new.pub")):
        sign(machine, key)
        assert machine.good("--trust", old_public, "--trust", new_public)["signed_by"] == name
        shutil.rmtree(machine.state)


def test_signed_or_not_is_the_same_where_no_key_is_provisioned(machine: Machine, tmp_path: Path) -> None:
    (machine.bundle.path / "signature").write_bytes(b"anything")
    assert machine.good()["signed_by"] == ""


@pytest.mark.parametrize("damage", ["missing", "truncated", "longer", "another key", "another manifest", "a bit"])
def test_no_signature_of_a_trusted_key_no_model(machine: Machine, tmp_path: Path, damage: str) -> None:
    private, public = make_key(tmp_path, "team")
    signature = machine.bundle.path / "signature"
    sign(machine, private)
    content = signature.read_bytes()
    if damage == "missing":
        signature.unlink()
    elif damage == "truncated":
        signature.write_bytes(content[:-1])
    elif damage == "longer":
        signature.write_bytes(content + b"\n")
    elif damage == "another key":
        sign(machine, make_key(tmp_path, "other")[0])
    elif damage == "another manifest":
        machine.bundle.rewrite(lambda manifest: manifest.update(thresholds=[0.1, 0.1]))
    else:
        signature.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    says = {"missing": "is not signed", "truncated": "has 63 bytes", "longer": "has 65 bytes"}
    assert says.get(damage, "signature: not of this manifest by team.pub") in machine.bad(1, "--trust", public)
    assert machine.compilations == []


def test_a_key_that_comes_later_ends_the_service_of_what_it_did_not_sign(machine: Machine, tmp_path: Path) -> None:
    machine.good()
    _, public = make_key(tmp_path, "team")
    assert "nothing is compiled that could serve" in machine.bad(1, "--trust", public)
    assert machine.serving is None


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (("-algorithm", "rsa"), "not an Ed25519 key"),
        (("-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "not an Ed25519 key"),
        (("-algorithm", "ed448"), "not an Ed25519 key"),
    ],
    ids=["rsa", "ec", "ed448"],
)
def test_a_key_of_another_kind_is_named(machine: Machine, tmp_path: Path, kind: tuple[str, ...], says: str) -> None:
    _, public = make_key(tmp_path, "team", *kind)
    assert says in machine.bad(2, "--trust", public)


def test_what_is_not_a_public_key_is_named(machine: Machine, tmp_path: Path) -> None:
    private, _ = make_key(tmp_path, "team")
    assert "not a public key in PEM" in machine.bad(2, "--trust", private)
    assert "the key cannot be read" in machine.bad(2, "--trust", tmp_path / "none.pub")
