"""How failures are worded for the contract."""

from __future__ import annotations

import pytest

from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import CreationError, CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.factory.config import FactoryConfig
from canister_factory.factory.errors import (
    CanisterState,
    CanisterStateError,
    CreateError,
    FactoryError,
    InstallError,
    to_creation_error,
)
from canister_factory.factory.personal_canister import PersonalCanister
from canister_factory.factory.retry import Retry
from canister_factory.ic.errors import RejectedError
from canister_factory.ic.identity import Identity
from support.backend_script import OWNER
from support.one_canister import ID, own_canister
from support.one_canister import OWNER as CANISTER_OWNER


@pytest.mark.parametrize(
    ("stage", "kind"),
    [
        (CreationStatus.Exporting, CreationErrorKind.ImportFailed),
        (CreationStatus.Creating, CreationErrorKind.CreateFailed),
        (CreationStatus.Installing, CreationErrorKind.InstallFailed),
        (CreationStatus.Importing, CreationErrorKind.ImportFailed),
        (CreationStatus.Verifying, CreationErrorKind.VerifyFailed),
    ],
)
def test_a_rejection_is_a_failure_of_the_stage_where_it_happened(
    stage: CreationStatus, kind: CreationErrorKind
) -> None:
    recorded = to_creation_error(RejectedError(5, "trapped", certified=True), stage, OWNER)
    assert (recorded.kind, recorded.stage, recorded.canister_id, recorded.retry_helps) == (kind, stage, OWNER, False)
    assert "trapped" in recorded.message


def test_a_refusal_of_the_reserve_keeps_its_kind_and_amounts() -> None:
    error = CreationError(
        kind=CreationErrorKind.ReserveInsufficient, message="short", needed=5, available=3, retry_helps=True
    )
    recorded = to_creation_error(CreationRefused("provision_canister", error), CreationStatus.Creating, None)
    assert (recorded.kind, recorded.needed, recorded.available) == (CreationErrorKind.ReserveInsufficient, 5, 3)


def test_a_refused_chunk_names_limit_and_value() -> None:
    error = CapsuleError.model_validate({"LimitExceeded": {"what": "bytes of a chunk", "limit": 10, "actual": 2000}})
    recorded = to_creation_error(CapsuleRefused("put_memory_chunks", error), CreationStatus.Importing, None)
    assert "bytes of a chunk is 2,000, above the limit of 10" in recorded.message


def test_our_own_errors_keep_their_kind_whatever_the_stage() -> None:
    recorded = to_creation_error(InstallError("another module"), CreationStatus.Importing, None)
    assert (recorded.kind, recorded.message) == (CreationErrorKind.InstallFailed, "another module")


def test_the_text_of_a_defect_is_not_published() -> None:
    recorded = to_creation_error(KeyError("secret"), CreationStatus.Importing, None)
    assert "secret" not in recorded.message
    assert "KeyError" in recorded.message
    assert recorded.retry_helps is False, "somebody has to read the log first"


RETRY_HELPS = {
    "LeaseLostError": (True, "whoever has the lease now gives it back"),
    "PausedError": (True, "it goes on when an admin lets it"),
    "ExportError": (True, "queries aren't certified: the next answer may be another replica's"),
    "SourceMovedError": (True, "the owner has stopped writing"),
    "VerifyError": (True, "what differs is copied again"),
    "BoundsError": (True, "the next run has its time anew"),
    "CanisterStateError": (
        True,
        "once the owner has set it right, as the message says; not where it is deleted",
    ),
    "CreateError": (False, "somebody else controls the canister; where the owner's retry changes that it says so"),
    "InstallError": (False, "the same module stays unapproved, or somebody else's"),
    "UpgradeError": (False, "the same module stays unfit, and the canister without cycles, until somebody acts"),
    "HandoffError": (False, "others control the canister; where it may be sent again it says so"),
    "PriceTableError": (False, "the same prices stay another network's"),
    "HistoryError": (False, "what was done to a canister stays done"),
    "CreationFailedError": (False, "it has the flag of what is on record"),
}
"""Whether a retry helps, and why, where the error itself doesn't say otherwise."""


def kinds(root: type[FactoryError]) -> dict[str, bool]:
    found = {root.__name__: root.retry_helps}
    for kind in root.__subclasses__():
        if kind.__module__ == FactoryError.__module__:
            found |= kinds(kind)
    return found


def test_every_error_of_the_factory_says_whether_a_retry_helps_and_why_is_known() -> None:
    found = kinds(FactoryError)
    del found["FactoryError"]
    stopped = CanisterStateError("words", CanisterState.STOPPED, stage=CreationStatus.Importing, canister_id=ID)
    found["CanisterStateError"] = stopped.retry_helps
    assert found == {name: helps for name, (helps, _) in RETRY_HELPS.items()}


@pytest.mark.parametrize(("others", "helps"), [(1, True), (2, False)], ids=["one operator", "more"])
async def test_a_canister_of_another_operator_is_set_right_by_the_owners_retry_and_no_other(
    others: int, helps: bool
) -> None:
    network = own_canister()
    network.controllers = (CANISTER_OWNER, *(Identity.generate().sender() for _ in range(others)))
    canister = PersonalCanister(network, ID, CANISTER_OWNER, Retry(FactoryConfig()))
    with pytest.raises(CreateError) as caught:
        canister.check_controllers(await canister.info())
    assert caught.value.retry_helps is helps
    assert ("a retry by the owner" in caught.value.message) is helps
