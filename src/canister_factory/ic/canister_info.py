"""What a subnet certifies about a canister: its controllers, the hash of its module, and since when it has them.

Owns the paths of the state tree, and their values' form. Does not own asking, or verifying certificates.

Source: interface specification, "Canister information".
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.candid.principal import MAX_PRINCIPAL_BYTES, Principal
from canister_factory.ic.certificate import Certificate, cbor_list, read_leb128
from canister_factory.ic.errors import CanisterNotFoundError, MalformedCertificateError


@dataclass(frozen=True, slots=True)
class CanisterInfo:
    """Certified facts about a canister.

    Attributes:
        controllers: who controls it.
        module_hash: SHA-256 of its Wasm; None if it has none.
        created_ns: when it was created, in nanoseconds since 1970; None on networks before specification 0.66.
        installed_ns: when its code was installed last, likewise; None also if it has none.
    """

    controllers: tuple[Principal, ...]
    module_hash: bytes | None
    created_ns: int | None = None
    installed_ns: int | None = None

    @staticmethod
    def paths(canister_id: Principal, *, times: bool = True) -> list[list[bytes]]:
        """The paths of the state tree that `from_certificate` reads; networks before 0.66 refuse those of `times`."""
        names = [b"controllers", b"module_hash"]
        if times:
            names += [b"canister_creation_timestamp", b"last_install_timestamp"]
        return [[b"canister", canister_id.bytes, name] for name in names]

    @classmethod
    def from_certificate(cls, certificate: Certificate, canister_id: Principal, *, times: bool = True) -> CanisterInfo:
        """Reads what `paths` names.

        Raises:
            CanisterNotFoundError: it doesn't exist.
            CertificateError: the certificate doesn't tell.
        """
        controllers, module_hash, *moments = map(certificate.value, cls.paths(canister_id, times=times))
        if controllers is None:
            raise CanisterNotFoundError(f"the canister {canister_id} does not exist, as its subnet certifies")
        items = cbor_list(controllers, f"the controllers of {canister_id}")
        if not all(type(item) is bytes and len(item) <= MAX_PRINCIPAL_BYTES for item in items):
            raise MalformedCertificateError(f"the controllers of {canister_id} are not principals")
        moments_ns = [None if moment is None else read_leb128(moment) for moment in moments]
        return cls(tuple(map(Principal, items)), module_hash, *moments_ns)
