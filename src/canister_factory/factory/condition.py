"""What became of a canister whose creation can't go on: its owner controls it all the while, and may do anything to it.

Owns the names of these states, and the words for what lets the creation go on. Does not own: judging what was done to a
canister (the backend does so by its history), and when to look (`stages`).
"""

from __future__ import annotations

from canister_factory.contract.clients import PersonalClient
from canister_factory.contract.creation_models import CreationErrorKind, CreationStatus
from canister_factory.contract.errors import CapsuleRefused, ContractError, CreationRefused
from canister_factory.factory.errors import CanisterState, CanisterStateError
from canister_factory.factory.personal_canister import PersonalCanister, names
from canister_factory.ic.canister_info import CanisterInfo
from canister_factory.ic.errors import OUT_OF_CYCLES, STOPPED_CODES, CanisterNotFoundError, IcError, RejectedError

JUDGED = frozenset(
    (CanisterState.UNINSTALLED, CanisterState.OTHER_MODULE, CanisterState.OTHER_CONTROLLERS, CanisterState.BLACKHOLED)
)
"""Changes that are in the canister's history, by which the backend judges it."""

_GONE = ("NotFound", "MissingChunks")
"""How a target refuses a message that goes on from what isn't there any more, session or content."""

_SETTLED = (CreationErrorKind.HistoryFailed, CreationErrorKind.Cancelled)
"""The backend has ended the creation itself, and said why."""


async def look(personal: PersonalCanister, stage: CreationStatus) -> CanisterInfo:
    """What is certified of a canister whose creation is at `stage`.

    Raises:
        CanisterStateError: no creation goes on with it.
        IcError: it can't be looked at.
    """
    try:
        info = await personal.agent.canister_info(personal.canister_id)
    except CanisterNotFoundError as gone:
        raise _deleted(personal, stage, gone) from gone
    state = _found(info, personal, stage)
    if state is not None:
        raise state
    return info


async def behind(
    error: Exception | None, personal: PersonalCanister, stage: CreationStatus
) -> CanisterStateError | None:
    """The state of the canister that explains why its creation failed at `stage`, or would fail where it hasn't yet
    (`error` is `None`). `None` where the canister is as it should be, can't be looked at, or was judged already.
    """
    if isinstance(error, CanisterStateError):
        return error
    if isinstance(error, CreationRefused) and error.error.kind in _SETTLED:
        return None
    try:
        info = await look(personal, stage)
        if info.module_hash is not None:
            await PersonalClient(personal.agent, personal.canister_id).get_api_version()
    except CanisterStateError as state:
        return state
    except RejectedError as rejection:
        return _rejecting(rejection, personal, stage)
    except (IcError, ContractError):
        return None
    if isinstance(error, CapsuleRefused) and error.kind in _GONE and stage == CreationStatus.Importing:
        return _reinstalled(personal, stage, error)
    return None


def _found(info: CanisterInfo, personal: PersonalCanister, stage: CreationStatus) -> CanisterStateError | None:
    """The state by certified facts."""
    canister, controllers = personal.canister_id, set(info.controllers)
    if personal.is_handed_over(info):
        return None
    if not controllers:
        state, words = CanisterState.BLACKHOLED, f"nobody controls the canister {canister} any more"
    elif controllers != personal.keepers:
        state = CanisterState.OTHER_CONTROLLERS
        words = (
            f"the controllers of {canister} are {names(controllers)}, but must be exactly operator and owner: "
            f"{names(personal.keepers)}"
        )
    elif personal.module_hash is None or info.module_hash == personal.module_hash:
        return None
    elif info.module_hash is None:
        state, words = CanisterState.UNINSTALLED, f"a controller has uninstalled the module of {canister}"
    else:
        state, before = CanisterState.OTHER_MODULE, personal.module_hash.hex()
        words = f"a controller has replaced the module of {canister}, {before}, by {info.module_hash.hex()}"
    words += ". The capsule is on the backend as it was; the owner's retry shows whether the canister can still be used"
    return CanisterStateError(words, state, stage=stage, canister_id=canister)


def _deleted(personal: PersonalCanister, stage: CreationStatus, cause: Exception) -> CanisterStateError:
    """It doesn't exist any more."""
    return CanisterStateError(
        f"the canister {personal.canister_id} was deleted by a controller. The capsule is on the backend as it was. "
        f"'cleanup {personal.owner}' (operator and admin) forgets this creation, and its owner can ask for another "
        "canister",
        CanisterState.DELETED,
        stage=stage,
        canister_id=personal.canister_id,
        retry_helps=False,
        cause=cause,
    )


def _reinstalled(personal: PersonalCanister, stage: CreationStatus, cause: Exception) -> CanisterStateError:
    return CanisterStateError(
        f"{personal.canister_id} has no more what was stored in it, as if a controller had installed its module anew; "
        f"the owner's retry copies it again ({cause})",
        CanisterState.REINSTALLED,
        stage=stage,
        canister_id=personal.canister_id,
        cause=cause,
    )


async def check_taken(personal: PersonalCanister, stage: CreationStatus) -> None:
    """Sees to it that there is something to be verified in a canister that its owner has taken.

    Raises:
        CanisterStateError: there isn't.
        IcError: it can't be looked at.
    """
    info = await personal.info()
    if personal.is_handed_over(info) and info.module_hash is None:
        raise owners_alone(personal, stage, ["no module is installed in it"])


def owners_alone(personal: PersonalCanister, stage: CreationStatus, differences: list[str]) -> CanisterStateError:
    """The owner took it before it held the capsule."""
    return CanisterStateError(
        f"the owner alone controls {personal.canister_id}, but it doesn't hold the capsule. The owner adds the "
        f"operator {personal.operator} as a controller again, and retries; or an admin forgets the creation with "
        f"'admin clear {personal.owner}', and the owner asks for another canister ({'; '.join(differences)})",
        CanisterState.OWNERS_ALONE,
        stage=stage,
        canister_id=personal.canister_id,
    )


def _rejecting(
    rejection: RejectedError, personal: PersonalCanister, stage: CreationStatus
) -> CanisterStateError | None:
    if rejection.error_code in STOPPED_CODES:
        state, words = CanisterState.STOPPED, "is stopped. A controller, such as its owner, has to start it"
    elif rejection.error_code == OUT_OF_CYCLES:
        state = CanisterState.FROZEN
        words = "has too few cycles to work. Somebody has to top it up, or a controller to lower its freezing threshold"
    else:
        return None
    return CanisterStateError(
        f"the canister {personal.canister_id} {words}; then the owner's retry goes on with it",
        state,
        stage=stage,
        canister_id=personal.canister_id,
        cause=rejection,
    )
