"""Rules of who may read a memory, as people read them.

Owns these words. Does not own: what a rule opens (the canister), and options for rules (`owner_share`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from canister_factory.cli import output
from canister_factory.cli.events import event_name
from canister_factory.cli.results import moment

if TYPE_CHECKING:
    from canister_factory.contract.memory_models import CustomAccess, MemoryAccess
    from canister_factory.contract.person_models import PersonRef

_SHOWN = 3


def access_words(access: MemoryAccess) -> str:
    """A rule in words; of many people and groups the first ones."""
    if access.Custom is not None:
        return _people(access.Custom)
    if access.Scheduled is not None:
        return f"from {moment(access.Scheduled.accessible_after)} on: {access_words(access.Scheduled.access)}"
    if access.EventTriggered is not None:
        rule = access.EventTriggered
        return f"after {event_name(rule.trigger_event)}: {access_words(rule.access)}"
    return access.tag.lower()


def _people(access: CustomAccess) -> str:
    names = [_person(person) for person in access.individuals]
    names += [f"group {output.printable(group)}" for group in access.groups]
    if not names:
        return "nobody"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _person(person: PersonRef) -> str:
    return output.ident(person.Principal) if person.Principal is not None else output.printable(str(person.Opaque))
