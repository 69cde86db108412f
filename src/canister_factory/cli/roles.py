"""Who may run a command: what a refused caller is told of the role that is missing, and of being anonymous.

Owns these words. Does not own: who has which role (the backend, which alone decides).
"""

from __future__ import annotations

import re
from enum import StrEnum

from canister_factory.candid.principal import Principal
from canister_factory.cli import output
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.ic.errors import RejectedError

ANONYMOUS = (
    "you are anonymous: give --identity FILE.pem (or set CANISTER_FACTORY_IDENTITY); make one with "
    "'canister-factory identity new FILE.pem'"
)


class Role(StrEnum):
    """The role of a backend that a command needs. Controllers of the backend are admins without being listed."""

    ANYONE = "anyone"
    OWNER = "owner"
    """The owner of the capsule in question, which is the caller: never refused for a role."""
    OPERATOR = "operator"
    ADMIN = "admin"
    STAFF = "admin or operator"


_GIVEN_BY = {Role.OPERATOR: "operators", Role.ADMIN: "admins", Role.STAFF: "operators"}
"""The sub-group of `admin` whose `add` gives the role; of two the one with less power."""

_NOT_ACCEPTED, _NOT_CONTROLLER = "IC0406", "IC0512"
"""The implementation's codes of a call that a canister didn't accept, and of one by no controller."""

_INSPECTION = "canister_inspect_message"
"""Motoko's canisters don't accept a call by a trap, whose message has this name."""

_ABOUT_THE_CALLER = re.compile(
    r"anonymous|un-?authori[sz]ed|not (an? )?(authori[sz]ed|allowed|permitted|owner|admin|controller)|permission|"
    r"access denied|forbidden|only .*(owner|admin|controller)",
    re.IGNORECASE,
)


def note_missing_role(error: Exception, role: Role, caller: Principal, backend: Principal) -> None:
    """Adds a note to `error`, if that is the refusal of a caller without the role: which role, and who gives it."""
    if role not in _GIVEN_BY or not _is_refusal(error):
        return
    note = f"This needs the role {role} on the backend {backend}"
    if not caller.is_anonymous:
        note += (
            f", which {output.ident(caller)} hasn't: an admin gives it with "
            f"'canister-factory admin {_GIVEN_BY[role]} add {caller} --backend {backend}'"
        )
    error.add_note(note)


def note_caller(error: Exception, caller: Principal) -> None:
    """Adds a note to `error`, if who called may be why: that the caller was anonymous, or is no controller."""
    not_controller = isinstance(error, RejectedError) and error.error_code == _NOT_CONTROLLER
    if caller.is_anonymous:
        told = isinstance(error, RejectedError) and _ABOUT_THE_CALLER.search(error.message) is not None
        if not_controller or told or _is_refusal(error):
            error.add_note(ANONYMOUS[0].upper() + ANONYMOUS[1:])
    elif not_controller and str(caller) not in str(error):
        error.add_note(f"The caller, {output.ident(caller)}, is none of them")


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, CreationRefused | CapsuleRefused):
        return str(error.kind) == "Unauthorized"
    # Not certified: refused before it was executed. A reject of the method itself may have any reason.
    return (
        isinstance(error, RejectedError)
        and not error.certified
        and (error.error_code == _NOT_ACCEPTED or _INSPECTION in error.message)
    )
