"""`unina-export --sign`: what it signs, openssl and the device verify; a bad key is said before any work."""

import shutil
import subprocess
from pathlib import Path

import pytest
from test_export_command import write_checkpoint, write_data

from unina.cli.export import main
from unina_runtime.compile.signature import TrustedKeys
from unina_runtime.compile.verified_bundle import verify_bundle

pytest.importorskip("cryptography")
if shutil.which("openssl") is None:
    pytest.skip("no openssl to make keys with", allow_module_level=True)


def openssl(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *map(str, arguments)], check=False, capture_output=True, text=True)


def make_key(path: Path, *kind: str) -> Path:
    done = openssl("genpkey", *(kind or ("-algorithm", "ed25519")), "-out", path)
    assert done.returncode == 0, done.stderr
    return path


def test_openssl_and_the_device_verify_what_was_signed(tmp_path: Path) -> None:
    key, public = make_key(tmp_path / "team.key"), tmp_path / "team.pub"
    assert openssl("pkey", "-in", key, "-pubout", "-out", public).returncode == 0
    data, checkpoint, output = write_data(tmp_path / "data"), tmp_path / "checkpoint.pt", tmp_path / "tiny.unina"
    write_checkpoint(checkpoint)
    words = [str(checkpoint), "--data", str(data), "--output", str(output), "--calibration-images", "2"]
    assert main([*words, "--no-accuracy", "--json", "--sign", str(key)]) == 0
    files = ["-in", output / "manifest.json", "-sigfile", output / "signature"]
    done = openssl("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", *files)
    assert done.returncode == 0, done.stdout
    bundle = verify_bundle(output, TrustedKeys((public,)))
    assert bundle.signed_by == "team.pub"
    assert "signature" not in bundle.manifest.files


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (("-algorithm", "rsa"), "not an Ed25519 key; make one with: openssl genpkey -algorithm ed25519"),
        (("-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "not an Ed25519 key"),
        (("-algorithm", "ed25519", "-aes256", "-pass", "pass:secret"), "has a passphrase"),
        ((), "cannot be read"),
    ],
    ids=["rsa", "ec", "passphrase", "missing"],
)
def test_a_key_that_is_no_good_is_said_in_one_line_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: tuple[str, ...], says: str
) -> None:
    key = tmp_path / "team.key"
    if kind:
        make_key(key, *kind)
    output = tmp_path / "tiny.unina"
    words = [str(tmp_path / "none.pt"), "--data", str(tmp_path / "none.yaml"), "--output", str(output)]
    assert main([*words, "--sign", str(key)]) == 2
    error = capsys.readouterr().err
    assert error.strip().startswith(f"unina-export: {key}: ") and says in error and error.strip().count("\n") == 0
    assert not output.exists()


def test_a_public_key_does_not_sign(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = tmp_path / "team.pub"
    openssl("pkey", "-in", make_key(tmp_path / "team.key"), "-pubout", "-out", public)
    words = [str(tmp_path / "none.pt"), "--data", "none.yaml", "--output", str(tmp_path / "t.unina")]
    assert main([*words, "--sign", str(public)]) == 2
    assert "not a private key in PEM" in capsys.readouterr().err
