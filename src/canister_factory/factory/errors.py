"""The factory's errors, and their form in the contract, so that the owner and the admins see what happened.

Owns which failure is which kind at which stage. Does not own: errors of the layers below, which it translates.
"""

from __future__ import annotations

from enum import StrEnum

from canister_factory.base_error import CanisterFactoryError
from canister_factory.candid.errors import CandidError
from canister_factory.candid.principal import Principal
from canister_factory.contract.creation_models import CreationError, CreationErrorKind, CreationStatus
from canister_factory.contract.errors import ContractError, CreationRefused
from canister_factory.ic.errors import IcError
from canister_factory.ic.foreign_text import quoted

MAX_RECORDED_CHARACTERS = 900
"""The longest message of a failure on record: a quotation and our own words around it. The backend cuts at 1,000."""

KIND_OF_STAGE = {
    CreationStatus.Exporting: CreationErrorKind.ImportFailed,
    CreationStatus.Creating: CreationErrorKind.CreateFailed,
    CreationStatus.Installing: CreationErrorKind.InstallFailed,
    CreationStatus.Importing: CreationErrorKind.ImportFailed,
    CreationStatus.Verifying: CreationErrorKind.VerifyFailed,
    CreationStatus.Completed: CreationErrorKind.HandoffFailed,
}
"""The kind of a failure at a stage that isn't of a kind of its own."""


class FactoryError(CanisterFactoryError):
    """Base of the orchestrator's own failures. `kind`: its name in the contract's `CreationErrorKind`.

    `stage` and `canister_id` (the personal canister) are filled in where the failure passes the orchestrator, if they
    aren't known before. `method` and `request_id` are those of the call that failed, where that is the cause; the cause
    itself, which is chained, has the canister that was called.
    """

    kind: CreationErrorKind = CreationErrorKind.ImportFailed

    def __init__(
        self,
        message: str,
        *,
        stage: CreationStatus | None = None,
        canister_id: Principal | None = None,
        retry_helps: bool | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.stage = stage
        self.canister_id = canister_id
        if retry_helps is not None:
            self.retry_helps = retry_helps
        if isinstance(cause, CanisterFactoryError):
            self.note_call(cause.method, None, cause.request_id)

    @property
    def context(self) -> dict[str, object]:
        """What is known besides the message, for JSON."""
        known: dict[str, object] = {"kind": str(self.kind)}
        if self.stage is not None:
            known["stage"] = str(self.stage)
        if self.canister_id is not None:
            known["canister_id"] = str(self.canister_id)
        return known


class LeaseLostError(FactoryError):
    """Another claim replaced ours, or it ran out: this worker must not touch the creation any more."""

    kind = CreationErrorKind.Busy
    retry_helps = True


class PausedError(FactoryError):
    """An admin has stopped everything that uses cycles of the reserve: the creation stays open until it goes on."""

    kind = CreationErrorKind.Disabled
    retry_helps = True


class ExportError(FactoryError):
    """The source's data can't be read, or aren't what its manifest says."""

    retry_helps = True


class SourceMovedError(ExportError):
    """The owner wrote while the copy ran; the next pass takes the change."""


class CreateError(FactoryError):
    """The personal canister could not be created, or isn't what was asked for."""

    kind = CreationErrorKind.CreateFailed


class InstallError(FactoryError):
    """The personal canister's module is missing, is another one, or has another API or owner."""

    kind = CreationErrorKind.InstallFailed


class UpgradeError(FactoryError):
    """An upgrade isn't possible, or was taken back; the message says which module runs."""

    kind = CreationErrorKind.InstallFailed


class VerifyError(FactoryError):
    """Source and target differ, or the target's certificate doesn't say what it must."""

    kind = CreationErrorKind.VerifyFailed
    retry_helps = True


class HandoffError(FactoryError):
    """The controllers aren't what they must be before or after the handoff."""

    kind = CreationErrorKind.HandoffFailed


class HistoryError(FactoryError):
    """Something was done to a canister after which it can't become its owner's."""

    kind = CreationErrorKind.HistoryFailed


class CanisterState(StrEnum):
    """What the owner, who controls the canister from its beginning, can have made of it before it is theirs."""

    DELETED = "Deleted"
    STOPPED = "Stopped"
    FROZEN = "Frozen"
    """It has too few cycles to do anything."""
    UNINSTALLED = "Uninstalled"
    OTHER_MODULE = "OtherModule"
    OTHER_CONTROLLERS = "OtherControllers"
    BLACKHOLED = "Blackholed"
    """Nobody controls it."""
    REINSTALLED = "Reinstalled"
    """What was stored in it is gone, though its module is the right one."""
    OWNERS_ALONE = "OwnersAlone"
    """The owner alone controls it, but it doesn't hold the capsule."""


class CanisterStateError(FactoryError):
    """The canister is in a `state` in which its creation can't go on; the message says what lets it go on."""

    def __init__(
        self,
        message: str,
        state: CanisterState,
        *,
        stage: CreationStatus,
        canister_id: Principal,
        retry_helps: bool = True,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, stage=stage, canister_id=canister_id, retry_helps=retry_helps, cause=cause)
        self.kind = KIND_OF_STAGE[stage]
        self.state = state

    @property
    def context(self) -> dict[str, object]:
        """What is known besides the message, with the state."""
        return {**super().context, "state": str(self.state)}


class PriceTableError(FactoryError):
    """Prices that don't fit: another network's, or none that can be found out."""

    kind = CreationErrorKind.InvalidRequest


class BoundsError(FactoryError):
    """A run took more time, or moved more bytes, than any honest creation of its size does."""

    retry_helps = True


class CreationFailedError(FactoryError):
    """A creation ended in Failed: what was recorded in the backend. The cause is chained."""

    def __init__(
        self,
        error: CreationError,
        *,
        stage: CreationStatus,
        canister_id: Principal | None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(
            quoted(error.message, MAX_RECORDED_CHARACTERS),
            stage=stage,
            canister_id=canister_id,
            retry_helps=error.retry_helps,
            cause=cause,
        )
        self.kind = error.kind
        self.error = error
        self.state = cause.state if isinstance(cause, CanisterStateError) else None

    @property
    def context(self) -> dict[str, object]:
        """What is known besides the message, with the canister's state where that is the cause."""
        return super().context if self.state is None else {**super().context, "state": str(self.state)}


class WebhookError(CanisterFactoryError):
    """A webhook can't be used, or didn't take a message; the message names its host and nothing more of its URL."""

    def __init__(self, message: str, *, retry_helps: bool = False) -> None:
        super().__init__(message)
        self.retry_helps = retry_helps


class AlertStateError(CanisterFactoryError):
    """The file that remembers which notifications were sent can't be read or written."""


WAITING = (CreationErrorKind.Disabled, CreationErrorKind.BudgetSpent, CreationErrorKind.NotAdmitted)
"""Refusals by the backend after which a creation stays open, for a worker to go on with later."""


def is_waiting(error: Exception) -> bool:
    """Whether `error` says that the creation has to wait for an admin, or for another day's budget: no failure."""
    if isinstance(error, CreationRefused):
        return error.error.kind in WAITING
    return isinstance(error, PausedError)


def to_creation_error(error: Exception, stage: CreationStatus, canister_id: Principal | None) -> CreationError:
    """What the backend records for `error`, which stopped a creation at `stage`.

    Its message may quote a canister's text, so it is escaped and cut before it is stored. What isn't an error of this
    project's trees is a defect; the owner is told its type, and its text isn't published.
    """
    kind = KIND_OF_STAGE[stage]
    needed = available = None
    if isinstance(error, FactoryError):
        kind, message, retry_helps = error.kind, error.message, error.retry_helps
    elif isinstance(error, CreationRefused):
        if error.error.kind not in (CreationErrorKind.Busy, CreationErrorKind.InvalidRequest):
            kind = error.error.kind
        message, retry_helps = error.error.message, error.retry_helps
        needed, available = error.error.needed, error.error.available
    elif isinstance(error, ContractError | IcError | CandidError):
        message, retry_helps = str(error), getattr(error, "retry_helps", False)
    else:
        message, retry_helps = f"unexpected {type(error).__name__} in the orchestrator; see its log", False
    return CreationError(
        kind=kind,
        message=quoted(message, MAX_RECORDED_CHARACTERS),
        stage=stage,
        canister_id=canister_id,
        needed=needed,
        available=available,
        retry_helps=retry_helps,
    )
