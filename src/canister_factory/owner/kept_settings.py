"""The settings of a canister, which its backup keeps so that a restored canister has them as well.

Owns which are kept. Does not own: the files (`backup_files`), and setting them (`restore`).

Source: interface specification, "IC method canister_status", settings.
"""

from __future__ import annotations

from canister_factory.candid.principal import Principal
from canister_factory.factory.retry import Retry
from canister_factory.factory.upgrade_record import OURS
from canister_factory.ic.agent import Agent
from canister_factory.ic.errors import NOT_CONTROLLER, RejectedError
from canister_factory.ic.management_types import CanisterSettings, EffectiveSettings
from canister_factory.owner.life import status_of


async def settings_of(agent: Agent, canister_id: Principal, retry: Retry) -> CanisterSettings | None:
    """What is kept of a canister's settings; `None` where the caller may not see them.

    Raises:
        IcError: a call failed for good, or more often than it may be repeated.
    """
    try:
        return kept((await retry("canister_status", status_of, agent, canister_id)).settings)
    except RejectedError as error:
        if error.error_code != NOT_CONTROLLER:
            raise
        return None


def kept(found: EffectiveSettings | CanisterSettings) -> CanisterSettings:
    """All of them but the controllers, since a restored canister is controlled by who restores it, and the environment
    variables of an upgrade, which isn't that canister's.
    """
    variables = found.environment_variables
    theirs = None if variables is None else [each for each in variables if not each.name.startswith(OURS)]
    names = [name for name in CanisterSettings.model_fields if name != "controllers"]
    return CanisterSettings(**{name: getattr(found, name) for name in names} | {"environment_variables": theirs})
