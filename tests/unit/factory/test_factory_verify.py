"""Whether both sides hold the same: each way in which they can differ is found and named, and no certificate that the
network didn't make for this canister, this hash and this time is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import CreationErrorKind
from canister_factory.contract.import_models import Beside
from canister_factory.factory.errors import VerifyError
from canister_factory.factory.manifest import Entry, ItemKey, Kind, Totals, certified_data
from canister_factory.factory.verify import Verification, held_by, verify
from canister_factory.ic.certificate import MAX_AGE_NS, MAX_FUTURE_NS, CertificateVerifier
from canister_factory.ic.errors import (
    CertificateError,
    CertificateScopeError,
    CertificateSignatureError,
    MalformedCertificateError,
    StaleCertificateError,
    TransportError,
)
from support.ic_test_support import CANISTER, OTHER_CANISTER, RANGE, STRANGER, SUBNET, delegation
from support.personal_script import (
    CAPSULE,
    CONNECTION,
    ELSEWHERE,
    ENTRIES,
    GALLERY,
    GROUP,
    MEMORY,
    PersonalScript,
    by_key,
    manifest_of,
)

SECOND_NS = 10**9


async def judged(
    personal: PersonalScript,
    source: tuple[Entry, ...] = ENTRIES,
    *,
    page: int = 1_000,
    listed: tuple[Entry, ...] | None = None,
    **claims: Any,
) -> Verification:
    """`source` against what the canister shows; `claims` are what the source's manifest says instead, `listed` what
    the source lists instead."""
    return verify(
        manifest_of(*source, **claims),
        by_key(*(source if listed is None else listed)),
        await held_by(personal.target(entries_per_page=page)),
        CertificateVerifier(personal.root_key),
        personal.clock,
    )


# --- Equal sides -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 2, 6, 1_000])
async def test_equal_sides_are_confirmed_with_what_they_cover(page: int) -> None:
    verification = await judged(PersonalScript(*ENTRIES), page=page)
    expected = manifest_of(*ENTRIES).manifest_hash
    assert verification == Verification(expected, expected, Totals(2, 1, 1, 1, 10))


async def test_an_empty_capsule_is_confirmed_too() -> None:
    verification = await judged(PersonalScript(CAPSULE), (CAPSULE,))
    assert verification.totals == Totals(0, 0, 0, 0, 0)


async def test_origin_revision_and_time_may_differ_since_they_are_not_the_content() -> None:
    personal = PersonalScript(*ENTRIES, origin=CANISTER, revision=3, taken_at=99, api_version="1.0.1")
    assert (await judged(personal)).source_manifest == personal.manifest.manifest_hash


async def test_a_passing_failure_of_the_network_is_no_difference() -> None:
    personal = PersonalScript(*ENTRIES)
    failures = [TransportError("cut"), TransportError("cut")]
    real = personal.agent.query

    async def query(*args: Any, **options: Any) -> bytes:
        if args[1] == "get_manifest" and failures:
            raise failures.pop()
        return await real(*args, **options)

    personal.agent.query = query  # type: ignore[method-assign]
    assert (await judged(personal)).totals.memories == 2
    assert failures == []


# --- The sides differ ------------------------------------------------------------------------------------------------

OTHER = b"\xff" * 32
EVERY_ITEM = {"memory": MEMORY, "gallery": GALLERY, "connection": CONNECTION, "connection_group": GROUP}
CHANGES: dict[str, tuple[Entry, Entry]] = {
    "a memory's content": (MEMORY, MEMORY._replace(content_checksum=OTHER)),
    "a memory's content is missing": (MEMORY, MEMORY._replace(content_checksum=None)),
    "content where the source has none": (ELSEWHERE, ELSEWHERE._replace(content_checksum=OTHER)),
    "a memory's size": (MEMORY, MEMORY._replace(size=11)),
    "a memory's chunk size": (MEMORY, MEMORY._replace(chunk_size=5)),
    "a memory's number of chunks": (MEMORY, MEMORY._replace(total_chunks=4)),
    "a memory's record": (MEMORY, MEMORY._replace(record_checksum=OTHER)),
    "a gallery's record": (GALLERY, GALLERY._replace(record_checksum=OTHER)),
    "a connection's record": (CONNECTION, CONNECTION._replace(record_checksum=OTHER)),
    "a group's record": (GROUP, GROUP._replace(record_checksum=OTHER)),
    "the capsule's record": (CAPSULE, CAPSULE._replace(record_checksum=OTHER)),
}


@pytest.mark.parametrize("name", EVERY_ITEM)
async def test_an_item_that_the_target_lacks_is_named(name: str) -> None:
    missing = EVERY_ITEM[name]
    personal = PersonalScript(*(entry for entry in ENTRIES if entry is not missing))
    with pytest.raises(VerifyError, match=f"source and target differ in {name} {missing.key.id};"):
        await judged(personal)


@pytest.mark.parametrize("name", EVERY_ITEM)
async def test_an_item_that_only_the_target_has_is_named(name: str) -> None:
    extra = EVERY_ITEM[name]
    source = tuple(entry for entry in ENTRIES if entry is not extra)
    with pytest.raises(VerifyError, match=f"source and target differ in {name} {extra.key.id};"):
        await judged(PersonalScript(*ENTRIES), source)


@pytest.mark.parametrize("change", CHANGES)
async def test_an_item_that_differs_is_named(change: str) -> None:
    before, after = CHANGES[change]
    held = (*(entry for entry in ENTRIES if entry is not before), after)
    kind, id = before.key.kind.name.lower(), before.key.id
    with pytest.raises(VerifyError, match=f"source and target differ in {kind} {id};") as caught:
        await judged(PersonalScript(*held))
    assert caught.value.kind is CreationErrorKind.VerifyFailed
    assert caught.value.retry_helps, "a retry copies it again"


async def test_a_difference_on_a_later_page_is_found() -> None:
    held = (*ENTRIES[:-1], GROUP._replace(record_checksum=OTHER))
    with pytest.raises(VerifyError, match="differ in connection_group near;"):
        await judged(PersonalScript(*held), page=2)


async def test_the_target_of_another_capsule_is_refused_even_with_the_same_items() -> None:
    with pytest.raises(VerifyError, match=r"the manifests differ: capsule capsule-1 with \w{64}, and capsule other"):
        await judged(PersonalScript(*ENTRIES, capsule_id="other"))


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "memory a0;"), (5, "memory a0, memory a1, memory a2, memory a3, memory a4;"), (6, "memory a4 and 1 more;")],
)
async def test_of_many_differences_five_are_named_in_order_and_the_rest_counted(count: int, words: str) -> None:
    extra = tuple(MEMORY._replace(key=MEMORY.key._replace(id=f"a{i}")) for i in reversed(range(count)))
    with pytest.raises(VerifyError, match=words):
        await judged(PersonalScript(*ENTRIES, *extra))


# --- A side that contradicts itself ----------------------------------------------------------------------------------

WRONG_CLAIMS: dict[str, dict[str, Any]] = {
    "memories": {"memories": 3},
    "galleries": {"galleries": 2},
    "connections": {"connections": 2},
    "connection groups": {"connection_groups": 2},
    "bytes": {"content_size": 11},
    "two counts exchanged": {"memories": 1, "galleries": 2},
}


@pytest.mark.parametrize("claim", WRONG_CLAIMS)
async def test_a_source_whose_manifest_counts_what_it_does_not_list_is_refused(claim: str) -> None:
    with pytest.raises(
        VerifyError, match=r"the source's manifest claims .* but its entries amount to Totals\(memories=2"
    ):
        await judged(PersonalScript(*ENTRIES), **WRONG_CLAIMS[claim])


@pytest.mark.parametrize("claim", WRONG_CLAIMS)
async def test_a_target_whose_manifest_counts_what_it_does_not_list_is_refused(claim: str) -> None:
    with pytest.raises(
        VerifyError, match=r"the target's manifest claims .* but its entries amount to Totals\(memories=2"
    ):
        await judged(PersonalScript(*ENTRIES, **WRONG_CLAIMS[claim]))


async def test_a_source_whose_hash_is_not_that_of_its_entries_is_refused() -> None:
    with pytest.raises(VerifyError, match=f"the source's manifest claims the hash {OTHER.hex()}"):
        await judged(PersonalScript(*ENTRIES), manifest_hash=OTHER)


async def test_a_target_whose_hash_is_not_that_of_its_entries_is_refused() -> None:
    with pytest.raises(VerifyError, match=f"the target's manifest claims the hash {OTHER.hex()}"):
        await judged(PersonalScript(*ENTRIES, manifest_hash=OTHER))


async def test_a_target_that_claims_the_source_s_manifest_but_holds_something_else_is_refused() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.entries = (*ENTRIES[:-1], GROUP._replace(record_checksum=OTHER))
    with pytest.raises(VerifyError, match="the target's manifest claims the hash"):
        await judged(personal)


async def test_a_source_that_lists_other_entries_than_its_manifest_is_of_is_refused() -> None:
    changed = (*ENTRIES[:-1], GROUP._replace(record_checksum=OTHER))
    with pytest.raises(VerifyError, match="the source's manifest claims the hash"):
        await judged(PersonalScript(*ENTRIES), listed=changed)


@pytest.mark.parametrize("scheme", ["", "canister-factory-manifest-1"])
async def test_a_manifest_by_another_formula_is_refused_on_either_side(scheme: str) -> None:
    known = "this orchestrator knows canister-factory-manifest-2"
    with pytest.raises(VerifyError, match=f"the source's manifest has scheme {scheme}, {known}"):
        await judged(PersonalScript(*ENTRIES), scheme=scheme)
    with pytest.raises(VerifyError, match=f"the target's manifest has scheme {scheme}, {known}"):
        await judged(PersonalScript(*ENTRIES, scheme=scheme))


# --- More than the capsule -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", Beside.model_fields)
async def test_a_target_that_holds_anything_beside_the_capsule_is_refused(what: str) -> None:
    personal = PersonalScript(*ENTRIES)
    personal.beside[what] = 2
    with pytest.raises(VerifyError, match=f"the target holds more than the capsule: 2 {what.replace('_', ' ')};"):
        await judged(personal)


async def test_a_target_whose_import_is_not_final_is_refused() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.imported = None
    with pytest.raises(VerifyError, match=f"the import of {CANISTER} is not final"):
        await judged(personal)


async def test_a_target_that_changed_after_its_import_is_refused() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.imported = manifest_of(CAPSULE)
    personal.certified_data = certified_data(personal.manifest.manifest_hash, personal.imported.manifest_hash)
    with pytest.raises(VerifyError, match=f"has changed since its import, .* {personal.imported.manifest_hash.hex()}"):
        await judged(personal)


async def test_a_target_that_lists_two_capsules_is_refused() -> None:
    other = CAPSULE._replace(key=ItemKey(Kind.CAPSULE, "capsule-2"))
    personal = PersonalScript(*ENTRIES)
    personal.entries = (*ENTRIES, other)
    with pytest.raises(VerifyError, match="the target lists 2 capsules, a manifest is of one"):
        await judged(personal)


# --- False certificates ----------------------------------------------------------------------------------------------


async def test_a_manifest_without_a_certificate_is_not_believed() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.alter_certificate = lambda certificate: None
    with pytest.raises(VerifyError, match=f"{CANISTER} returned its manifest without a certificate"):
        await judged(personal)


async def test_a_certificate_by_another_root_key_is_not_believed() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.root_key = STRANGER.der
    with pytest.raises(CertificateSignatureError):
        await judged(personal)


async def test_a_certificate_that_a_stranger_signed_is_not_believed() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.alter_certificate = lambda certificate: STRANGER.certify(
        {b"canister": {CANISTER.bytes: {b"certified_data": personal.certified_data}}}
    )
    with pytest.raises(CertificateSignatureError):
        await judged(personal)


@pytest.mark.parametrize("data", [b"", bytes(32), OTHER], ids=["empty", "zeros", "another hash"])
async def test_another_certified_data_is_a_difference(data: bytes) -> None:
    personal = PersonalScript(*ENTRIES)
    personal.certified_data = data
    shown = data.hex() or "nothing"
    with pytest.raises(VerifyError, match=f"the network certifies {shown} for {CANISTER}, not"):
        await judged(personal)


async def test_a_canister_without_certified_data_is_a_difference() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.certified_data = None
    with pytest.raises(VerifyError, match="the network certifies nothing for"):
        await judged(personal)


async def test_the_certificate_of_another_canister_of_the_subnet_is_not_believed() -> None:
    personal = PersonalScript(*ENTRIES)
    personal.certified_canister = Principal(RANGE[0])
    with pytest.raises(VerifyError, match="the network certifies nothing for"):
        await judged(personal)


async def test_a_certificate_of_a_subnet_without_this_canister_is_not_believed() -> None:
    elsewhere = [(OTHER_CANISTER.bytes, OTHER_CANISTER.bytes)]
    personal = PersonalScript(*ENTRIES)
    state = {b"canister": {CANISTER.bytes: {b"certified_data": personal.certified_data}}}
    personal.alter_certificate = lambda certificate: SUBNET.certify(state, delegation(ranges=elsewhere))
    with pytest.raises(CertificateScopeError, match="canister ranges do not include"):
        await judged(personal)


@pytest.mark.parametrize(
    ("offset_ns", "words"),
    [(-MAX_AGE_NS - SECOND_NS, " s old, above the limit"), (MAX_FUTURE_NS + SECOND_NS, " s in the future, above")],
    ids=["stale", "of the future"],
)
async def test_a_certificate_of_another_time_is_not_believed(offset_ns: int, words: str) -> None:
    personal = PersonalScript(*ENTRIES)
    certify = personal.net.certificate

    def certificate_of_then(request_id: bytes | None = None) -> bytes:
        personal.net.time_offset_ns = offset_ns
        try:
            return certify(request_id)
        finally:
            personal.net.time_offset_ns = 0

    personal.alter_certificate = lambda certificate: certificate_of_then()
    with pytest.raises(StaleCertificateError, match=words):
        await judged(personal)


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]


CERTIFIED = certified_data(*[manifest_of(*ENTRIES).manifest_hash] * 2)
SIGNED, MALFORMED = CertificateSignatureError, MalformedCertificateError
TAMPERED: dict[str, tuple[Callable[[bytes], bytes], type[CertificateError]]] = {
    "the hash exchanged": (lambda data: data.replace(CERTIFIED, OTHER), SIGNED),
    "a bit of the signature": (lambda data: _flipped(data, data.index(b"isignature") + 40), SIGNED),
    "a bit of the delegation": (lambda data: _flipped(data, data.rindex(b"isignature") + 40), SIGNED),
    "cut off": (lambda data: data[:-1], MALFORMED),
    "empty": (lambda data: b"", MALFORMED),
    "no certificate at all": (lambda data: b"<html>", MALFORMED),
}


@pytest.mark.parametrize("way", TAMPERED)
async def test_a_tampered_certificate_is_not_believed(way: str) -> None:
    tamper, expected = TAMPERED[way]
    personal = PersonalScript(*ENTRIES)
    personal.alter_certificate = tamper
    with pytest.raises(expected):
        await judged(personal)


async def test_a_certificate_that_leaves_the_canister_out_is_not_believed() -> None:
    personal = PersonalScript(*ENTRIES)
    root = personal.net.certificate()  # made before the canister has a state: /canister is proven absent
    personal.alter_certificate = lambda certificate: root
    with pytest.raises(VerifyError, match="certifies nothing"):
        await judged(personal)
