"""Why a caller was refused: notes that are added to an error.

Owns these words. Does not own: the roles (`roles`), and who has which (the backend decides).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from canister_factory.cli import output
from canister_factory.cli.roles import ANONYMOUS, Role
from canister_factory.contract.errors import CapsuleRefused, CreationRefused
from canister_factory.ic.errors import NOT_CONTROLLER, RejectedError

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal

_GRANTED_BY = {Role.OPERATOR: "operators", Role.ADMIN: "admins", Role.STAFF: "operators"}
"""The sub-group of `admin` whose `add` grants the role; of two the one with less power."""

_ABOUT_THE_CALLER = re.compile(
    r"anonymous|un-?authori[sz]ed|not (an? )?(authori[sz]ed|allowed|permitted|owner|admin|controller)|permission|"
    r"access denied|forbidden|only .*(owner|admin|controller)",
    re.IGNORECASE,
)


def note_missing_role(error: Exception, role: Role, caller: Principal, backend: Principal) -> None:
    """Names the missing role, and how an admin grants it, if `error` is a refusal for want of it."""
    if role not in _GRANTED_BY or not _is_refusal(error):
        return
    note = f"The command needs the role {role} on the backend {backend}"
    if not caller.is_anonymous:
        note += (
            f". {output.ident(caller)} does not have it. An admin can grant it with "
            f"'canister-factory admin {_GRANTED_BY[role]} add {caller} --backend {backend}'"
        )
    error.add_note(note)


def note_caller(error: Exception, caller: Principal) -> None:
    """Says that the caller is anonymous, or is no controller, if that may be the reason of `error`."""
    not_controller = isinstance(error, RejectedError) and error.error_code == NOT_CONTROLLER
    if caller.is_anonymous:
        names_the_caller = isinstance(error, RejectedError) and _ABOUT_THE_CALLER.search(error.message) is not None
        if not_controller or names_the_caller or _is_refusal(error):
            error.add_note(ANONYMOUS[0].upper() + ANONYMOUS[1:])
    elif not_controller and str(caller) not in str(error):
        error.add_note(f"The caller, {output.ident(caller)}, is not one of them")


def _is_refusal(error: Exception) -> bool:
    if isinstance(error, CreationRefused | CapsuleRefused):
        return str(error.kind) == "Unauthorized"
    # Refused before it was executed. A reject of the method itself may have any reason.
    return isinstance(error, RejectedError) and error.is_unaccepted
