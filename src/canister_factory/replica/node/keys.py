"""The keys of an embedded replica: root (BLS), subnet (BLS) and node (Ed25519), made once per state directory.

Owns making and storing the private keys, and using the BLS ones (the node's: `node_key`); no `repr` shows one.
Does not own what is signed (`certification`, `http_api`).

Sources: interface specification, "Signatures" (BLS12-381 with signatures in G1 and public keys in G2, DER prefix and
domain separators) and "Special forms of principals" (self-authenticating ids).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

import pyblst

from canister_factory.base_error import CanisterFactoryError
from canister_factory.ic.bls import BLS_DER_PREFIX, BLS_DOMAIN, BLS_ORDER, G2_GENERATOR
from canister_factory.ic.certificate import STATE_ROOT_DOMAIN
from canister_factory.ic.public_key import self_authenticating_id
from canister_factory.replica.node.node_key import NodeKey
from canister_factory.replica.store.files import Files
from canister_factory.replica.store.names import KEYS

__all__ = ["KeyFileError", "ReplicaKeys"]


class KeyFileError(CanisterFactoryError):
    """The key file of a state directory can't be used; the message names the file and what to do."""


class BlsKey:
    """A BLS12-381 key pair. `public_key` is its DER form (133 bytes), `principal` the id derived from it."""

    __slots__ = ("_secret", "principal", "public_key")

    def __init__(self, secret: int) -> None:
        self._secret = secret
        point = pyblst.BlstP2Element().uncompress(G2_GENERATOR).scalar_mul(secret)
        self.public_key = BLS_DER_PREFIX + bytes(point.compress())
        self.principal = self_authenticating_id(self.public_key)

    def __repr__(self) -> str:
        return f"<BlsKey principal={self.principal.hex()}>"

    def sign_state_root(self, root_digest: bytes) -> bytes:
        """Sign the digest of a state tree; the 48-byte signature of a certificate."""
        point = pyblst.BlstP1Element.hash_to_group(STATE_ROOT_DOMAIN + root_digest, BLS_DOMAIN)
        return bytes(point.scalar_mul(self._secret).compress())


@dataclass(frozen=True, slots=True)
class ReplicaKeys:
    """The three key pairs. The root key signs the subnet's delegation, the subnet key certifies state, the node key
    signs query responses."""

    root: BlsKey
    subnet: BlsKey
    node: NodeKey

    @classmethod
    def generate(cls) -> ReplicaKeys:
        """New keys that live as long as the process."""
        return cls._from_secrets(_new_secrets())

    @classmethod
    def create(cls, state_dir: Path, files: Files | None = None) -> ReplicaKeys:
        """New keys for a new state directory, in a file that only its owner can read.

        `files`: how the disk is reached; by default what was written survives a power failure.

        Raises:
            OSError: the file can't be written.
        """
        fresh = _new_secrets()
        (files or Files()).publish(state_dir / KEYS, json.dumps(fresh).encode() + b"\n")
        return cls._from_secrets(fresh)

    @classmethod
    def load(cls, state_dir: Path) -> ReplicaKeys:
        """The keys of a state directory.

        Raises:
            KeyFileError: the file is missing, damaged or can't be read. None is made in its place, since a new root key
                would orphan whoever trusts the old one.
        """
        path = state_dir / KEYS
        try:
            content = path.read_bytes()
        except OSError as error:
            raise KeyFileError(
                f"the key file {path} can't be read ({error.strerror}): restore it, or use another --state-dir for a "
                "new network"
            ) from None
        try:
            return cls._from_secrets(json.loads(content))
        except (ValueError, KeyError, TypeError, AttributeError):
            # The cause is cut off on purpose: its message could quote the file's content.
            raise KeyFileError(
                f"the key file {path} is damaged: restore it, or use another --state-dir for a new network"
            ) from None

    @classmethod
    def _from_secrets(cls, secrets_hex: dict[str, str]) -> ReplicaKeys:
        root, subnet = (int(secrets_hex[name], 16) for name in ("root", "subnet"))
        if not (0 < root < BLS_ORDER and 0 < subnet < BLS_ORDER):
            raise ValueError("scalar out of range")
        return cls(BlsKey(root), BlsKey(subnet), NodeKey(bytes.fromhex(secrets_hex["node"])))


def _new_secrets() -> dict[str, str]:
    def scalar() -> str:
        return f"{1 + secrets.randbelow(BLS_ORDER - 1):064x}"

    return {"root": scalar(), "subnet": scalar(), "node": secrets.token_hex(32)}
