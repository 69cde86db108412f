"""A passkey, whose signatures are WebAuthn assertions."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from canister_factory.ic import cbor
from canister_factory.ic.public_key import encode_subject_public_key, self_authenticating_id

COSE_IN_DER = bytes.fromhex("300c060a2b0601040183b8430101")
_AUTHENTICATOR_DATA = b"authenticator data"


@dataclass
class Passkey:
    """A caller with an Ed25519 passkey."""

    secret: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public_key(self) -> bytes:
        raw = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        cose_key = bytes.fromhex("a4010103272006215820") + raw  # {1: 1, 3: -8, -1: 6, -2: raw}
        return encode_subject_public_key(COSE_IN_DER, cose_key)

    @property
    def principal(self) -> bytes:
        return self_authenticating_id(self.public_key)

    def sign(self, msg: bytes) -> tuple[bytes | None, bytes | None]:
        challenge = base64.urlsafe_b64encode(msg).rstrip(b"=").decode()
        client = json.dumps({"type": "webauthn.get", "challenge": challenge})
        signature = self.secret.sign(_AUTHENTICATOR_DATA + sha256(client.encode()).digest())
        assertion = {"authenticator_data": _AUTHENTICATOR_DATA, "client_data_json": client, "signature": signature}
        return self.public_key, cbor.dumps(assertion)
