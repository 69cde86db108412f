"""What a plan asks, and what it makes of the answers and of what isn't told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.contract.admin_models import ErrorRate
from canister_factory.contract.clients import BackendClient
from canister_factory.contract.creation_models import (
    Admission,
    AdmittedPage,
    CreationErrorKind,
    CreationStatus,
    DetailedCreationStatus,
    OpenRequestPage,
    OwnerPageRequest,
    Release,
)
from canister_factory.contract.errors import CreationRefused
from canister_factory.contract.quota_models import QuotaStatus, Usage
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import CanisterState
from canister_factory.factory.plan_facts import Content, Facts, look
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import CanisterNotFoundError
from canister_factory.ic.identity import Identity
from support.backend_script import BACKEND, OWNER, BackendScript, refusal
from support.planned import CANISTER, MODULE, NOW_NS, OPERATOR, creation, facts, office

NOTHING: dict[str, int] = dict.fromkeys(Usage.model_fields, 0)


class Backend(BackendScript):
    """Answers owners; refuses the staff's things. `most_at_once`: questions that waited together."""

    def __init__(self, found: DetailedCreationStatus | None = None, **used: int) -> None:
        self.asked: list[str] = []
        self.waiting = self.most_at_once = 0
        self.identity = Identity.generate()
        self.found = found
        self.used = Usage(**(NOTHING | {"capsules": 1} | used))
        self.gone = False

    def clock(self) -> int:
        return NOW_NS

    async def query(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        self.asked.append(method)
        self.waiting += 1
        self.most_at_once = max(self.most_at_once, self.waiting)
        await asyncio.sleep(0)  # whoever asks besides does it now
        self.waiting -= 1
        return await self.update(canister_id, method, arg)

    async def canister_info(self, canister_id: Principal) -> CanisterInfo:
        if self.gone:
            raise CanisterNotFoundError(f"there is no {canister_id}")
        return CanisterInfo((OPERATOR, OWNER), None)

    async def get_detailed_creation_status(self) -> DetailedCreationStatus | None:
        return self.found

    async def get_user_creation_status(self, user: Principal) -> DetailedCreationStatus | None:
        return self.found

    async def get_reserve_status(self) -> None:
        raise refusal(CreationErrorKind.Unauthorized)

    async def get_user_quota(self, user: Principal) -> QuotaStatus:
        raise refusal(CreationErrorKind.Unauthorized)

    async def get_my_quota(self) -> QuotaStatus:
        return QuotaStatus(limits=self.used, used=self.used)

    async def is_personal_canister_creation_enabled(self) -> bool:
        return True

    async def get_admission(self) -> Admission:
        return Admission.Listed

    async def list_releases(self) -> list[Release]:
        return [Release(module_hash=MODULE, api_version="1.0.0", registered_at=0, note="")]


async def facts_of(backend: Backend, owner: Principal | None = None) -> Facts:
    """As the owner, unless another one is given."""
    agent: Any = backend
    client = BackendClient(agent, BACKEND)
    return await look(client, agent, owner or backend.identity.sender(), FactoryConfig())


async def test_an_owner_gets_the_facts_without_the_offices() -> None:
    backend = Backend(content_bytes=4_096, memories=2, galleries=1)
    found = await facts_of(backend)
    assert (found.office, found.creation, found.canister) == (None, None, None)
    assert found.content == Content(4_096, 4, is_exact=True)
    assert (found.admission, found.releases, found.now_ns) == (Admission.Listed, frozenset({MODULE}), NOW_NS)


async def test_what_does_not_depend_on_another_answer_is_asked_at_once() -> None:
    backend = Backend()
    await facts_of(backend)
    assert backend.most_at_once == len(backend.asked) == 6
    staff = Staff()
    await facts_of(staff, OWNER)
    assert staff.most_at_once == 7, "all that only the staff is told, once the first answer shows that it is"
    assert len(staff.asked) == len(set(staff.asked)) + 1 == 14, "the list of admitted owners has two pages"


async def test_others_than_the_staff_are_told_nothing_of_another() -> None:
    with pytest.raises(CreationRefused, match="Unauthorized"):
        await facts_of(Backend(), OWNER)


@pytest.mark.parametrize(
    ("used", "content"),
    [
        ({"capsules": 0}, Content(0, 1, is_exact=True, has_capsule=False)),
        ({"capsules": 2, "content_bytes": 64}, Content(64, 1, is_exact=False)),
        ({"uploads": 1, "content_bytes": 64}, Content(64, 1, is_exact=False)),
    ],
)
async def test_a_size_that_may_be_less_is_said_to_be_at_most(used: dict[str, int], content: Content) -> None:
    assert (await facts_of(Backend(None, **used))).content == content


async def test_a_canister_is_looked_at_and_its_deletion_found() -> None:
    backend = Backend(creation(CreationStatus.Installing, canister_id=CANISTER))
    found = (await facts_of(backend)).canister
    assert found is not None
    assert (found.problem, found.is_as_left, found.stored.size) == (None, True, 0)
    backend.gone = True
    gone = (await facts_of(backend)).canister
    assert gone is not None
    assert gone.info is None
    assert gone.problem is not None
    assert gone.problem.state == CanisterState.DELETED


async def test_an_empty_canister_that_had_a_module_is_not_as_a_creation_left_it() -> None:
    found = (await facts_of(Backend(creation(CreationStatus.Importing, canister_id=CANISTER)))).canister
    assert found is not None
    assert not found.is_as_left


async def test_a_request_waits_where_it_is_not_among_the_open_ones_or_says_so_to_its_owner() -> None:
    requested = creation(CreationStatus.NotStarted)
    assert facts(creation=requested, office=office()).waits
    assert not facts(creation=requested, office=None).waits
    told = requested.model_copy(update={"progress_message": "Requested; waits for approval by an admin."})
    assert facts(creation=told, office=None).waits


class Staff(Backend):
    """Tells the staff everything; the list of admitted owners has two pages."""

    async def get_reserve_status(self) -> Any:
        return office().reserve

    async def get_user_quota(self, user: Principal) -> QuotaStatus:
        return await self.get_my_quota()

    async def list_admitted(self, page: OwnerPageRequest) -> AdmittedPage:
        first = Principal(b"\x01")
        if page.after is None:
            return AdmittedPage(items=[first], next=first, total=2)
        return AdmittedPage(items=[OWNER], total=2)

    async def list_waiting_requests(self, page: OwnerPageRequest) -> Any:
        return OpenRequestPage(items=[])

    list_open_requests = list_waiting_requests

    async def get_personal_canister_settings(self) -> Any:
        return office().hosting

    async def get_creation_limits(self) -> Any:
        return office().limits

    async def list_operators(self) -> list[Principal]:
        return [OPERATOR]

    async def get_error_rate(self, window_ns: int | None) -> ErrorRate:
        return ErrorRate(window_ns=window_ns or 0, attempts=7, failures=0)


async def test_the_staff_is_told_the_offices_facts() -> None:
    found = (await facts_of(Staff(), OWNER)).office
    assert found is not None
    assert (found.reserve, found.is_listed, found.attempts_in_hour) == (office().reserve, True, 7)
    assert (found.operators, found.request, found.in_progress) == (frozenset({OPERATOR}), None, 0)
