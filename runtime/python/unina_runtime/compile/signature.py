"""Who vouches for a bundle: an Ed25519 signature (RFC 8032) of manifest.json, raw, 64 bytes, in the file `signature`.

Verified with `cryptography` (pyca), which is loaded only where a key is provisioned; openssl makes and checks the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unina_runtime.compile.outcome import CannotSay, Refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNATURE = "signature"
SIGNATURE_BYTES = 64
KEY_SUFFIX = ".pub"


@dataclass(frozen=True)
class TrustedKeys:
    """The keys of which one must have signed a bundle; without any, every bundle is taken."""

    files: tuple[Path, ...] = ()

    @classmethod
    def of(cls, files: Iterable[Path], folder: Path | None) -> "TrustedKeys":
        """The given files and every *.pub of a folder, which need not exist. Raises CannotSay if it cannot be read."""
        found: list[Path] = []
        if folder is not None:
            try:
                found = sorted(path for path in folder.iterdir() if path.suffix == KEY_SUFFIX)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise CannotSay(
                    f"{folder}: cannot be read, so whether keys are provisioned: {error.strerror}"
                ) from error
        return cls((*files, *found))

    def verify(self, content: bytes, signature: bytes | None, bundle: str) -> str:
        """File name of the key that signed `content`; "" where no key is provisioned.

        Raises:
            Refused: no signature, or none of a trusted key.
            CannotSay: a key cannot be read.
        """
        if not self.files:
            return ""
        keys = {path.name: public_key(path) for path in self.files}
        names = ", ".join(keys)
        if signature is None:
            raise Refused(
                f"{bundle}: is not signed, and this machine takes only what {names} signed; unina-export --sign"
            )
        if len(signature) != SIGNATURE_BYTES:
            raise Refused(
                f"{bundle}: signature: has {len(signature)} bytes, Ed25519's have {SIGNATURE_BYTES}; sign it again"
            )
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

        for name, key in keys.items():
            try:
                key.verify(signature, content)
            except InvalidSignature:
                continue
            return name
        raise Refused(f"{bundle}: signature: not of this manifest by {names}; sign it with a key that is trusted here")


def public_key(path: Path) -> "Ed25519PublicKey":
    """Reads a PEM file as `openssl pkey -pubout` writes it. Raises CannotSay."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415
    except ImportError as error:
        raise CannotSay(f"{path}: a key is provisioned, but the Python package cryptography is missing") from error
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise CannotSay(f"{path}: the key cannot be read: {error.strerror}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CannotSay(f"{path}: not a public key in PEM; make it with: openssl pkey -in KEY -pubout") from error
    if not isinstance(key, Ed25519PublicKey):
        raise CannotSay(f"{path}: not an Ed25519 key; make one with: openssl genpkey -algorithm ed25519")
    return key
