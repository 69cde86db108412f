"""Homes of dfx and icp-cli with identities in them, as these tools lay them out, and keys of known principals."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from canister_factory.ic.identity import Identity

PHRASE = "abandon " * 11 + "about"
"""The phrase of BIP-39's first test vector. `PRINCIPALS` are those that icp-cli 1.5.0 derives from it."""
PRINCIPALS = {
    "secp256k1": "tgzar-4lpln-fq34h-6hxo4-wlm3x-6g3or-6hxvr-d6jbw-ooh2b-lzsw4-aqe",
    "p256": "dwvjk-bkcs7-tyllp-z4urn-peru5-sneoy-o5cwp-mpoj3-bmozp-2b33j-7ae",
    "ed25519": "fcxk5-23hrp-d3ey5-sniqw-3lagn-fbx3h-cgnml-4dwkg-3dpmp-tyoqq-zae",
}
PASSWORD = "correct horse"

ICP_ENCRYPTED_ED25519 = b"""\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIG8MFgGCSqGSIb3DQEFDTBLMCoGCSsGAQQB2kcECzAdBBDrakEhCVaEYq9/jKG4
MQ2xAgMCAAACAQgCAQEwHQYJYIZIAWUDBAEqBBC+DXVk+cR8x5JrivIav9cbBGBJ
cLyvVT6NurQh5ZfA8D1S/5FK+QgbvkBTYHU79yHFSV33VQrBvWym85uQH3nT/q3J
BHLOsOJ1Y7oiLCKGzxNClhCzoxULfjVikqn5EIuofTyQqAtoJ5l+S5lQYdxubF8=
-----END ENCRYPTED PRIVATE KEY-----
"""
"""The Ed25519 key of `PHRASE` as icp-cli 1.5.0 encrypts it, under `PASSWORD`: PKCS#8 version 2 in PBES2 with scrypt."""

_ICP_SALT = bytes.fromhex("eb6a412109568462af7f8ca1b8310db1")
_ICP_IV = bytes.fromhex("be0d7564f9c47cc7926b8af21abfd71b")

DFX_ENCRYPTION = {
    "pw_salt": "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "file_nonce": list(range(1, 13)),
}
DFX_ENCRYPTED = base64.b64decode(
    "IKIhSTTJLnpjuHzaTGYCpxgHJ8zivnhor6f7gE/wi6iIqIMed20yfHXCoXYehAdZ1jelkMO2axjRMI8YRw4OY7cFDwmuVmVmvCDF"
    "vzk/1tTrQu4fI3NRQY+wbGgyiLcQ8G/qrNG+zTLLSwH+6lF8V3Jk/wg3bYH3Eced2zWepi2BJ08EJ/ANwdZMEjnRF90fEQPcNQUN"
    "zkf+wdmEdlJCUQxqfFVTNdTr7acwCGMtkqFxC4+zVEjSciLn9wEkgg2stXRZnJGPzp9MTorJTraIbUPc1J1yEOkT/rW7OMoun5XM"
    "F9s3AsKnZN1RdDJxdDWtBhTmjKN8GiB4Z59QdQ=="
)
"""The secp256k1 key of `PHRASE` as dfx encrypts it under `PASSWORD`, made by @noble/hashes and Node.js: Argon2id and
AES-256-GCM of other authors than those that the product uses."""


def encrypted(form: ser.PrivateFormat, password: str = PASSWORD) -> bytes:
    """A secp256k1 key as openssl encrypts it, in that form."""
    key = ec.generate_private_key(ec.SECP256K1())
    return key.private_bytes(ser.Encoding.PEM, form, ser.BestAvailableEncryption(password.encode()))


def sealed_like_icp_cli(change: Callable[[bytes], bytes]) -> bytes:
    """`ICP_ENCRYPTED_ED25519` with another key (PKCS#8) of the same length in it, made by `change`."""
    der = base64.b64decode(b"".join(ICP_ENCRYPTED_ED25519.splitlines()[1:-1]))
    rest, sealed = der[:-96], der[-96:]
    key = Scrypt(salt=_ICP_SALT, length=32, n=2**17, r=8, p=1).derive(PASSWORD.encode())
    cipher = Cipher(algorithms.AES(key), modes.CBC(_ICP_IV))
    opener, sealer = cipher.decryptor(), cipher.encryptor()
    other = sealer.update(change(opener.update(sealed) + opener.finalize())) + sealer.finalize()
    lines = base64.encodebytes(rest + other)
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" + lines + b"-----END ENCRYPTED PRIVATE KEY-----\n"


class Homes:
    """An empty home of each tool."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.icp = directory / "icp" / "identity"
        self.dfx = directory / "dfx" / ".config" / "dfx" / "identity"
        monkeypatch.setenv("ICP_HOME", str(directory / "icp"))
        monkeypatch.setenv("DFX_CONFIG_ROOT", str(directory / "dfx"))
        self._list: dict[str, Any] = {"anonymous": {"kind": "anonymous"}}

    def in_icp(self, name: str, pem: bytes | None, **about: Any) -> None:
        """An identity of icp-cli; `about` is its entry in the list."""
        self._list[name] = {"kind": "pem", "format": "plaintext", "algorithm": "ed25519", **about}
        (self.icp / "keys").mkdir(parents=True, exist_ok=True)
        (self.icp / "identity_list.json").write_text(json.dumps({"v": 1, "identities": self._list}))
        if pem is not None:
            _write(self.icp / "keys" / f"{name}.pem", pem)

    def in_dfx(self, name: str, content: bytes | None, file: str = "identity.pem", **about: Any) -> None:
        """An identity of dfx; `about` is in its `identity.json`, which plain ones of old versions don't have."""
        (self.dfx / name).mkdir(parents=True)
        if about:
            fields = {"hsm": None, "encryption": None, "keyring_identity_suffix": None, **about}
            (self.dfx / name / "identity.json").write_text(json.dumps(fields))
        if content is not None:
            _write(self.dfx / name / file, content)

    def fill(self) -> Identity:
        """Identities of each kind that files hold; returns the plain one of both tools."""
        plain = Identity.generate("secp256k1")
        self.in_icp("work", plain.to_pem())
        self.in_icp("locked", ICP_ENCRYPTED_ED25519, format="pbes2")
        self.in_dfx("old", plain.to_pem())
        self.in_dfx("sealed", DFX_ENCRYPTED, "identity.pem.encrypted", encryption=DFX_ENCRYPTION)
        return plain


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
