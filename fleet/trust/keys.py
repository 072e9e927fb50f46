"""The fleet's private keys: one Ed25519 key a role, each a PEM file that only its owner reads.

A key's file says since which root version it is valid: ``root.1.pem``, ``timestamp.4.pem``. Making
a key is idempotent, so a crash between writing it and using it leaves no stray one: the next
attempt takes it. The root key is needed only to rotate keys and once in half a year; it may live
elsewhere in between. The director's key is no part of TUF and is never rotated: devices pin it.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from edge_sdk.errors import UnavailableError
from edge_sdk.files import disk_error, whole_file
from edge_sdk.trust.signing import DirectorKey

_RESTORE = "Restore the fleet's trust/keys folder from its backup."


class KeyRing:
    """A folder of keys."""

    def __init__(self, folder: Path) -> None:
        """Open, making the folder if need be. Raises UsageError if it cannot be written."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise disk_error(error, folder) from error

    def director(self) -> DirectorKey:
        """The key that signs Desired, made at the first call."""
        return DirectorKey(self._made("director.pem"))

    def make(self, role: str, since: int) -> CryptoSigner:
        """A role's key from root version ``since`` on, made at the first call."""
        return CryptoSigner(self._made(f"{role}.{since}.pem"))

    def signer(self, role: str, key: str) -> CryptoSigner | None:
        """A role's key by its TUF key id; None if it is not in this folder."""
        for path in sorted(self._folder.glob(f"{role}.*.pem")):
            signer = CryptoSigner(_read(path))
            if signer.public_key.keyid == key:
                return signer
        return None

    def _made(self, name: str) -> Ed25519PrivateKey:
        path = self._folder / name
        if not path.exists():
            pem = Ed25519PrivateKey.generate().private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            )
            with whole_file(path, 0o600) as file:
                file.write(pem)
        return _read(path)


def _read(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise UnavailableError(f"The key {path} cannot be read: {error}.", _RESTORE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UnavailableError(f"The key {path} is no Ed25519 key.", _RESTORE)
    return key
