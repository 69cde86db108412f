"""What a plan goes by: what is on record, in the canister and in the reserve, as far as the caller may know it.

Owns the questions, which are queries and certified reads only. Does not own: what follows from the answers
(`plan`, `plan_refusals`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import ReserveStatus
from canister_factory.contract.clients import BackendClient, PersonalClient
from canister_factory.contract.creation_models import (
    Admission,
    AdmittedPage,
    CreationErrorKind,
    CreationLimits,
    CreationStatus,
    DetailedCreationStatus,
    OpenRequest,
    OwnerPageRequest,
    PersonalCanisterSettings,
    Release,
)
from canister_factory.contract.errors import ContractError, CreationRefused
from canister_factory.contract.import_models import ImportState
from canister_factory.contract.pages import Kept, pages
from canister_factory.contract.quota_models import Usage
from canister_factory.factory import condition
from canister_factory.factory.config import NS_PER_SECOND, FactoryConfig
from canister_factory.factory.errors import CanisterStateError
from canister_factory.factory.listing import open_requests
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.retry import Retry
from canister_factory.factory.target import Target
from canister_factory.ic.agent import Agent
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import CanisterNotFoundError, IcError
from canister_factory.ic.task_group import task_group

T = TypeVar("T")
MOST_WAITING = 1_000
"""Requests that may wait for approval (`Admission.mostWaiting` of the backend)."""
_HOUR_NS = 3_600 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Content:
    """How large the owner's capsule is: bytes of contents, and how many items. `is_exact`: else it is this at most,
    since other capsules or uploads of the owner's are counted too. `has_capsule`: false where there surely is none.
    """

    size: int
    items: int
    is_exact: bool
    has_capsule: bool = True


@dataclass(frozen=True, slots=True)
class Stored:
    """What a half-done canister holds of the capsule already. `None` of `session`: no import was begun."""

    size: int
    items: int
    session: ImportState | None
    is_known: bool = True
    """False where only the creation's last report tells: the canister doesn't answer the caller."""


NOTHING = Stored(0, 0, None)


@dataclass(frozen=True, slots=True)
class Canister:
    """The creation's canister as it is. `info` is certified, `None` when it was deleted."""

    info: CanisterInfo | None
    problem: CanisterStateError | None = None
    is_handed_over: bool = False
    is_as_left: bool = True
    """Whether operator and owner control it, and its module is an approved one, or none where none has to be."""
    stored: Stored = NOTHING


@dataclass(frozen=True, slots=True)
class Office:
    """What only admins and operators are told."""

    reserve: ReserveStatus
    hosting: PersonalCanisterSettings
    limits: CreationLimits
    operators: frozenset[Principal]
    in_progress: int
    attempts_in_hour: int
    waiting: int
    is_listed: bool
    request: OpenRequest | None
    """The owner's, with its lease."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan goes by. `caller` plans for `owner`; `office` is `None` for those who aren't told."""

    caller: Principal
    owner: Principal
    now_ns: int
    creation: DetailedCreationStatus | None
    content: Content
    enabled: bool
    admission: Admission
    releases: frozenset[bytes]
    canister: Canister | None = None
    office: Office | None = None
    config: FactoryConfig = field(default_factory=FactoryConfig)

    @property
    def status(self) -> CreationStatus | None:
        """Of the creation; `None` before the owner has asked."""
        return None if self.creation is None else self.creation.status

    @property
    def is_undone(self) -> bool:
        """Whether the owner has taken the capsule back: a request is for another canister then."""
        return self.status == CreationStatus.Undone

    @property
    def waits(self) -> bool:
        """Whether the request waits for approval: the staff is told so, its owner reads it in the message."""
        creation = self.creation
        if creation is None or creation.status != CreationStatus.NotStarted:
            return False
        if self.office is not None:
            return self.office.request is None
        return "waits for approval" in creation.progress_message


async def look(backend: BackendClient, agent: Agent, owner: Principal, config: FactoryConfig) -> Facts:
    """Asks the backend, and the network about the creation's canister, all at once, without changing anything.

    Raises:
        CreationRefused: the caller may not know of another's creation (kind Unauthorized).
        IcError: a query failed.
    """
    caller = Principal(agent.identity.sender().bytes)
    is_own = caller == owner
    asked = backend.get_detailed_creation_status() if is_own else backend.get_user_creation_status(owner)
    async with task_group() as group:
        creation, releases = group.create_task(asked), group.create_task(backend.list_releases())
        canister = group.create_task(_canister(agent, creation, releases, config))
        quota = group.create_task(backend.get_my_quota() if is_own else backend.get_user_quota(owner))
        office = group.create_task(_office(backend, owner, is_own=is_own))
        enabled = group.create_task(backend.is_personal_canister_creation_enabled())
        admission = group.create_task(backend.get_admission())
    return Facts(
        caller=caller,
        owner=owner,
        now_ns=agent.clock(),
        creation=creation.result(),
        content=_content(quota.result().used, creation.result()),
        enabled=enabled.result(),
        admission=admission.result(),
        releases=frozenset(release.module_hash for release in releases.result()),
        canister=canister.result(),
        office=office.result(),
        config=config,
    )


async def _allowed(call: Awaitable[T]) -> T | None:
    """What the call answers; `None` where the caller isn't told.

    Raises:
        CreationRefused: it is refused for another reason.
    """
    try:
        return await call
    except CreationRefused as refusal:
        if refusal.error.kind != CreationErrorKind.Unauthorized:
            raise
        return None


async def _office(backend: BackendClient, owner: Principal, *, is_own: bool) -> Office | None:
    """What the staff is told; `None` to owners. Others are refused."""
    reserve = await (_allowed(backend.get_reserve_status()) if is_own else backend.get_reserve_status())
    if reserve is None:
        return None
    async with task_group() as group:
        waiting = group.create_task(backend.list_waiting_requests(OwnerPageRequest(limit=MOST_WAITING)))
        requests = group.create_task(_requests(backend))
        hosting = group.create_task(backend.get_personal_canister_settings())
        limits = group.create_task(backend.get_creation_limits())
        operators = group.create_task(backend.list_operators())
        rate = group.create_task(backend.get_error_rate(_HOUR_NS))
        is_listed = group.create_task(_is_listed(backend, owner))
    return Office(
        reserve=reserve,
        hosting=hosting.result(),
        limits=limits.result(),
        operators=frozenset(operators.result()),
        in_progress=len(requests.result()),
        attempts_in_hour=rate.result().attempts,
        waiting=len(waiting.result().items),
        is_listed=is_listed.result(),
        request=next((request for request in requests.result() if request.owner == owner), None),
    )


async def _requests(backend: BackendClient) -> list[OpenRequest]:
    return [request async for request in open_requests(backend)]


async def _is_listed(backend: BackendClient, owner: Principal) -> bool:
    """Whether the owner is on the list of those who get a canister."""

    async def fetch(after: Principal | None) -> AdmittedPage:
        return await backend.list_admitted(OwnerPageRequest(after=after, limit=1_000))

    async for page in pages(fetch, Kept("the list of admitted owners")):
        if owner in page.items:
            return True
    return False


def _content(used: Usage, creation: DetailedCreationStatus | None) -> Content:
    """By the owner's quota: a capsule's own size is told to nobody but its owner and, once it is leased, its operator.

    The quota rounds each chunk up to 16 bytes, and counts all capsules and uploads of the owner.
    """
    is_exact = used.capsules <= 1 and used.uploads == 0
    manifest = creation.source_manifest if creation is not None else None
    if manifest is not None and (not is_exact or creation_is_over(creation)):
        items = 1 + manifest.memories + manifest.galleries + manifest.connections + manifest.connection_groups
        return Content(manifest.content_size, items, is_exact=True)
    return Content(used.content_bytes, 1 + used.memories + used.galleries, is_exact, has_capsule=used.capsules > 0)


def creation_is_over(creation: DetailedCreationStatus | None) -> bool:
    """Whether it has its canister for good."""
    return creation is not None and creation.status == CreationStatus.Completed


async def _canister(
    agent: Agent,
    found: Awaitable[DetailedCreationStatus | None],
    listed: Awaitable[Sequence[Release]],
    config: FactoryConfig,
) -> Canister | None:
    """The canister of the creation; `None` where it has none, or where its owner keeps it beside an undone creation."""
    creation, releases = await found, await listed
    if creation is None or creation.canister_id is None or creation.status == CreationStatus.Undone:
        return None
    personal = PersonalCanister(agent, creation.canister_id, creation.owner, Retry(config))
    personal.operator = creation.operator or personal.operator
    problem = await condition.behind(None, personal, creation.status)
    try:
        info = await agent.canister_info(creation.canister_id)
    except CanisterNotFoundError:
        return Canister(None, problem)
    if creation_is_over(creation):
        return Canister(info, is_handed_over=True)
    if personal.is_handed_over(info):
        missing = None if creation.verified else await _missing(personal.client, info)
        if missing is not None and problem is None:
            problem = condition.owners_alone(personal, creation.status, [missing])
        return Canister(info, problem, is_handed_over=True)
    was_installed = creation.status in (CreationStatus.Importing, CreationStatus.Verifying)
    return Canister(
        info,
        problem,
        is_as_left=personal.is_as_left(info, releases, was_installed=was_installed),
        stored=await _stored(personal.client, creation, config) if info.module_hash and not problem else NOTHING,
    )


async def _missing(client: PersonalClient, info: CanisterInfo) -> str | None:
    """Why a canister that its owner has taken can't hold the capsule; `None` where it may."""
    if info.module_hash is None:
        return "no module is installed in it"
    try:
        state = (await client.get_personal_info()).import_state
    except (ContractError, IcError):
        return None
    return None if state == ImportState.Completed else "its import is not final"


async def _stored(client: PersonalClient, creation: DetailedCreationStatus, config: FactoryConfig) -> Stored:
    """What the canister has of the capsule: it tells so to its owner and controllers; others go by the last report."""
    target = Target(client, config)
    try:
        async with task_group() as group:
            latest, held = group.create_task(target.latest()), group.create_task(target.entries())
    except (ContractError, IcError):
        progress = creation.progress
        return Stored(progress.bytes_done, progress.items_done, None, is_known=False)
    session, entries = latest.result(), held.result()
    size = sum(entry.size for entry in entries.values())
    received = session.bytes_received if session is not None else 0
    return Stored(max(size, received), len(entries), session.state if session is not None else None)
