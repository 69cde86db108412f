"""The stages where the chain is not as usual: no release, a busy backend, a canister that was handed over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import personal_wasm
from canister_factory.contract.creation_models import (
    CreationErrorKind,
    CreationStatus,
    DetailedCreationStatus,
    LeaseRef,
    ProvisionResult,
    Release,
    VerificationReport,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.import_models import ImportLimits
from canister_factory.contract.manifest_models import CapsuleManifest, ItemRef, ManifestPage
from canister_factory.factory.errors import CanisterState, CanisterStateError, InstallError
from canister_factory.factory.events import Event, Provisioned, StageDone, StageStarted
from canister_factory.factory.lease import Lease
from canister_factory.factory.run import Run
from canister_factory.factory.stages import DEFAULT_LIMITS, Stages
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import CanisterNotFoundError
from canister_factory.ic.identity import Identity
from support.backend_script import OWNER, BackendScript, Clock, creation, refusal, run_on
from support.personal_script import manifest_of

CANISTER = Principal(bytes(7) + b"\x05\x01\x01")
MANIFEST = manifest_of()


class Backend(BackendScript):
    """A backend that keeps what it is asked. Its creation's canister is the owner's alone already."""

    identity = Identity.generate()

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.releases = [Release(module_hash=personal_wasm().module_hash, api_version="1", registered_at=0, note="")]
        self.busy = 0
        self.refusal = refusal(CreationErrorKind.Busy, "an earlier call is under way")
        self.differences: list[str] = []
        self.exists = True
        self.module: bytes | None = personal_wasm().module_hash
        self.on_verify: Callable[[], None] = lambda: None

    @property
    def changed(self) -> list[Any]:
        """What it was asked, but for the releases, which are asked for beside the rest."""
        return [each for each in self.asked if each != "list_releases"]

    async def canister_info(self, canister_id: Principal) -> CanisterInfo:
        if not self.exists:
            raise CanisterNotFoundError(str(canister_id))
        return CanisterInfo((OWNER,), self.module)

    async def begin_export(self, lease: LeaseRef, lock: bool) -> CapsuleManifest:
        self.asked.append(("begin_export", lock))
        return MANIFEST

    async def list_releases(self) -> list[Release]:
        self.asked.append("list_releases")
        return self.releases

    async def provision_canister(self, lease: LeaseRef) -> ProvisionResult:
        self.asked.append("provision_canister")
        if self.busy > 0:
            self.busy -= 1
            raise self.refusal
        return ProvisionResult(canister_id=CANISTER, cycles=1, is_new=False)

    async def renew_lease(self, lease: LeaseRef) -> int:
        self.asked.append("renew_lease")
        return 0

    async def list_export_entries(self, lease: LeaseRef, after: ItemRef | None, limit: int | None) -> ManifestPage:
        return ManifestPage(entries=[], next=None, revision=MANIFEST.revision)

    async def verify_creation(self, lease: LeaseRef) -> VerificationReport:
        self.asked.append("verify_creation")
        self.on_verify()
        equal = not self.differences
        return VerificationReport(matches=equal, source=MANIFEST, target=MANIFEST, differences=self.differences)

    async def complete_creation(self, lease: LeaseRef) -> DetailedCreationStatus:
        self.asked.append("complete_creation")
        return creation(CreationStatus.Completed)


def stages_of(
    backend: Backend, run: Run, which: DetailedCreationStatus, manifest: CapsuleManifest | None = MANIFEST
) -> Stages:
    return Stages(run, which, manifest, Lease(run), asyncio.ensure_future(backend.list_releases()))


def stages_on(backend: Backend, clock: Clock, **options: Any) -> Stages:
    run = run_on(backend, clock, **options)
    return stages_of(backend, run, creation())


def test_the_limits_of_a_personal_canister_are_the_contract_s_defaults() -> None:
    hour_ns = 3_600_000_000_000
    assert (
        ImportLimits(max_chunk_bytes=2_000_000, max_import_bytes=100_000_000, session_timeout_ns=hour_ns)
        == DEFAULT_LIMITS
    )


async def test_a_module_that_is_no_release_ends_the_stages_before_cycles_are_spent() -> None:
    backend, clock, events = Backend(), Clock(), list[Any]()
    backend.releases = []
    stages = stages_on(backend, clock, emit=events.append)
    with pytest.raises(InstallError, match="No cycles were spent"):
        await stages.run()
    assert stages.stage == CreationStatus.Creating
    assert backend.asked == ["list_releases"]
    started = [event.stage for event in events if isinstance(event, StageStarted)]
    assert started == [CreationStatus.Exporting, CreationStatus.Creating]
    assert clock.slept == []


async def test_a_busy_backend_is_waited_for_while_the_lease_is_renewed() -> None:
    backend, clock = Backend(), Clock()
    backend.busy, backend.exists = 2, False
    stages = stages_on(backend, clock, attempts=3, backoff_seconds=1)
    with pytest.raises(CanisterNotFoundError):
        await stages.run()
    assert stages.canister_id == CANISTER
    assert backend.changed == ["provision_canister", "renew_lease"] * 2 + ["provision_canister"]
    assert clock.slept == [2, 4]


async def test_what_is_not_busy_is_not_waited_for() -> None:
    backend, clock = Backend(), Clock()
    backend.busy, backend.refusal = 99, refusal(CreationErrorKind.ReserveInsufficient, "no cycles")
    with pytest.raises(CreationRefused, match="no cycles"):
        await stages_on(backend, clock, attempts=4).run()
    assert backend.asked.count("provision_canister") == 1
    assert clock.slept == []


async def test_a_backend_that_stays_busy_ends_the_run_after_all_attempts() -> None:
    backend, clock = Backend(), Clock()
    backend.busy = 99
    with pytest.raises(CreationRefused, match="an earlier call is under way"):
        await stages_on(backend, clock, attempts=4, backoff_seconds=1).run()
    assert backend.asked.count("provision_canister") == 4
    assert clock.slept == [2, 4, 8]


async def test_a_canister_that_was_handed_over_is_only_compared_and_completed() -> None:
    backend, clock, events = Backend(), Clock(), list[Event]()
    backend.on_verify = lambda: setattr(clock, "now", 5.0)
    outcome = await stages_on(backend, clock, emit=events.append).run()
    assert backend.changed == ["provision_canister", "verify_creation", "complete_creation"]
    assert outcome.creation == creation(CreationStatus.Completed)
    assert outcome.controllers_before == outcome.controllers_after == {OWNER}
    assert (outcome.seconds, outcome.bytes_moved, outcome.transfer_seconds) == (5.0, 0, 0.0)
    skipped = {event.stage: event.skipped for event in events if isinstance(event, StageDone)}
    assert skipped == {
        CreationStatus.Exporting: False,
        CreationStatus.Creating: True,
        CreationStatus.Importing: True,
        CreationStatus.Verifying: False,
        CreationStatus.Completed: False,
    }
    assert [event for event in events if isinstance(event, Provisioned)] == [
        Provisioned(CANISTER, frozenset({OWNER}), 1, False)
    ]
    assert outcome.source_manifest == outcome.target_manifest == MANIFEST.manifest_hash


@pytest.mark.parametrize("module", [personal_wasm().module_hash, None], ids=["as it was", "uninstalled by its owner"])
async def test_a_canister_that_was_verified_and_handed_over_is_only_completed(module: bytes | None) -> None:
    backend, clock = Backend(), Clock()
    backend.module = module
    run = run_on(backend, clock)
    verified = creation().model_copy(update={"verified": True})
    outcome = await stages_of(backend, run, verified).run()
    assert backend.changed == ["provision_canister", "complete_creation"]
    assert outcome.creation == creation(CreationStatus.Completed)
    assert outcome.module_hash == module


async def test_a_claim_without_a_manifest_lets_the_backend_say_why() -> None:
    backend, clock = Backend(), Clock()
    backend.releases = []
    run = run_on(backend, clock)
    with pytest.raises(InstallError):
        await stages_of(backend, run, creation(), None).run()
    assert backend.asked == [("begin_export", False), "list_releases"]


async def test_what_differs_is_named_and_completes_nothing() -> None:
    backend = Backend()
    backend.differences = ["memory a", "gallery b"]
    with pytest.raises(CanisterStateError, match=r"'admin clear .*\(memory a; gallery b\)") as raised:
        await stages_on(backend, Clock()).run()
    assert (raised.value.state, raised.value.kind) == (CanisterState.OWNERS_ALONE, CreationErrorKind.VerifyFailed)
    assert "complete_creation" not in backend.asked
