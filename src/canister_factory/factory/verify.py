"""Whether both sides hold the same, decided anew: hashes and counts are recomputed here from the entries of each side.

Owns the judgement. Does not own: the transfer, whose results it doesn't use, and the backend's own verification.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from canister_factory.candid.principal import Principal
from canister_factory.contract.import_models import Beside, CertifiedManifest
from canister_factory.contract.manifest_models import CapsuleManifest
from canister_factory.factory.errors import VerifyError
from canister_factory.factory.manifest import (
    SCHEME,
    Entry,
    ItemKey,
    Kind,
    Totals,
    certified_data,
    manifest_hash,
    totals,
)
from canister_factory.factory.target import Target
from canister_factory.ic.certificate import CertificateVerifier
from canister_factory.ic.task_group import task_group

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Verification:
    """Both sides agree: the hashes (32 bytes, equal) and what they cover."""

    source_manifest: bytes
    target_manifest: bytes
    totals: Totals


class Held(NamedTuple):
    """What a target says that it holds, at one moment; nothing of it is checked."""

    canister_id: Principal
    entries: dict[ItemKey, Entry]
    certified: CertifiedManifest


async def held_by(target: Target) -> Held:
    """Asks the target for what it holds."""
    async with task_group() as group:
        listing, asking = group.create_task(target.entries()), group.create_task(target.client.get_manifest())
    return Held(target.client.canister_id, listing.result(), asking.result())


def verify(
    source: CapsuleManifest,
    source_entries: Mapping[ItemKey, Entry],
    held: Held,
    certificates: CertificateVerifier,
    clock_ns: Callable[[], int] = time.time_ns,
) -> Verification:
    """Compares a source with what a target holds.

    Checked are: each side's manifest against its own entries, the target's manifest hash against the certified data of
    the target's certificate, both sides' entries with each other, and that the target holds nothing beside them.

    Raises:
        VerifyError: a side contradicts itself, or both differ; says in what.
        CertificateError: the target's certificate can't be trusted.
    """
    check_side("source", source, source_entries)
    canister_id, target_entries, certified = held
    check_side("target", certified.manifest, target_entries)
    imported = check_certificate(certified, canister_id, certificates, clock_ns())
    if imported.manifest_hash != certified.manifest.manifest_hash:
        raise VerifyError(f"the target has changed since its import, whose manifest is {imported.manifest_hash.hex()}")
    _check_beside(certified.beside)
    differing = [
        f"{key.kind.name.lower()} {key.id}"
        for key in sorted({*source_entries, *target_entries})
        if source_entries.get(key) != target_entries.get(key)
    ]
    if differing:
        more = f" and {len(differing) - _NAMED} more" if len(differing) > _NAMED else ""
        raise VerifyError(
            f"source and target differ in {', '.join(differing[:_NAMED])}{more}; a retry copies them again"
        )
    if source.manifest_hash != certified.manifest.manifest_hash or source.capsule_id != certified.manifest.capsule_id:
        raise VerifyError(
            f"the manifests differ: capsule {source.capsule_id} with {source.manifest_hash.hex()}, and capsule "
            f"{certified.manifest.capsule_id} with {certified.manifest.manifest_hash.hex()}"
        )
    return Verification(source.manifest_hash, certified.manifest.manifest_hash, totals(source_entries.values()))


def check_side(side: str, manifest: CapsuleManifest, entries: Mapping[ItemKey, Entry]) -> None:
    """Sees to it that a manifest is what its entries amount to.

    Raises:
        VerifyError: it isn't.
    """
    if manifest.scheme != SCHEME:
        raise VerifyError(f"the {side}'s manifest has scheme {manifest.scheme}, this orchestrator knows {SCHEME}")
    claimed = Totals(
        manifest.memories,
        manifest.galleries,
        manifest.connections,
        manifest.connection_groups,
        manifest.content_size,
    )
    if (capsules := sum(key.kind is Kind.CAPSULE for key in entries)) > 1:
        raise VerifyError(f"the {side} lists {capsules} capsules, a manifest is of one")
    counted = totals(entries.values())
    if claimed != counted:
        raise VerifyError(f"the {side}'s manifest claims {claimed}, but its entries amount to {counted}")
    computed = manifest_hash(entries.values())
    if manifest.manifest_hash != computed:
        claim = manifest.manifest_hash.hex()
        raise VerifyError(f"the {side}'s manifest claims the hash {claim}, but its entries amount to {computed.hex()}")


def _check_beside(beside: Beside) -> None:
    found = [f"{count} {name.replace('_', ' ')}" for name, count in beside.model_dump().items() if count]
    if found:
        raise VerifyError(
            f"the target holds more than the capsule: {', '.join(found)}; only a new canister is free of it"
        )


def check_certificate(
    held: CertifiedManifest, canister_id: Principal, certificates: CertificateVerifier, now_ns: int
) -> CapsuleManifest:
    """Sees to it that the network certifies both manifests for the canister; returns that of the finished import.

    Raises:
        VerifyError: the import isn't final, there is no certificate, or it is for something else.
        CertificateError: the certificate can't be trusted.
    """
    if held.imported is None:
        raise VerifyError(f"the import of {canister_id} is not final")
    if held.certificate is None:
        raise VerifyError(f"{canister_id} returned its manifest without a certificate")
    verified = certificates.verify(held.certificate, now_ns=now_ns, canister_id=canister_id.bytes)
    certified = verified.value((b"canister", canister_id.bytes, b"certified_data"))
    expected = certified_data(held.manifest.manifest_hash, held.imported.manifest_hash)
    if certified != expected:
        shown = certified.hex() if certified else "nothing"
        raise VerifyError(
            f"the network certifies {shown} for {canister_id}, not {expected.hex()} for the manifests "
            f"{held.manifest.manifest_hash.hex()} and {held.imported.manifest_hash.hex()}"
        )
    return held.imported
