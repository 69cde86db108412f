"""How failures are worded for the contract."""

from __future__ import annotations

import pytest

from canister_factory.contract.capsule_models import CapsuleError
from canister_factory.contract.creation_models import CreationError, CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.factory.errors import InstallError, to_creation_error
from canister_factory.ic.errors import RejectedError
from support.backend_script import OWNER


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
