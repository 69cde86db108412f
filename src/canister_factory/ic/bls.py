"""BLS12-381 as the IC signs certificates with it: signatures in G1 (48 bytes), public keys in G2 (96 bytes, in DER).

Source: interface specification, "Certificate" (ciphersuite) and "Delegation" (DER form). Does not own private keys.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pyblst

from canister_factory.ic.errors import CertificateSignatureError, MalformedCertificateError

BLS_DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
BLS_DER_PREFIX = bytes.fromhex("308182301d060d2b0601040182dc7c0503010201060c2b0601040182dc7c05030201036100")
BLS_DER_BYTES = 133
BLS_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Of G1 and G2: private keys are numbers from 1 to below it."""

# The standard generator of G2, compressed (draft-irtf-cfrg-pairing-friendly-curves, section 4.2.1).
G2_GENERATOR = bytes.fromhex(
    "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
)
_GENERATOR_POINT = pyblst.BlstP2Element().uncompress(G2_GENERATOR)
_INFINITY = b"\xc0" + bytes(95)


@lru_cache(maxsize=1024)
def _load_key(der: bytes) -> Any:
    if len(der) != BLS_DER_BYTES or not der.startswith(BLS_DER_PREFIX):
        raise MalformedCertificateError(
            f"not a DER-encoded BLS12-381 public key: {len(der)} bytes instead of {BLS_DER_BYTES}, or another algorithm"
        )
    point = der[len(BLS_DER_PREFIX) :]
    if point == _INFINITY:
        raise MalformedCertificateError("the BLS public key is the point at infinity")
    try:
        return pyblst.BlstP2Element().uncompress(point)  # includes the subgroup check
    except ValueError as error:
        raise MalformedCertificateError(f"not a BLS12-381 public key: {error}") from None


def check_key(der: bytes) -> None:
    """Checks that `der` is a valid public key in DER form (133 bytes).

    Raises:
        MalformedCertificateError: it isn't.
    """
    _load_key(bytes(der))


def verify_bls(der_key: bytes, message: bytes, signature: bytes) -> None:
    """Checks a signature (48 bytes, compressed), about 1 ms.

    Raises:
        MalformedCertificateError: a bad key.
        CertificateSignatureError: a bad signature.
    """
    key = _load_key(bytes(der_key))
    try:
        point = pyblst.BlstP1Element().uncompress(signature)
    except ValueError:
        raise CertificateSignatureError("the certificate's signature is not a point of BLS12-381 G1") from None
    signed = pyblst.miller_loop(point, _GENERATOR_POINT)
    expected = pyblst.miller_loop(pyblst.BlstP1Element.hash_to_group(message, BLS_DOMAIN), key)
    if not pyblst.final_verify(signed, expected):
        raise CertificateSignatureError(
            "the certificate's signature does not verify with the key it has to be signed by"
        )
