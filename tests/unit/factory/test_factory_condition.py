"""What explains a failure: what was done to the canister, and nothing that wasn't."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.types import TEXT
from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CapsuleRefused
from canister_factory.factory.condition import JUDGED, behind, look, owners_alone
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import CanisterState, CanisterStateError, VerifyError
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.retry import Retry
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import CanisterNotFoundError, IcError, RejectedError, TransportError
from support.backend_script import refusal
from support.one_canister import ID, OWNER, STRANGER, OneCanister

STAGE = CreationStatus.Importing
RIGHT, OTHER = b"m" * 32, b"o" * 32
FAILURE = VerifyError("they differ")


class Network(OneCanister):
    """Its canister answers, or rejects; `certified` is what can't be learnt of it."""

    def __init__(self) -> None:
        super().__init__(module=RIGHT)
        self.controllers = (self.me, OWNER)
        self.rejection: Exception | None = None
        self.certified: Exception | None = None
        self.asked: list[str] = []

    async def canister_info(self, canister_id: Principal) -> CanisterInfo:
        self.asked.append("canister_info")
        if self.certified is not None:
            raise self.certified
        return await super().canister_info(canister_id)

    async def query(self, canister_id: Any, method: str, arg: bytes) -> bytes:
        self.asked.append(method)
        if self.rejection is not None:
            raise self.rejection
        return encode([TEXT], ["1.0.0"])


def canister_on(network: Any, module: bytes | None = RIGHT) -> PersonalCanister:
    canister = PersonalCanister(network, ID, OWNER, Retry(FactoryConfig()))
    canister.module_hash = module
    return canister


async def state_of(network: Network, error: Exception = FAILURE) -> CanisterStateError | None:
    return await behind(error, canister_on(network), STAGE)


async def test_a_canister_as_it_should_be_explains_nothing() -> None:
    network = Network()
    assert await state_of(network) is None
    assert network.asked == ["canister_info", "get_api_version"]


@pytest.mark.parametrize(
    ("others", "module", "state"),
    [
        ((OWNER, STRANGER), RIGHT, CanisterState.OTHER_CONTROLLERS),
        ((STRANGER,), RIGHT, CanisterState.OTHER_CONTROLLERS),
        ((OWNER,), OTHER, CanisterState.OTHER_MODULE),
        ((OWNER,), None, CanisterState.UNINSTALLED),
    ],
)
async def test_certified_facts_are_named_and_nothing_is_asked_of_the_canister(
    others: tuple[Principal, ...], module: bytes | None, state: CanisterState
) -> None:
    network = Network()
    network.controllers, network.module = (network.me, *others), module
    found = await state_of(network)
    assert found is not None
    assert (found.state, found.kind, found.stage) == (state, CreationErrorKind.ImportFailed, STAGE)
    assert found.context["state"] == state.value
    assert found.state in JUDGED
    assert str(ID) in found.message
    assert found.retry_helps
    assert network.asked == ["canister_info"]


async def test_a_canister_that_nobody_controls_is_named() -> None:
    network = Network()
    network.controllers = ()
    with pytest.raises(CanisterStateError, match="nobody controls the canister") as raised:
        await look(canister_on(network), STAGE)
    assert raised.value.state is CanisterState.BLACKHOLED


async def test_before_it_is_known_what_runs_there_any_module_is_as_it_should_be() -> None:
    network = Network()
    network.module = OTHER
    assert await behind(FAILURE, canister_on(network, None), STAGE) is None


async def test_a_deleted_canister_is_named_and_a_retry_does_not_help() -> None:
    network = Network()
    network.certified = CanisterNotFoundError("gone")
    found = await state_of(network)
    assert found is not None
    assert (found.state, found.retry_helps) == (CanisterState.DELETED, False)
    assert f"'cleanup {OWNER}'" in found.message


@pytest.mark.parametrize(
    ("rejection", "state"),
    [
        (RejectedError(5, "stopped", "IC0508", certified=False), CanisterState.STOPPED),
        (RejectedError(5, "stopping", "IC0509", certified=False), CanisterState.STOPPED),
        (RejectedError(2, "frozen", "IC0207", certified=False), CanisterState.FROZEN),
    ],
)
@pytest.mark.parametrize("alone", [False, True], ids=["before the handoff", "after it"])
async def test_a_canister_that_does_not_work_is_named(rejection: Exception, state: CanisterState, alone: bool) -> None:
    network = Network()
    network.rejection = rejection
    network.controllers = (OWNER,) if alone else network.controllers
    found = await state_of(network)
    assert found is not None
    assert (found.state, found.retry_helps) == (state, True)
    assert "retry goes on with it" in found.message
    assert found.__class__ is CanisterStateError


@pytest.mark.parametrize(
    "failure", [RejectedError(5, "trapped", "IC0503", certified=False), TransportError("cut"), IcError("lost")]
)
async def test_what_says_nothing_of_the_canister_explains_nothing(failure: Exception) -> None:
    network = Network()
    network.rejection = failure
    assert await state_of(network) is None
    network.certified = TransportError("cut")
    assert await state_of(network) is None


@pytest.mark.parametrize("kind", ["HistoryFailed", "Cancelled"])
async def test_what_the_backend_has_settled_is_not_explained_again(kind: str) -> None:
    network = Network()
    network.certified = CanisterNotFoundError("gone")
    assert await state_of(network, refusal(CreationErrorKind(kind))) is None
    assert network.asked == []


async def test_what_has_a_name_keeps_it() -> None:
    network = Network()
    named = owners_alone(canister_on(network), STAGE, ["memory a"])
    assert await state_of(network, named) is named
    assert network.asked == []


@pytest.mark.parametrize(
    ("error", "stage", "state"),
    [
        ({"NotFound": {"kind": "import session", "id": "1"}}, STAGE, CanisterState.REINSTALLED),
        ({"MissingChunks": {"memory_id": "m", "missing": [0]}}, STAGE, CanisterState.REINSTALLED),
        ({"NotFound": {"kind": "import session", "id": "1"}}, CreationStatus.Verifying, None),
        ({"InvalidArgument": {"field": "x", "reason": "y"}}, STAGE, None),
    ],
)
async def test_contents_that_are_gone_while_they_are_copied_are_named(
    error: dict[str, Any], stage: CreationStatus, state: CanisterState | None
) -> None:
    refused = CapsuleRefused("put_items", CapsuleError.model_validate(error))
    found = await behind(refused, canister_on(Network()), stage)
    assert (found and found.state) == state


async def test_whoever_owns_and_operates_has_only_one_name() -> None:
    network = Network()
    network.controllers = (network.me,)
    mine = PersonalCanister(network, ID, network.me, Retry(FactoryConfig()))  # type: ignore[arg-type]
    assert await behind(FAILURE, mine, STAGE) is None
