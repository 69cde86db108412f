"""Who may ask the management canister for what.

Owns the rules about callers, of ingress (`ingress`) as of methods, and their refusals. Does not own the methods
(`management` and its themes).

Source: interface specification, "The IC management canister".
"""

from __future__ import annotations

from typing import Final

from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.canister import CanisterState, text_of
from canister_factory.replica.subnet.management_interface import Argument
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.state import SubnetState

# Who may call a method about a canister besides its controllers: the subnet's admins, the canister itself, and whom the
# setting of that name lets see it.
_FOR_ADMINS: Final = frozenset(
    {"start_canister", "stop_canister", "uninstall_code", "delete_canister", "canister_status", "canister_metrics"}
)
_FOR_ITSELF: Final = frozenset({"upload_chunk", "clear_chunk_store", "stored_chunks", "canister_status"})
_FOR_VIEWERS: Final = {
    "canister_status": "status_visibility",
    "fetch_canister_logs": "log_visibility",
    "list_canister_snapshots": "snapshot_visibility",
    "read_canister_snapshot_metadata": "snapshot_visibility",
    "read_canister_snapshot_data": "snapshot_visibility",
}


def may_manage(state: SubnetState, method: str, canister: CanisterState, caller: bytes) -> bool:
    """Whether somebody may call a method that isn't for everybody about a canister."""
    if canister.is_controller(caller):
        return True
    if method in _FOR_ADMINS and caller in state.subnet_admins:
        return True
    if method in _FOR_ITSELF and caller == canister.id:
        return True
    setting = _FOR_VIEWERS.get(method)
    return setting is not None and canister.may_see(getattr(canister.settings, setting), caller)


def managed(state: SubnetState, request: Request, argument: Argument, field: str = "canister_id") -> CanisterState:
    """The canister that a call is about, which it may change.

    Raises:
        CanisterError: IC0301, there is none; IC0512, the method isn't for its caller.
    """
    canister = state.canister(argument[field].bytes)
    if not may_manage(state, request.method, canister, request.caller):
        raise _not_a_controller(canister, request.caller)
    return canister


def require_controller(canister: CanisterState, caller: bytes) -> None:
    """Refuses everybody but the canister's controllers.

    Raises:
        CanisterError: IC0512, the caller is none.
    """
    if not canister.is_controller(caller):
        raise _not_a_controller(canister, caller)


def require_owner(canister: CanisterState, caller: bytes) -> None:
    """Refuses everybody but the controllers, and the canister about itself.

    Raises:
        CanisterError: IC0512, the caller is neither.
    """
    if caller != canister.id:
        require_controller(canister, caller)


def _not_a_controller(canister: CanisterState, caller: bytes) -> CanisterError:
    controllers = " ".join(text_of(controller) for controller in canister.settings.controllers)
    return CanisterError(
        RejectCode.CANISTER_ERROR,
        f"Only the controllers of the canister {text_of(canister.id)} can control it.\n"
        f"Canister's controllers: {controllers}\nSender's ID: {text_of(caller)}",
        "IC0512",
    )


def require_caller_is_canister(request: Request) -> None:
    """Refuses users for methods that the specification offers to canisters only.

    Raises:
        CanisterError: IC0406, a user calls.
    """
    if not request.from_canister:
        raise CanisterError(RejectCode.CANISTER_REJECT, f"{request.method} can only be called by canisters.", "IC0406")


def require_admin(state: SubnetState, caller: bytes) -> None:
    """Refuses everybody but the subnet's admins; most subnets have none.

    Raises:
        CanisterError: IC0512, the caller is none.
    """
    if caller not in state.subnet_admins:
        admins = " ".join(text_of(admin) for admin in state.subnet_admins) or "none"
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Only the admins of the subnet may do this.\nSubnet's admins: {admins}\nSender's ID: {text_of(caller)}",
            "IC0512",
        )


def require_stated_version(request: Request, argument: Argument) -> None:
    """Refuses a canister that states another version than it had when it made the call; what users state is only noted.

    Raises:
        CanisterError: IC0504, the versions differ.
    """
    stated = argument.get("sender_canister_version")
    if request.caller_version is not None and stated not in (None, request.caller_version):
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"The sender_canister_version of the call is {stated}, the canister {text_of(request.caller)} that made it "
            f"had the version {request.caller_version}.",
            "IC0504",
        )
