"""The certificate that a backup's state was made by: what the network signed when it was taken, and what that proves.

The hashes of a backup tell damage: whoever forges a state can make hashes that fit. A certificate can't be made without
the network, so it tells forgery, too; but only by a root key that doesn't come from the backup itself.

Owns the judgement. Does not own: how certificates are verified (`ic.certificate`).

Source: interface specification, "Certification" and "Certified data".
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from canister_factory.candid.principal import Principal
from canister_factory.contract.manifest_models import CapsuleManifest
from canister_factory.factory.manifest import certified_data
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.errors import CertificateError
from canister_factory.ic.network import MAINNET_ROOT_KEY
from canister_factory.owner.errors import ForgedBackupError


class Proof(BaseModel):
    """A canister's certificate (CBOR) of its certified data: the hash of a state's manifest and of that of its import.

    `root_key`: of the network (DER), as the backup says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")

    canister_id: Principal
    imported_hash: bytes
    certificate: bytes
    root_key: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """What a certificate says: that this canister had the state at this time, nanoseconds since 1970.

    `is_trusted`: by the Internet Computer's pinned root key, or by one that the caller gave; else by the one that the
    backup itself names, which whoever forges a backup could choose.
    """

    canister_id: Principal
    time_ns: int
    is_mainnet: bool
    is_trusted: bool


def prove(manifest: CapsuleManifest, proof: Proof, root_key: bytes | None = None) -> Proven:
    """Verifies the certificate; `root_key` (DER): of the network that it has to be of, where the caller knows it.

    Raises:
        ForgedBackupError: it isn't signed by that network, isn't for that canister, or is of another state.
    """
    key = root_key or proof.root_key
    try:
        verified = CertificateVerifier(key).verify(proof.certificate, now_ns=None, canister_id=proof.canister_id.bytes)
        found = verified.value((b"canister", proof.canister_id.bytes, b"certified_data"))
    except CertificateError as error:
        raise ForgedBackupError(
            f"the state's certificate isn't by the network for {proof.canister_id}: {error}; the backup isn't what "
            "that canister had"
        ) from error
    if found != certified_data(manifest.manifest_hash, proof.imported_hash):
        raise ForgedBackupError(
            f"the state's certificate is of something else than the state, whose manifest is "
            f"{manifest.manifest_hash.hex()}: its files were changed so that the hashes fit"
        )
    is_mainnet = key == MAINNET_ROOT_KEY
    return Proven(proof.canister_id, verified.time_ns, is_mainnet, is_mainnet or root_key is not None)
