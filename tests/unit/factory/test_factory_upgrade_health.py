"""Whether a canister is sound after an upgrade: what counts as less, as another root, and as not to be judged."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.capsule_models import CapsuleError, NamedThing, WriteLock
from canister_factory.contract.creation_models import (
    CreationPage,
    OwnerPageRequest,
    PersonalCanisterCreationStats,
    RegistryPage,
)
from canister_factory.contract.import_models import PersonalInfo
from canister_factory.contract.manifest_models import MemoryManifest
from canister_factory.contract.memory_models import ContentsAudit
from canister_factory.contract.quota_models import QuotaReport, Quotas, Usage
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import UpgradeError, VerifyError
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_health import BackendHealth, PersonalHealth
from canister_factory.ic.errors import RejectedError
from support.backend_script import BACKEND, OWNER, BackendScript, creation
from support.ic_test_support import CANISTER
from support.personal_script import CAPSULE_ID, ENTRIES, PersonalScript

BYTES = b"the first bytes"
TOO_LONG = RejectedError(5, "it exceeded the limit of instructions", "IC0522", certified=False)


def audit(**claims: bool) -> ContentsAudit:
    sizes = ("chunks", "extents", "held_bytes", "taken_bytes", "slab_bytes", "free_bytes", "region_bytes")
    told = {"consistent": True, "manifests_consistent": True} | claims
    return ContentsAudit(**dict.fromkeys(sizes, 0), **told)  # type: ignore[arg-type]


# --- a personal canister ---------------------------------------------------------------------------------------------


class Personal(PersonalScript):
    """A canister that its owner, who asks, has in use."""

    def __init__(self, **claims: Any) -> None:
        super().__init__(*ENTRIES, **claims)
        self.version = "1.0.0"
        self.audit = audit()
        self.bytes = BYTES
        self.info: dict[str, Any] = {"owner": Principal(self.agent.identity.sender().bytes), "is_open": True}
        self.answers |= {
            "get_personal_info": self._info,
            "get_api_version": lambda: self.version,
            "audit_contents": lambda: self.audit,
            "get_memory_manifests": lambda ids: [self._memory(id) for id in ids],
            "read_memory_chunk": lambda id, index: self.bytes,
        }

    @property
    def root(self) -> bytes:
        assert self.certified_data is not None
        return self.certified_data

    def health(self) -> PersonalHealth:
        config = FactoryConfig()
        return PersonalHealth(self.agent, CANISTER, config, Retry(config, sleep=self.clock.sleep))

    def _info(self) -> PersonalInfo:
        told: dict[str, Any] = {
            "backend": BACKEND,
            "name": "Ada",
            "capsule_id": CAPSULE_ID,
            "api_version": self.version,
        }
        return PersonalInfo(**(told | self.info))

    def _memory(self, id: str) -> MemoryManifest:
        digest = sha256(BYTES).digest()
        return MemoryManifest(
            memory_id=id,
            total_chunks=1,
            total_size=len(BYTES),
            chunk_size=100,
            chunk_checksums=[digest],
            final_checksum=digest,
        )


async def test_a_canister_that_has_what_it_had_is_sound_under_a_newer_api() -> None:
    canister = Personal()
    before = await canister.health().before()
    assert len(before) <= 128, "an environment variable has no more room"
    canister.version = "1.7.2"
    canister.calls.clear()
    await canister.health().check(before, canister.root)
    assert len(canister.asked("read_memory_chunk")) == 1, "the one memory with bytes of its own"
    assert len(canister.asked("audit_contents")) == 1


@pytest.mark.parametrize(
    ("told", "words"),
    [({"owner": OWNER}, f"belongs to {OWNER}, and you are"), ({"is_open": False}, "isn't in use yet")],
)
async def test_one_that_is_not_the_callers_or_not_in_use_is_left_alone(told: dict[str, Any], words: str) -> None:
    canister = Personal()
    canister.info |= told
    with pytest.raises(UpgradeError, match=words):
        await canister.health().before()


async def test_another_root_than_that_of_the_stopped_canister_is_unsound() -> None:
    canister = Personal()
    before = await canister.health().before()
    with pytest.raises(VerifyError, match=r"has another root than before: it has 2 memories"):
        await canister.health().check(before, bytes(32))


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("version", "2.0.0", "has the API version '2.0.0'"),
        ("bytes", b"other bytes", "the bytes of memory m1 aren't those that were stored"),
        ("audit", audit(consistent=False), "aren't as its books have them"),
        ("audit", audit(manifests_consistent=False), "aren't as its books have them"),
        ("info", {"owner": OWNER, "is_open": True}, "says something else of itself"),
        ("entries", ENTRIES[:-1], "but its entries amount to"),
        ("certified_data", bytes(32), "the network certifies"),
        ("alter_certificate", lambda certificate: b"\xa0", "can't be trusted"),
    ],
)
async def test_what_is_not_as_before_is_unsound(attribute: str, value: Any, words: str) -> None:
    canister = Personal()
    before, root = await canister.health().before(), canister.root
    setattr(canister, attribute, value)
    with pytest.raises(VerifyError, match=words):
        await canister.health().check(before, root)


async def test_one_that_is_unsound_already_is_not_upgraded() -> None:
    canister = Personal(memories=3)
    with pytest.raises(VerifyError, match="claims"):
        await canister.health().before()


@pytest.mark.parametrize(
    ("answer", "is_written"),
    [
        (CapsuleError(Locked=WriteLock(reason="it is being upgraded")), False),
        (CapsuleError(NotFound=NamedThing(kind="upload", id="1")), True),
        (None, True),
    ],
    ids=["locked", "not found", "done"],
)
async def test_whether_a_canister_takes_writes_is_seen_by_one_that_changes_nothing(
    answer: CapsuleError | None, is_written: bool
) -> None:
    canister = Personal()
    canister.answers["abort_memory_upload"] = lambda id: answer
    assert await canister.health().takes_writes() is is_written
    assert canister.asked("abort_memory_upload") == [(2**64 - 1,)]


# --- a backend -------------------------------------------------------------------------------------------------------


class Backend(BackendScript):
    """A backend that counts."""

    def __init__(self) -> None:
        self.version = "1.0.0"
        self.audit: ContentsAudit | Exception = audit()
        self.people = 7
        self.used = dict.fromkeys(Usage.model_fields, 9)
        self.attempts = 4
        self.creates = True
        self.open = [creation()]

    async def get_api_version(self) -> str:
        return self.version

    async def audit_contents(self) -> ContentsAudit:
        if isinstance(self.audit, Exception):
            raise self.audit
        return self.audit

    async def get_quotas(self) -> QuotaReport:
        limits = Usage(**dict.fromkeys(Usage.model_fields, 100))
        quotas = Quotas(person=limits, total=limits, heap_bytes=1)
        return QuotaReport(quotas=quotas, used=Usage(**self.used), heap_bytes_used=1, people=self.people)

    async def get_personal_canister_creation_stats(self) -> PersonalCanisterCreationStats:
        if not self.creates:
            raise RejectedError(5, "it has no such method", "IC0536", certified=False)
        rest = ("total_successes", "total_failures", "total_undone", "total_cycles_consumed")
        return PersonalCanisterCreationStats(total_attempts=self.attempts, **dict.fromkeys(rest, 0))

    async def list_all_creation_states(self, page: OwnerPageRequest) -> CreationPage:
        return CreationPage(items=self.open, total=len(self.open))

    async def list_registry(self, page: OwnerPageRequest) -> RegistryPage:
        return RegistryPage(items=[], total=0)

    @property
    def health(self) -> BackendHealth:
        async def no_sleep(seconds: float) -> None:
            raise AssertionError("nothing here passes")

        return BackendHealth(self, BACKEND, Retry(FactoryConfig(), sleep=no_sleep))  # type: ignore[arg-type]


async def test_a_backend_that_counts_no_less_is_sound() -> None:
    backend = Backend()
    before = await backend.health.before()
    assert before == "audited 7 9 9 9 9 4 1 0"
    backend.people += 1
    await backend.health.check(before, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"people": 6}, "had 7 people, and has 6"),
        ({"used": dict.fromkeys(Usage.model_fields, 9) | {"memories": 8}}, "had 9 memories, and has 8"),
        ({"used": dict.fromkeys(Usage.model_fields, 9) | {"content_bytes": 0}}, "had 9 bytes of contents, and has 0"),
        ({"attempts": 3}, "had 4 attempts at creations, and has 3"),
        ({"open": []}, "had 1 creations, and has 0"),
        ({"version": "0.9.0"}, "has the API version '0.9.0'"),
        ({"audit": audit(consistent=False)}, "aren't as its books have them"),
    ],
)
async def test_a_backend_with_less_or_of_another_kind_is_unsound(change: dict[str, Any], words: str) -> None:
    backend = Backend()
    before = await backend.health.before()
    vars(backend).update(change)
    with pytest.raises(VerifyError, match=words):
        await backend.health.check(before, None)


@pytest.mark.parametrize("before", ["", "audited", "audited 7 many"])
async def test_a_backend_of_which_no_counts_are_on_record_is_not_called_sound(before: str) -> None:
    with pytest.raises(VerifyError, match="counted before is not on record"):
        await Backend().health.check(before, None)


async def test_what_was_too_much_to_be_audited_before_is_not_audited_afterwards() -> None:
    backend = Backend()
    backend.audit = TOO_LONG
    before = await backend.health.before()
    assert before.startswith("unaudited 7 ")
    backend.audit = VerifyError("it was asked")
    await backend.health.check(before, None)


async def test_an_audit_that_fails_otherwise_is_a_failure() -> None:
    backend = Backend()
    backend.audit = RejectedError(5, "it trapped", "IC0503", certified=False)
    with pytest.raises(RejectedError, match="it trapped"):
        await backend.health.before()


async def test_a_backend_that_creates_no_canisters_counts_what_people_keep() -> None:
    backend = Backend()
    before = await backend.health.before()
    backend.creates = False
    await backend.health.check(before, None)
    backend.people = 0
    with pytest.raises(VerifyError, match="had 7 people"):
        await backend.health.check(before, None)


@pytest.mark.parametrize(
    ("failure", "goes_through"),
    [
        (RejectedError(5, "it trapped", "IC0502", certified=True), False),
        (RejectedError(3, "it has no such method", "IC0536", certified=True), False),
        (RejectedError(5, "it is out of cycles", "IC0207", certified=True), True),
        (RejectedError(2, "too busy", None, certified=True), True),
        (RejectedError(5, "it is stopped", "IC0508", certified=True), True),
    ],
    ids=["trapped", "no method", "no cycles", "busy", "stopped"],
)
async def test_a_canister_that_cannot_say_whether_it_takes_writes_takes_none(
    failure: RejectedError, goes_through: bool
) -> None:
    class Failing(Backend):
        async def abort_memory_upload(self, upload_id: int) -> None:
            raise failure

    if not goes_through:
        assert not await Failing().health.takes_writes()
        return
    with pytest.raises(RejectedError) as caught:
        await Failing().health.takes_writes()
    assert caught.value is failure
