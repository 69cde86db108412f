"""Deletes an owner's canister: after a look at the backup, and with its cycles sent to another canister first.

Owns what must be true before, and the order. Does not own: sending the cycles (`factory.cycles_return`), and backups
(`backup_files`). Killed anywhere, the same call goes on; what was sent isn't there to be sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from canister_factory.candid.principal import Principal
from canister_factory.contract.clients import PersonalClient
from canister_factory.factory import cycles_return
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.retry import Retry
from canister_factory.ic.agent import Agent
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import OUT_OF_CYCLES, CanisterNotFoundError, CertificateScopeError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.owner.backup_files import BackupDirectory, State
from canister_factory.owner.capsule_side import certified_root
from canister_factory.owner.control import Controllers
from canister_factory.owner.errors import ControlError


@dataclass(frozen=True, slots=True)
class Doomed:
    """What is about to be deleted, as its controller sees it: cycles, bytes of memory, and whether it still has the
    module that an earlier, unfinished call found there.
    """

    cycles: int
    memory_size: int
    is_whole: bool


class Deletion:
    """Of one canister, by one of its controllers.

    Args:
        cycles_to: the canister that gets the cycles; `None`: they are burned.
        backup: must have all of the capsule; `None`: nobody asks for one.
        on_bytes: told how many bytes of the backup more were read.
    """

    def __init__(
        self,
        agent: Agent,
        canister_id: Principal,
        cycles_to: Principal | None,
        backup: BackupDirectory | None,
        on_bytes: Callable[[int], None] = lambda _more: None,
    ) -> None:
        self._agent = agent
        self._canister_id = canister_id
        self._cycles_to = cycles_to
        self._backup = backup
        self._on_bytes = on_bytes
        self._retry = Retry(FactoryConfig())
        self._controllers = Controllers(agent, canister_id)

    def __repr__(self) -> str:
        return f"Deletion({self._canister_id})"

    async def check(self) -> Doomed:
        """Refuses what mustn't be deleted; nothing is changed.

        Raises:
            ControlError: the caller doesn't control it, there is nobody to take the cycles, or the backup isn't whole
                and current.
            BackupError: the backup can't be read.
            IcError: that can't be learnt.
        """
        await self._controllers.own()
        await self._check_receiver()
        status = await ManagementCanister(self._agent).canister_status(self._canister_id, certified=False)
        is_whole = status.module_hash not in (None, cycles_return.MODULE_HASH)
        if is_whole and self._backup is not None:
            state = _newest(self._backup)
            self._check_whole(self._backup, state)
            await self._check_current(self._backup, state)
        return Doomed(status.cycles, status.memory_size, is_whole)

    async def _check_receiver(self) -> None:
        if self._cycles_to is None:
            return
        if self._cycles_to == self._canister_id:
            raise ControlError(f"the cycles of {self._canister_id} can't go to itself; nothing was changed")
        try:
            await self._retry("canister_info", self._agent.canister_info, self._cycles_to)
        except (CanisterNotFoundError, CertificateScopeError) as error:
            raise ControlError(
                f"there is no canister {self._cycles_to} on {self._agent.network.url} to take the cycles; nothing was "
                "changed"
            ) from error

    def _check_whole(self, backup: BackupDirectory, state: State) -> None:
        for size, damage in backup.damages(state):
            self._on_bytes(size)
            if damage is not None:
                raise ControlError(f"the backup is damaged: {damage[0]}: {damage[1]}. Nothing was changed")

    async def _check_current(self, backup: BackupDirectory, state: State) -> None:
        """Compares the newest state with what is in the canister now, certified."""
        client = PersonalClient(self._agent, self._canister_id, repeat=self._retry)
        try:
            held = await certified_root(client, self._agent.certificates, self._agent.clock())
        except RejectedError as error:
            if error.error_code == OUT_OF_CYCLES:
                error.add_note("It is frozen, and can't be compared with the backup; nothing was changed")
            raise
        if state.manifest.manifest_hash != held:
            raise ControlError(
                f"{backup.path} isn't up to date: what is in the canister, {held.hex()[:16]}…, isn't its newest state. "
                "Make another backup; nothing was changed"
            )

    async def run(self) -> int:
        """Sends the cycles, and deletes the canister. Returns how many were sent by this call.

        Raises:
            ControlError: something was written since the backup; nothing was changed.
            RejectedError: the network refused a step, or the other canister doesn't take the cycles.
            IcError: a step failed; the same call goes on.
        """
        management = ManagementCanister(self._agent)
        if self._backup is not None and await self._is_whole():
            await self._check_current(self._backup, _newest(self._backup))
        sent = 0
        if self._cycles_to is not None:
            order = cycles_return.to_canister(self._cycles_to)
            sent, _ = cycles_return.sent(
                await cycles_return.emptied(self._agent, self._retry, self._canister_id, order)
            )
        else:
            unbound = CanisterSettings(freezing_threshold=0)
            await self._retry("update_settings", management.update_settings, self._canister_id, unbound)
        for step in (management.stop_canister, management.delete_canister):
            await self._retry(step.__name__, step, self._canister_id)
        return sent

    async def _is_whole(self) -> bool:
        info: CanisterInfo = await self._retry("canister_info", self._agent.canister_info, self._canister_id)
        return info.module_hash not in (None, cycles_return.MODULE_HASH)


def _newest(backup: BackupDirectory) -> State:
    state = backup.latest()
    if state is None:
        raise ControlError(f"{backup.path} has no state yet: its backup isn't finished. Nothing was changed")
    return state
