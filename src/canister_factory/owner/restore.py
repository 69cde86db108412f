"""Puts a state of a backup into a fresh canister of the owner's, where nothing is believed until both sides are equal.

Owns what canister may take it. Does not own: the copy (`factory.copy_pass`), the judgement (`factory.verify`), and the
files (`backup_files`). Killed anywhere, the same call goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import WasmModule
from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.import_models import ImportLimits, ImportState, PersonalInfo, PersonalInit
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.copy_pass import CopyPass
from canister_factory.factory.difference import difference
from canister_factory.factory.errors import VerifyError
from canister_factory.factory.events import EventHook, ignore
from canister_factory.factory.run import Run
from canister_factory.factory.source import Source
from canister_factory.factory.stages import DEFAULT_LIMITS
from canister_factory.factory.target import Target
from canister_factory.factory.verify import Verification, check_certificate, held_by, verify
from canister_factory.ic.agent import Agent
from canister_factory.ic.management import ManagementCanister
from canister_factory.owner.backup_files import BackupDirectory, BackupReader, State
from canister_factory.owner.errors import RestoreError
from canister_factory.owner.kept_settings import kept

LARGEST_IMPORT = 60_000_000_000
"""Bytes of contents that a personal canister takes at most."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did; `was_there`: the canister had all of it before."""

    verification: Verification
    bytes: int
    was_there: bool


class Restore:
    """One restore into one canister: `run` is called once.

    Args:
        agent: calls as the owner, who controls the canister.
        canister_id: a canister without a module, or one that an earlier call left unfinished.
        directory, state: what is restored; all of it has been checked.
        module: what to install; of a release that imports this kind of capsule.
    """

    def __init__(
        self,
        agent: Agent,
        canister_id: Principal,
        directory: BackupDirectory,
        state: State,
        module: WasmModule,
        config: FactoryConfig,
        *,
        emit: EventHook = ignore,
    ) -> None:
        self._agent = agent
        self._canister_id = canister_id
        self._directory = directory
        self._state = state
        self._module = module
        self._emit = emit
        about = directory.about
        self._run = Run.start(agent, about.backend, about.owner, module, config, emit=emit)
        self._client = PersonalClient(agent, canister_id, repeat=self._run.retry)

    def __repr__(self) -> str:
        return f"Restore({self._directory} to {self._canister_id})"

    async def run(self) -> Restored:
        """Installs, sets, imports and compares.

        Raises:
            RestoreError: the canister, or the caller, isn't the right one.
            VerifyError: both sides aren't equal in the end.
            CapsuleRefused: the canister refused what the backup has.
            RejectedError: the network refused a step; with `OUT_OF_CYCLES`, the canister needs more for its freezing
                threshold.
            IcError: a call failed for good, or more often than it may be repeated.
        """
        was_there = await self._is_finished(await self._install())
        target, moved = Target(self._client, self._run.config), 0
        source = Source(BackupReader(self._directory, self._state), self._run.config)
        listing = await source.listing()
        if not was_there:
            await self._set()
            await target.begin()
            pending, held = await target.pending(), await target.entries()
            todo = difference(listing.entries, held, pending)
            copy_pass = CopyPass(self._run, source, target, self._emit)
            moved = (await copy_pass.copy(listing.entries, todo, pending, self._is_current)).bytes
        held_now, agent = await held_by(target), self._agent
        verification = verify(self._state.manifest, listing.entries, held_now, agent.certificates, agent.clock)
        return Restored(verification, moved, was_there)

    async def _is_current(self) -> bool:
        return True  # nobody writes a backup's state

    async def _install(self) -> PersonalInfo:
        """Sees to it that the module runs here, for this owner; what the canister says of itself."""
        about = self._directory.about
        caller = Principal(self._agent.identity.sender().bytes)
        if caller != about.owner:
            raise RestoreError(f"this is a backup of {about.owner}'s capsule, and you are {caller}")
        info = await self._agent.canister_info(self._canister_id)
        if set(info.controllers) != {caller}:
            names = ", ".join(sorted(map(str, info.controllers))) or "nobody"
            raise RestoreError(
                f"{self._canister_id} is controlled by {names}; a capsule is restored into a canister that its owner "
                "alone controls"
            )
        if info.module_hash is None:
            init = PersonalInit(
                owner=about.owner,
                backend=about.backend,
                name=self._state.name,
                limits=_limits(self._state.manifest.content_size),
            )
            await ManagementCanister(self._agent).install(self._canister_id, self._module.wasm, init.encoded())
        elif info.module_hash != self._module.module_hash:
            raise RestoreError(
                f"{self._canister_id} runs another module, {info.module_hash.hex()}; nothing was changed. A capsule is "
                "restored into a canister without a module"
            )
        found = await self._client.get_personal_info()
        if (found.owner, found.backend) != (about.owner, about.backend):
            raise RestoreError(
                f"{self._canister_id} was initialized for owner {found.owner} and backend {found.backend}; nothing was "
                "changed"
            )
        return found

    async def _set(self) -> None:
        """Gives the canister the settings of the one that the backup is of; its controllers stay.

        Before it has the capsule: later its owner may have set others. What the network doesn't certify is no word on
        who controls the canister, whatever the file says (`kept`).
        """
        if self._state.settings is not None:
            update = ManagementCanister(self._agent).update_settings
            await self._run.retry("update_settings", update, self._canister_id, kept(self._state.settings))

    async def _is_finished(self, found: PersonalInfo) -> bool:
        """Whether the import is final with this state.

        Raises:
            RestoreError: it is with another one.
        """
        if found.import_state != ImportState.Completed:
            return False
        held = await self._client.get_manifest()
        try:
            imported = check_certificate(held, self._canister_id, self._agent.certificates, self._agent.clock())
        except VerifyError as error:
            raise RestoreError(f"{self._canister_id} has a capsule that nobody can judge: {error}") from error
        wanted = self._state.manifest.manifest_hash
        if {imported.manifest_hash, held.manifest.manifest_hash} == {wanted}:
            return True
        raise RestoreError(
            f"{self._canister_id} has a capsule already, of the manifest {held.manifest.manifest_hash.hex()[:16]}…; "
            "nothing was changed. Restore into another canister"
        )


def _limits(content_bytes: int) -> ImportLimits:
    wanted = max(DEFAULT_LIMITS.max_import_bytes, content_bytes)
    return DEFAULT_LIMITS.model_copy(update={"max_import_bytes": min(LARGEST_IMPORT, wanted)})
