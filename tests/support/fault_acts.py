"""What admins and owners do in the middle of a creation: each act, and what takes it back.

Owns the acts and the moments at which they can happen. Does not own how a creation goes on (`fault_world`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import httpx

from canister_factory.candid.binding import to_candid
from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.contract.artifacts import backend_interface, backend_wasm, personal_interface, personal_wasm
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.import_models import PersonalInit
from canister_factory.factory.deployment import FREEZING_THRESHOLD_S, register_release
from canister_factory.ic.identity import Identity
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings, InstallMode, MemoryPersistence, UpgradeOptions
from support.broken_way import Break, BrokenWay, Chosen, Deliver
from support.fault_world import FaultWorld, Person

Undo = Callable[[], Awaitable[object]]
Act = Callable[[FaultWorld, Person], Awaitable[Undo | None]]
"""Does something at once; what it gives takes it back, some time later."""

A_WHILE_S = 90.0
"""How long something lasts that is taken back: longer than a run waits for it."""
STEPS = (
    "claim_creation",
    "provision_canister",
    "install_code",
    "import_batch",
    "verify_creation",
    "update_settings",
    "complete_creation",
)


@dataclass(frozen=True, slots=True)
class Moment:
    """Before a message of a creation is delivered, or after it was executed and before its answer is there."""

    step: str
    is_after: bool

    def __str__(self) -> str:
        return f"{'after' if self.is_after else 'before'} {self.step}"

    @property
    def has_canister(self) -> bool:
        return self >= Moment("provision_canister", True)

    @property
    def is_handed_over(self) -> bool:
        return self >= Moment("update_settings", True)

    def __ge__(self, other: Moment) -> bool:
        return (STEPS.index(self.step), self.is_after) >= (STEPS.index(other.step), other.is_after)


MOMENTS = tuple(Moment(step, is_after) for step in STEPS for is_after in (False, True))


class Disturbance:
    """An act at a moment; `chosen` is for the way of whoever runs the creation. Done once, whoever comes by later."""

    def __init__(self, world: FaultWorld, person: Person, act: Act, moment: Moment) -> None:
        self._world = world
        self._person = person
        self._act = act
        self._moment = moment
        self.done = False
        self._undoing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"Disturbance({self._act.__name__} {self._moment}, {'done' if self.done else 'to come'})"

    @property
    def chosen(self) -> Chosen:
        def choose(number: int, name: str) -> Break | None:
            return None if self.done or name != f"call {self._moment.step}" else self._disturb

        return choose

    async def _disturb(self, way: BrokenWay, deliver: Deliver) -> httpx.Response:
        self.done = True
        if not self._moment.is_after:
            await self._do()
            return await deliver()
        answer = await deliver()
        await self._do()
        return answer

    async def _do(self) -> None:
        undo = await self._act(self._world, self._person)
        if undo is not None:
            self._undoing = asyncio.create_task(self._later(undo))

    async def _later(self, undo: Undo) -> None:
        await asyncio.sleep(A_WHILE_S)
        await undo()

    async def over(self) -> None:
        """Returns when the act was taken back, if it is taken back."""
        if self._undoing is not None:
            await self._undoing


# --- of the backend and its admins -----------------------------------------------------------------------------------


async def backend_upgraded(world: FaultWorld, person: Person) -> None:
    """To the same build, as any other would be."""
    management = ManagementCanister(world.admin)
    await management.stop_canister(world.backend_id)
    mode = InstallMode(upgrade=UpgradeOptions(wasm_memory_persistence=MemoryPersistence.of("keep")))
    argument = encode(backend_interface().init_args, [None])
    await management.install(world.backend_id, backend_wasm().wasm, argument, mode=mode)
    await management.start_canister(world.backend_id)


async def backend_stopped(world: FaultWorld, person: Person) -> Undo:
    management = ManagementCanister(world.admin)
    await management.stop_canister(world.backend_id)
    return lambda: management.start_canister(world.backend_id)


async def backend_frozen(world: FaultWorld, person: Person) -> Undo:
    """As if its cycles were used up: what it has doesn't last for the time that it has to last for."""
    management = ManagementCanister(world.admin)
    frozen, usual = (CanisterSettings(freezing_threshold=seconds) for seconds in (10**15, FREEZING_THRESHOLD_S))
    await management.update_settings(world.backend_id, frozen)
    return lambda: management.update_settings(world.backend_id, usual)


async def creation_disabled(world: FaultWorld, person: Person) -> Undo:
    await world.as_admin.set_personal_canister_creation_enabled(False)
    return lambda: world.as_admin.set_personal_canister_creation_enabled(True)


async def release_revoked(world: FaultWorld, person: Person) -> Undo:
    await world.as_admin.revoke_release(personal_wasm().module_hash)
    return lambda: register_release(world.as_admin)


async def reserve_emptied(world: FaultWorld, person: Person) -> Undo:
    """All that is there has to stay for the backend itself."""
    settings = (await world.as_admin.get_reserve_status()).settings
    await world.as_admin.set_reserve_settings(settings.model_copy(update={"operating_minimum": 10**18}))
    return lambda: world.as_admin.set_reserve_settings(settings)


# --- of the owner ----------------------------------------------------------------------------------------------------


async def canister_of(person: Person) -> Principal:
    creation = await person.creation()
    assert creation.canister_id is not None, "there is no canister at this moment"
    return creation.canister_id


async def owner_stops(world: FaultWorld, person: Person) -> Undo:
    canister_id = await canister_of(person)
    await person.management.stop_canister(canister_id)
    return lambda: person.management.start_canister(canister_id)


async def owner_starts(world: FaultWorld, person: Person) -> None:
    await person.management.start_canister(await canister_of(person))


async def owner_deletes(world: FaultWorld, person: Person) -> None:
    canister_id = await canister_of(person)
    await person.management.stop_canister(canister_id)
    await person.management.delete_canister(canister_id)


async def owner_reinstalls(world: FaultWorld, person: Person) -> None:
    """The module of the factory, without data."""
    init = PersonalInit(owner=person.principal, backend=world.backend_id)
    argument = encode(personal_interface().init_args, [to_candid(PersonalInit, init)])
    await person.management.install(await canister_of(person), personal_wasm().wasm, argument, mode="reinstall")


async def owner_uninstalls(world: FaultWorld, person: Person) -> None:
    await person.management.uninstall_code(await canister_of(person))


async def owner_takes_control(world: FaultWorld, person: Person) -> None:
    await _set_controllers(person, person.principal)


async def owner_adds_a_stranger(world: FaultWorld, person: Person) -> None:
    stranger = Identity.generate().sender()
    operator = Principal(world.operator.sender().bytes)
    await _set_controllers(person, person.principal, operator, Principal(stranger.bytes))


async def owner_leaves(world: FaultWorld, person: Person) -> None:
    """Nobody controls it but the operator, or a stranger where the operator doesn't any more."""
    await _set_controllers(person, Principal(world.operator.sender().bytes))


async def let_operator_in(world: FaultWorld, person: Person) -> None:
    """Operator and owner control the canister again, if there is one."""
    if (await person.creation()).canister_id is not None:
        await _set_controllers(person, person.principal, Principal(world.operator.sender().bytes))


async def _set_controllers(person: Person, *controllers: Principal) -> None:
    settings = CanisterSettings(controllers=list(controllers))
    await person.management.update_settings(await canister_of(person), settings)


async def owner_cancels(world: FaultWorld, person: Person) -> None:
    with suppress(CreationRefused):  # it is too late for that
        await person.client.cancel_personal_canister()


async def owner_asks_again(world: FaultWorld, person: Person) -> None:
    assert (await person.client.create_personal_canister(None)).success


BACKEND_ACTS: tuple[Act, ...] = (backend_upgraded, backend_stopped, backend_frozen, creation_disabled)
ADMIN_DECISIONS: tuple[Act, ...] = (release_revoked, reserve_emptied)
"""After these an owner may have to ask again: somebody decided that nothing is to be created so."""
HARMLESS_ACTS: tuple[Act, ...] = (owner_starts, owner_asks_again)
CANISTER_ACTS: tuple[Act, ...] = (owner_stops, owner_deletes, owner_reinstalls, owner_uninstalls)
CANISTER_ACTS += (owner_takes_control, owner_adds_a_stranger, owner_leaves)
CHANGES_FOR_GOOD = (owner_deletes, owner_reinstalls, owner_uninstalls, owner_adds_a_stranger, owner_leaves)
