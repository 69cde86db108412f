"""Who may ask the management canister for what: the refusals that its methods share.

Owns the rules about callers. Does not own the methods (`management` and its themes), nor the rules for ingress.

Source: interface specification, "The IC management canister".
"""

from __future__ import annotations

from typing import Any

from canister_factory.replica.runtime.execution import CanisterError, RejectCode
from canister_factory.replica.subnet.canister import CanisterState, Visibility, text_of
from canister_factory.replica.subnet.messages import Request
from canister_factory.replica.subnet.state import SubnetState


def require_controller(canister: CanisterState, caller: bytes) -> None:
    """Refuses everybody but the canister's controllers.

    Raises:
        CanisterError: IC0512, the caller is none.
    """
    if not canister.is_controller(caller):
        controllers = " ".join(text_of(controller) for controller in canister.settings.controllers)
        raise CanisterError(
            RejectCode.CANISTER_ERROR,
            f"Only the controllers of the canister {text_of(canister.id)} can control it.\n"
            f"Canister's controllers: {controllers}\nSender's ID: {text_of(caller)}",
            "IC0512",
        )


def require_controller_or_admin(state: SubnetState, canister: CanisterState, caller: bytes) -> None:
    """Refuses everybody but the canister's controllers and the subnet's admins.

    Raises:
        CanisterError: IC0512, the caller is neither.
    """
    if caller not in state.subnet_admins:
        require_controller(canister, caller)


def require_owner(canister: CanisterState, caller: bytes) -> None:
    """Refuses everybody but the controllers, and the canister about itself.

    Raises:
        CanisterError: IC0512, the caller is neither.
    """
    if caller != canister.id:
        require_controller(canister, caller)


def require_audience(canister: CanisterState, visibility: Visibility, caller: bytes) -> None:
    """Refuses whom a setting doesn't allow to see something of the canister.

    Raises:
        CanisterError: IC0512, the caller is not allowed to.
    """
    if not canister.may_see(visibility, caller):
        require_controller(canister, caller)


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


def require_stated_version(request: Request, argument: dict[str, Any]) -> None:
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
