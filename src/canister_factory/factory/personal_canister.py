"""A personal canister as its operator handles it: certified facts, installation, handoff, clean-up.

Owns every call of the management canister. Does not own: its data (`target`, `verify`), and when each of this happens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import WasmModule, compatible
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import PersonalCanisterSettings, Release
from canister_factory.contract.import_models import PersonalInfo, PersonalInit
from canister_factory.factory import cycles_return
from canister_factory.factory.aside import Aside
from canister_factory.factory.errors import CreateError, HandoffError, InstallError
from canister_factory.factory.handoff import handoff_settings
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_record import OURS
from canister_factory.ic.agent import Agent
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import IcError, RejectedError
from canister_factory.ic.foreign_text import quoted
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.ic.task_group import task_group


class PersonalCanister:
    """One owner's canister. What it is told by others is never believed: controllers and module are read certified."""

    def __init__(self, agent: Agent, canister_id: Principal, owner: Principal, retry: Retry) -> None:
        self.agent = agent
        self.canister_id = canister_id
        self.owner = owner
        self.client = PersonalClient(agent, canister_id, repeat=retry)
        self.operator = Principal(agent.identity.sender().bytes)
        self.module_hash: bytes | None = None
        """What was found to run here, once this run has seen to it."""
        self._management = ManagementCanister(agent)
        self._retry = retry

    def __repr__(self) -> str:
        return f"PersonalCanister({self.canister_id} of {self.owner})"

    async def info(self) -> CanisterInfo:
        """Controllers and module hash, certified at this moment."""
        return await self._retry("canister_info", self.agent.canister_info, self.canister_id)

    def is_handed_over(self, info: CanisterInfo) -> bool:
        """Whether the owner alone controls it already. Never true for an owner who is the operator as well."""
        return set(info.controllers) == {self.owner} and self.owner != self.operator

    async def was_taken(self) -> bool:
        """Whether the owner has made themselves the only controller; not where that can't be learnt."""
        try:
            return self.is_handed_over(await self.agent.canister_info(self.canister_id))
        except IcError:
            return False

    @property
    def keepers(self) -> set[Principal]:
        """Who controls it until it is handed over."""
        return {self.operator, self.owner}

    def is_as_left(self, info: CanisterInfo, releases: Sequence[Release], *, was_installed: bool) -> bool:
        """Whether operator and owner control it, and nobody else, and its module is an approved one; it has to have one
        if one was installed.
        """
        approved = {release.module_hash for release in releases}
        is_right = info.module_hash in approved or (info.module_hash is None and not was_installed)
        return set(info.controllers) == self.keepers and is_right

    async def is_of_former_backend(self, info: CanisterInfo, backend: BackendClient) -> bool:
        """Whether it was installed when the backend, restored from a backup since, had another id: it would show its
        manifest to that one alone. `info`: its module, if any, is an approved one.
        """
        if info.module_hash is None:
            return False
        about = await self.client.get_personal_info()
        if about.owner != self.owner or about.backend == backend.canister_id:
            return False
        return about.backend in await backend.get_backend_ids()

    def check_controllers(self, info: CanisterInfo) -> None:
        """Sees to it that exactly operator and owner control it.

        Raises:
            CreateError: others do.
        """
        if set(info.controllers) != self.keepers:
            with_another = len(info.controllers) == 2 and self.owner in info.controllers
            way_on = "a retry by the owner puts this operator in its place" if with_another else "an admin must check"
            raise CreateError(
                f"the controllers of {self.canister_id} are {names(info.controllers)}, but must be exactly operator "
                f"and owner: {names(self.keepers)}; {way_on}",
                canister_id=self.canister_id,
                retry_helps=with_another,
            )

    async def install(
        self, module: WasmModule, init: PersonalInit, releases: Sequence[Release], info: CanisterInfo
    ) -> bool:
        """Sees to it that an approved module runs here; returns whether it was there already. `info`: what is certified
        of the canister just before.

        Never installs over another module: mode `install` of the network refuses that too, should two workers race.

        Raises:
            CreateError: the canister isn't controlled by exactly operator and owner.
            InstallError: the module to install isn't approved; or what runs here isn't, has an incompatible API, or
                belongs to another owner or backend.
            RejectedError: the network refused to install it.
        """
        approved = {release.module_hash for release in releases}
        self.check_controllers(info)
        if info.module_hash is None:
            self._check_approved(module, releases)
            argument = init.encoded()
            try:
                await self._retry("install", self._management.install, self.canister_id, module.wasm, argument)
            except RejectedError:
                # A call whose outcome was unknown may have installed it; what is there decides.
                if (await self.info()).module_hash is None:
                    raise
        async with Aside() as aside:  # asked at once; believed when it's known who answers
            version, about = aside.start(self.client.get_api_version()), aside.start(self.client.get_personal_info())
            installed = (await self.info()).module_hash
            if installed not in approved:
                raise InstallError(
                    f"{self.canister_id} runs the module {installed.hex() if installed else 'none'}, which isn't an "
                    "approved release; the canister was not changed. Clean it up, or register the release if it is one",
                    canister_id=self.canister_id,
                )
            self._check_version(await version)
            self._check_owner(await about, init)
        self.module_hash = installed
        return info.module_hash is not None

    def _check_approved(self, module: WasmModule, releases: Sequence[Release]) -> None:
        if module.module_hash not in {release.module_hash for release in releases}:
            raise InstallError(
                f"the personal canister's module {module.module_hash.hex()} is not an approved release of the "
                "backend; an admin has to register it (register_release)",
                canister_id=self.canister_id,
            )

    def _check_version(self, version: str) -> None:
        if not compatible(version):
            raise InstallError(
                f"{self.canister_id} has API version {quoted(version, 40)}, which this orchestrator can't import into",
                canister_id=self.canister_id,
            )

    def _check_owner(self, about: PersonalInfo, init: PersonalInit) -> None:
        if (about.owner, about.backend) != (init.owner, init.backend):
            raise InstallError(
                f"{self.canister_id} was initialized for owner {about.owner} and backend {about.backend}, not for "
                f"{init.owner} and {init.backend}; the canister was not changed",
                canister_id=self.canister_id,
            )

    async def start_over(self, module: WasmModule, init: PersonalInit, releases: Sequence[Release]) -> None:
        """Installs the module anew, without the data, where an import is final but out of date; nobody uses it yet.

        By one change of the canister's history, which the backend accepts: it takes no uninstalling for harmless.

        Raises:
            CreateError: the canister isn't controlled by exactly operator and owner.
            InstallError: the module isn't approved.
            RejectedError: the network refused to install it.
        """
        self.check_controllers(await self.info())
        self._check_approved(module, releases)
        install = self._management.install
        await self._retry("reinstall", install, self.canister_id, module.wasm, init.encoded(), mode="reinstall")

    async def set_controllers(self, operator: Principal) -> None:
        """Makes this operator and the owner the controllers, as one of those that are.

        Raises:
            RejectedError: the caller is none of them.
        """
        settings = CanisterSettings(controllers=list({operator, self.owner}))
        try:
            await self._retry("update_settings", self._management.update_settings, self.canister_id, settings)
        except RejectedError:
            # An earlier attempt that went through leaves its sender without the right to repeat it.
            if set((await self.info()).controllers) != {operator, self.owner}:
                raise

    async def tidy(self) -> None:
        """Leaves no stored chunks and no snapshots to the owner, who would pay for them; and no record of an upgrade,
        from which the owner's first one would go on.
        """
        async with task_group() as group:
            group.create_task(self._retry("clear_chunk_store", self._management.clear_chunk_store, self.canister_id))
            group.create_task(self._delete_snapshots())
            group.create_task(self._forget_upgrades())

    async def _forget_upgrades(self) -> None:
        management = self._management
        status = await self._retry("canister_status", management.canister_status, self.canister_id)
        variables = status.settings.environment_variables or []
        others = [variable for variable in variables if not variable.name.startswith(OURS)]
        if len(others) < len(variables):
            await self._set(CanisterSettings(environment_variables=others), None)

    async def _delete_snapshots(self) -> None:
        management = self._management
        snapshots = await self._retry("list_canister_snapshots", management.list_canister_snapshots, self.canister_id)
        for snapshot in snapshots:
            await self._retry(
                "delete_canister_snapshot", management.delete_canister_snapshot, self.canister_id, snapshot.id
            )

    async def hand_over(
        self,
        info: CanisterInfo,
        hosting: PersonalCanisterSettings,
        permitted_until: int | None,
        viewer: Principal | None = None,
    ) -> None:
        """Makes the owner the only controller of a canister with known settings, in one change. It's done until
        `permitted_until` or not at all, since after that the source may take writes again; nanoseconds since 1970.
        `info`: what is certified of the canister just before. `viewer`: who, besides the owner, is to see the
        canister's status; left out where the network doesn't take that.

        Raises:
            CreateError: before, the canister wasn't controlled by exactly operator and owner.
            HandoffError: it has no module; or the controllers could not be set.
        """
        self.check_controllers(info)
        if info.module_hash is None:
            raise HandoffError(
                f"{self.canister_id} has no module any more: a controller has uninstalled it",
                canister_id=self.canister_id,
                retry_helps=True,
            )
        try:
            await self._set(handoff_settings(self.owner, hosting, viewer), permitted_until)
        except RejectedError as error:
            # An earlier attempt that went through leaves us without the right to repeat it.
            after = await self.info()
            if not self.is_handed_over(after) and viewer is not None:
                await self.hand_over(after, hosting, permitted_until)
            elif not self.is_handed_over(after):
                raise HandoffError(
                    f"the controllers of {self.canister_id} could not be set: {error}",
                    canister_id=self.canister_id,
                    retry_helps=True,
                    cause=error,
                ) from error

    async def _set(self, settings: CanisterSettings, latest_ns: int | None) -> None:
        management = self._management
        await self._retry(
            "update_settings", management.update_settings, self.canister_id, settings, latest_ns=latest_ns
        )

    async def handed_over(self) -> CanisterInfo:
        """Reads back that the owner alone controls the canister. What runs there is theirs from then on; whether it was
        replaced before, the backend judges by the history.

        Raises:
            HandoffError: the controllers are others.
        """
        info = await self.info()
        if set(info.controllers) != {self.owner}:
            raise HandoffError(
                f"after the handoff {self.canister_id} is controlled by {names(info.controllers)}, not by "
                f"{self.owner} alone",
                canister_id=self.canister_id,
            )
        return info

    async def clean_up(self, backend_id: Principal) -> int:
        """Deletes the canister of a creation that failed for good; returns the cycles that went back to the backend.

        Raises:
            CreateError: the canister isn't controlled by exactly operator and owner (any more).
            CreationRefused: the backend doesn't take the cycles; nothing was deleted, and nothing is lost.
            RejectedError: the same; or the network refused a step.
        """
        self.check_controllers(await self.info())
        return await self._give_back_and_delete(backend_id)

    async def discard(self, backend_id: Principal) -> int:
        """Deletes a canister that can't become its owner's, whoever else controls it; as `clean_up`.

        Raises:
            CreateError: the operator doesn't control it any more.
        """
        info = await self.info()
        if self.operator not in info.controllers:
            raise CreateError(
                f"{self.canister_id} is controlled by {names(info.controllers)}, not by this operator",
                canister_id=self.canister_id,
            )
        return await self._give_back_and_delete(backend_id)

    async def _give_back_and_delete(self, backend_id: Principal) -> int:
        """Each step may be repeated: cycles that went back aren't there any more, so they do so once."""
        order = cycles_return.to_backend(backend_id)
        returned = cycles_return.returned(await cycles_return.emptied(self.agent, self._retry, self.canister_id, order))
        for method in (self._management.stop_canister, self._management.delete_canister):
            await self._retry(method.__name__, method, self.canister_id)
        return returned


def names(principals: Iterable[Principal]) -> str:
    """Principals in their order, for a message."""
    return ", ".join(sorted(map(str, principals))) or "nobody"
