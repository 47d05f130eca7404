"""Signs a bundle: Ed25519 (RFC 8032, by pyca/cryptography) over manifest.json, which holds all other hashes.

`unina-compile --trust` verifies it on the device; openssl makes the keys, and the same signature (docs/first-boot.md).
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

MAKE = "make one with: openssl genpkey -algorithm ed25519 -out KEY"


class SigningError(ValueError):
    """A key cannot be used; the text says why and what to do."""


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Reads a private key in PEM, without a passphrase.

    Raises:
        SigningError: unreadable, or of another kind.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SigningError(f"{path}: the key cannot be read: {error.strerror}") from error
    except TypeError as error:
        raise SigningError(
            f"{path}: the key has a passphrase; give one without, from where you keep secrets"
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SigningError(f"{path}: not a private key in PEM; {MAKE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SigningError(f"{path}: not an Ed25519 key; {MAKE}")
    return key
