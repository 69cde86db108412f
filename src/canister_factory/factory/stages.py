"""The stages of one creation, in order. Each finds out from the chain what is done already and does the rest.

Owns the effects and their order (docs: "A creation, stage by stage"). Does not own: the lease around them, what a
failure leads to (`orchestrator`), and the copy itself (`copying`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    CreationErrorKind,
    CreationProgress,
    CreationStatus,
    DetailedCreationStatus,
    ProvisionResult,
    Release,
    VerificationReport,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.import_models import ImportLimits, ImportState, PersonalInit
from canister_factory.contract.manifest_models import CapsuleManifest
from canister_factory.factory.aside import Aside
from canister_factory.factory.bounds import Extent
from canister_factory.factory.condition import check_taken, owners_alone
from canister_factory.factory.config import NS_PER_SECOND
from canister_factory.factory.copying import Copied, Copying, ReadAhead, read_ahead
from canister_factory.factory.errors import InstallError, SourceMovedError, VerifyError
from canister_factory.factory.events import (
    HandedOver,
    Provisioned,
    StageDone,
    StageStarted,
    Transferred,
    Verified,
)
from canister_factory.factory.lease import Lease
from canister_factory.factory.manifest import totals
from canister_factory.factory.outcome import Outcome
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.run import Run
from canister_factory.factory.source import LeasedSource
from canister_factory.factory.target import Target
from canister_factory.factory.verify import Held, held_by, verify
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.task_group import task_group

DEFAULT_LIMITS = ImportLimits(
    max_chunk_bytes=2_000_000, max_import_bytes=100_000_000, session_timeout_ns=3_600 * NS_PER_SECOND
)
_ORDER = list(CreationStatus)
_PERMIT_LEFT_NS = 30 * NS_PER_SECOND  # what the handoff needs; with less it isn't begun


class CanisterGivenUp(Exception):  # noqa: N818 - no error: the creation goes on with another canister
    """The backend gave up a canister whose history has become too long to be told whole."""


class Stages:
    """One attempt at one creation. `stage` and `canister_id` say where it is, for whoever reports a failure.

    `releases`: the backend's releases, asked for beside the claim.
    """

    def __init__(
        self,
        run: Run,
        creation: DetailedCreationStatus,
        manifest: CapsuleManifest | None,
        lease: Lease,
        releases: Awaitable[list[Release]],
    ) -> None:
        self.stage = creation.status
        self.canister_id = creation.canister_id
        self.personal: PersonalCanister | None = None
        self._run = run
        self._lease = lease
        self._name = creation.config.name
        self._reached = creation.status
        self._source = LeasedSource(run.backend, lease.ref, run.config)
        self._transferred = Transferred(0, 0, 0, 0, run.config.start_window)
        self._outcome = Outcome(creation, traffic=run.traffic)
        self._manifest = manifest
        self._permitted_until: int | None = None
        self._releases = releases
        self._aside = Aside()
        self._ahead: asyncio.Task[ReadAhead] | None = None
        self._reported_at = run.clock()  # as much as a report says was on record at the claim
        self._backend_once = BackendClient(run.agent, run.backend.canister_id)

    def __repr__(self) -> str:
        return f"Stages({self._run.owner}, {self.stage}, canister {self.canister_id})"

    @property
    def extent(self) -> Extent:
        """How large the capsule is, as far as is known."""
        frozen, copied = self._manifest, self._transferred
        size, items = copied.bytes_total, copied.items_total
        if frozen is not None:
            counted = frozen.memories + frozen.galleries + frozen.connections + frozen.connection_groups
            size, items = max(size, frozen.content_size), max(items, counted)
        return Extent(size, items)

    async def run(self) -> Outcome:
        """From wherever the creation stands to Completed.

        Raises:
            FactoryError: a stage failed: what is found on the chain isn't what has to be there.
            CreationRefused: the backend refused a step.
            CapsuleRefused: the personal canister refused a step.
            ContractMismatchError: a canister's answer isn't of the contract's type.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        started = self._run.clock()
        async with self._aside:
            manifest = await self._export()
            if self.canister_id is None:
                self._ahead = self._aside.start(read_ahead(self._source, self._run))
            while True:
                try:
                    personal = await self._move(manifest)
                    break
                except CanisterGivenUp:
                    self.canister_id = None
            await self._hand_over(personal)
            await self._complete(personal)
        self._outcome.seconds = self._run.clock() - started
        return self._outcome

    async def _move(self, manifest: CapsuleManifest) -> PersonalCanister:
        """The canister that has the capsule, verified.

        Raises:
            CanisterGivenUp: another canister is to have it.
        """
        personal, info = await self._create()
        if personal.is_handed_over(info):
            self._run.emit(StageDone(CreationStatus.Importing, "the owner alone controls it already", skipped=True))
            self._outcome.target_manifest = manifest.manifest_hash
            self.stage = CreationStatus.Verifying
            if not self._outcome.creation.verified:
                await self._verify_by_backend(personal)
        else:
            try:
                target = Target(personal.client, self._run.config)
                copying = Copying(self._run, self._source, target, self._report_transfer)
                early = None
                if self._ahead is not None and info.module_hash is None:
                    early = self._aside.start(copying.copy_new(self._ahead))
                await self._install(personal, info, manifest)
                await self._import(personal, manifest, target, copying, early)
            except Exception:
                if not await personal.was_taken():
                    raise
                await self._verify_by_backend(personal)
        return personal

    # --- Exporting ---

    async def _export(self) -> CapsuleManifest:
        """What the claim has begun; where there was no capsule, the backend says so."""
        self._enter(CreationStatus.Exporting)
        manifest = self._manifest = self._manifest or await self._source.freeze(lock=False)
        self._outcome.source_manifest = manifest.manifest_hash
        self._leave(f"{manifest.memories} memories, {manifest.content_size:,} bytes, revision {manifest.revision}")
        return manifest

    # --- Creating ---

    async def _create(self) -> tuple[PersonalCanister, CanisterInfo]:
        """The canister, and what the network certifies of it."""
        self._enter(CreationStatus.Creating)
        if self.canister_id is None:
            await self._check_release()
        provisioned = await self._provision()
        self.canister_id = provisioned.canister_id
        personal = PersonalCanister(self._run.agent, provisioned.canister_id, self._run.owner, self._run.retry)
        self.personal = personal
        self._releases = self._aside.start(self._run.backend.list_releases())  # beside what the network certifies
        info = await personal.info()
        self._outcome.controllers_before = frozenset(info.controllers)
        self._run.emit(
            Provisioned(provisioned.canister_id, frozenset(info.controllers), provisioned.cycles, provisioned.is_new)
        )
        self._leave(str(provisioned.canister_id), skipped=not provisioned.is_new)
        return personal, info

    async def _check_release(self) -> None:
        """Before any cycles are spent: the module that would be installed is approved."""
        approved = {release.module_hash for release in await self._releases}
        module_hash = self._run.module.module_hash
        if module_hash not in approved:
            raise InstallError(
                f"the personal canister's module {module_hash.hex()} is not an approved release of the backend; an "
                "admin has to register it (register_release). No cycles were spent"
            )

    async def _provision(self) -> ProvisionResult:
        """The canister of this creation. While an earlier call is under way, the backend is busy: then we wait."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._run.backend.provision_canister(self._lease.ref)
            except CreationRefused as refusal:
                if refusal.error.kind != CreationErrorKind.Busy or attempt >= self._run.config.attempts:
                    raise
            await self._lease.renew()
            await self._run.sleep(self._run.config.backoff_seconds * 2**attempt)

    # --- Installing ---

    async def _install(self, personal: PersonalCanister, info: CanisterInfo, manifest: CapsuleManifest) -> None:
        self._enter(CreationStatus.Installing)
        self._report("Installing the canister's module.")
        releases = await self._releases
        was_installed = _ORDER.index(self._reached) > _ORDER.index(CreationStatus.Installing)
        if not personal.is_as_left(info, releases, was_installed=was_installed):
            await self.ask_to_start_over()  # where somebody else was at it, the backend ends this canister
        elif await personal.is_of_former_backend(info, self._run.backend):
            await self._start_over(personal, manifest, "it was installed for the backend by its former id")
        was_installed = await personal.install(self._run.module, self._init(manifest), releases, info)
        self._leave("module and API version are right", skipped=was_installed)

    def _init(self, manifest: CapsuleManifest) -> PersonalInit:
        wanted = max(DEFAULT_LIMITS.max_import_bytes, manifest.content_size + self._run.config.import_margin_bytes)
        most = DEFAULT_LIMITS.model_copy(update={"max_import_bytes": wanted})
        return PersonalInit(owner=self._run.owner, backend=self._run.backend.canister_id, name=self._name, limits=most)

    # --- Importing and verifying ---

    async def _import(
        self,
        personal: PersonalCanister,
        manifest: CapsuleManifest,
        target: Target,
        copying: Copying,
        early: asyncio.Task[Copied] | None,
    ) -> None:
        """Copies and compares, until both sides are equal. The owner may write meanwhile; if they did each time, the
        last changes are copied under the write lock. `early`: the copy to a new canister, which waits for it.
        """
        self._enter(CreationStatus.Importing)
        self._report("Copying the capsule.")
        copying.target_is_ready()
        copied = await (early or self._first_copy(copying, personal, manifest, target))
        tries = 1
        while True:
            self._outcome.bytes_moved, self._outcome.transfer_seconds = copied.bytes_moved, copied.seconds
            counted = totals(copied.listing.entries.values())
            size = f"{counted.memories} memories, {counted.content_size:,} bytes"
            self._leave("the import is final and up to date" if copied.skipped else size, skipped=copied.skipped)
            self._enter(CreationStatus.Verifying)
            report, held = await self._compare(personal, target)
            if report.matches:
                break
            if report.source.revision == copied.listing.revision:
                raise VerifyError(f"the backend finds that both sides differ: {'; '.join(report.differences)}")
            self._enter(CreationStatus.Importing, "the owner wrote meanwhile")
            copied = await copying.copy(lock=tries >= self._run.config.free_verifications)
            tries += 1
        agent = self._run.agent
        equal = verify(report.source, copied.listing.entries, held, agent.certificates, agent.clock)
        self._run.emit(
            Verified(equal.source_manifest, equal.target_manifest, equal.totals.memories, equal.totals.content_size)
        )

    async def _first_copy(
        self, copying: Copying, personal: PersonalCanister, manifest: CapsuleManifest, target: Target
    ) -> Copied:
        if (latest := await target.latest()) is not None and latest.state == ImportState.Completed:
            final = await personal.client.get_manifest()
            with suppress(SourceMovedError):  # then it is copied
                listing = await self._source.listing()
                if (final.manifest.manifest_hash, listing.revision) == (manifest.manifest_hash, manifest.revision):
                    return Copied(listing, skipped=True)
        elif (latest or await target.begin()).limits.max_import_bytes < manifest.content_size:
            await self._start_over(personal, manifest, "the capsule outgrew the canister's import limit")
            await target.begin()
        return await copying.copy(lock=False)

    async def _start_over(self, personal: PersonalCanister, manifest: CapsuleManifest, why: str) -> None:
        self._run.emit(StageStarted(CreationStatus.Installing, f"starting over: {why}"))
        await self.ask_to_start_over()
        module, init, releases = self._run.module, self._init(manifest), await self._run.backend.list_releases()
        await personal.start_over(module, init, releases)
        await personal.install(module, init, releases, await personal.info())

    async def ask_to_start_over(self) -> None:
        """Lets the backend judge what was done to the canister so far.

        Raises:
            CreationRefused: something was done that no creation does; the creation has failed (kind HistoryFailed).
            CanisterGivenUp: its history is too long to start over.
        """
        try:
            is_short = await self._run.backend.start_over(self._lease.ref)
        except CreationRefused as refusal:
            if refusal.error.kind == CreationErrorKind.Busy:  # sealed for a handoff: then a verification judges it
                await self._run.backend.verify_creation(self._lease.ref)
            raise
        if not is_short:
            self._reached = max(self._reached, self.stage, key=_ORDER.index)  # what is on record doesn't go back
            raise CanisterGivenUp

    async def _compare(self, personal: PersonalCanister, target: Target) -> tuple[VerificationReport, Held]:
        """What the backend finds, and what the target says that it holds, for our own judgement; beside them the
        canister is made as its owner is to have it.
        """
        async with task_group() as group:
            asked = group.create_task(self._ask_backend())
            held = group.create_task(held_by(target))
            group.create_task(personal.tidy())
        return asked.result(), held.result()

    async def _verify_by_backend(self, personal: PersonalCanister) -> None:
        """Of a canister that was handed over already."""
        self.stage = CreationStatus.Verifying
        await check_taken(personal, self.stage)
        report = await self._ask_backend()
        if not report.matches:
            raise owners_alone(personal, self.stage, report.differences)

    async def _ask_backend(self) -> VerificationReport:
        """The backend asks the target itself, under the write lock; this is what it will complete on."""
        report = await self._run.backend.verify_creation(self._lease.ref)
        self._permitted_until = report.handoff_until
        self._outcome.source_manifest = report.source.manifest_hash
        self._outcome.target_manifest = report.target.manifest_hash
        return report

    # --- Handing over ---

    async def _hand_over(self, personal: PersonalCanister) -> None:
        if (until := self._permitted_until) is not None and until - self._run.agent.clock() < _PERMIT_LEFT_NS:
            await self._verify_by_backend(personal)
        hosting = self._aside.start(self._run.backend.get_personal_canister_settings())
        info = await personal.info()
        if not personal.is_handed_over(info):
            viewer = self._run.backend.canister_id if self._outcome.creation.config.show_status else None
            await personal.hand_over(info, await hosting, self._permitted_until, viewer)
        self._run.emit(HandedOver(personal.canister_id, frozenset({personal.owner}), info.module_hash))
        self._leave("both sides are equal, the owner alone controls the canister")

    # --- Completed ---

    async def _complete(self, personal: PersonalCanister) -> None:
        """The backend completes what it finds handed over; beside that, the handoff is read back."""
        self._enter(CreationStatus.Completed)
        async with task_group() as group:
            seen = group.create_task(personal.handed_over())
            completed = group.create_task(self._run.backend.complete_creation(self._lease.ref))
        info, self._outcome.creation = seen.result(), completed.result()
        self._outcome.controllers_after = frozenset(info.controllers)
        self._outcome.module_hash = info.module_hash
        self._leave()

    # --- Telling ---

    def _enter(self, stage: CreationStatus, detail: str = "") -> None:
        self.stage = stage
        self._run.emit(StageStarted(stage, detail))

    def _leave(self, detail: str = "", *, skipped: bool = False) -> None:
        self._run.emit(StageDone(self.stage, detail, skipped))

    def _report(self, message: str) -> None:
        """Moves the recorded stage forward; it never goes back, so a resumed run is silent until it has caught up
        with where the creation stood. Nothing waits for a report: it goes beside the work, and may be lost. Of a stage
        that is over within the pause between two reports, the record tells when it comes to the next message.
        """
        now = self._run.clock()
        waited = now - self._reported_at >= self._run.config.progress_seconds
        if not waited or _ORDER.index(self.stage) < _ORDER.index(self._reached):
            return
        self._reported_at = now
        done = self._transferred
        progress = CreationProgress(
            stage=self.stage,
            bytes_done=done.bytes_done,
            bytes_total=done.bytes_total,
            items_done=done.items_done,
            items_total=done.items_total,
        )
        self._aside.start(self._backend_once.report_progress(self._lease.ref, progress, message))

    def _report_transfer(self, transferred: Transferred) -> None:
        self._transferred = transferred
        self._report(f"Copied {transferred.bytes_done:,} of {transferred.bytes_total:,} bytes.")
