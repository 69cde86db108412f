"""All signatures that a network takes of users: plain ones, those of passkeys, and those of canisters.

Owns which key is of which scheme. Source: interface specification, "Signatures".
"""

from __future__ import annotations

from canister_factory.ic.canister_signature import verify_canister_signature
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.public_key import ED25519_DER_PREFIX, Verify, canister_key, verify_signature, webauthn_key
from canister_factory.ic.webauthn import verify_webauthn_signature


def verifying_with(network: CertificateVerifier, verify: Verify = verify_signature) -> Verify:
    """Checks signatures of every scheme: plain ones with `verify`, canisters' with the network's root key."""

    def verify_any(public_key: bytes, message: bytes, signature: bytes) -> None:
        if public_key.startswith(ED25519_DER_PREFIX):  # neither of a canister nor of a passkey, and most keys are
            verify(public_key, message, signature)
            return
        canister = canister_key(public_key)
        passkey = webauthn_key(public_key)
        if canister is not None:
            verify_canister_signature(canister, message, signature, network)
        elif passkey is not None:
            verify_webauthn_signature(passkey, message, signature)
        else:
            verify(public_key, message, signature)

    return verify_any
