"""What a subnet certifies about a canister: its controllers and the hash of its module.

Owns the paths of the state tree, and their values' form. Does not own asking, or verifying certificates.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.candid.principal import MAX_PRINCIPAL_BYTES, Principal
from canister_factory.ic.certificate import Certificate, cbor_list
from canister_factory.ic.errors import CanisterNotFoundError, MalformedCertificateError


@dataclass(frozen=True, slots=True)
class CanisterInfo:
    """Certified facts about a canister; `module_hash` is the SHA-256 of its Wasm, `None` if it has none."""

    controllers: tuple[Principal, ...]
    module_hash: bytes | None

    @staticmethod
    def paths(canister_id: Principal) -> list[list[bytes]]:
        """The paths of the state tree that `from_certificate` needs."""
        return [[b"canister", canister_id.bytes, name] for name in (b"controllers", b"module_hash")]

    @classmethod
    def from_certificate(cls, certificate: Certificate, canister_id: Principal) -> CanisterInfo:
        """Reads them.

        Raises:
            CanisterNotFoundError: it doesn't exist.
            CertificateError: the certificate doesn't tell.
        """
        controllers, module_hash = map(certificate.value, cls.paths(canister_id))
        if controllers is None:
            raise CanisterNotFoundError(f"the canister {canister_id} does not exist, as its subnet certifies")
        items = cbor_list(controllers, f"the controllers of {canister_id}")
        if not all(type(item) is bytes and len(item) <= MAX_PRINCIPAL_BYTES for item in items):
            raise MalformedCertificateError(f"the controllers of {canister_id} are not principals")
        return cls(tuple(map(Principal, items)), module_hash)
