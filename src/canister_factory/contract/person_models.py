"""People, connections and their groups, as the contracts have them.

Owns their Python form; a test compares it with the `.did`. Does not own: capsules and memories.
"""

from __future__ import annotations

from canister_factory.candid.binding import CandidEnum, CandidModel, CandidVariant, PrincipalT, TimeNs
from canister_factory.candid.principal import Principal


class PersonRef(CandidVariant):
    """A person: by principal, or by a name that only the capsule understands."""

    Principal: PrincipalT | None = None
    Opaque: str | None = None


class OwnerState(CandidModel):
    """Since when a person owns a capsule."""

    since: TimeNs
    last_activity_at: TimeNs


class ControllerState(CandidModel):
    """Who let a person control a capsule, and when."""

    granted_at: TimeNs
    granted_by: PersonRef


class OwnerEntry(CandidModel):
    """One owner of a capsule."""

    key: PersonRef
    value: OwnerState


class ControllerEntry(CandidModel):
    """One controller of a capsule."""

    key: PersonRef
    value: ControllerState


class ConnectionStatus(CandidEnum):
    """How far a connection is."""

    Pending = "Pending"
    Accepted = "Accepted"
    Blocked = "Blocked"
    Revoked = "Revoked"


class Connection(CandidModel):
    """A capsule's relation to another person."""

    peer: PersonRef
    status: ConnectionStatus
    created_at: TimeNs
    updated_at: TimeNs


class ConnectionEntry(CandidModel):
    """One connection of a capsule."""

    key: PersonRef
    value: Connection


class ConnectionGroup(CandidModel):
    """People under one name, to give access to."""

    id: str
    name: str
    description: str | None = None
    members: list[PersonRef]
    created_at: TimeNs
    updated_at: TimeNs


class ConnectionGroupEntry(CandidModel):
    """One group of a capsule."""

    key: str
    value: ConnectionGroup


class NewConnectionGroup(CandidModel):
    """What it takes to create a group."""

    name: str
    description: str | None = None
    members: list[PersonRef]


class ConnectionGroupUpdate(CandidModel):
    """The parts of a group to change; the others stay."""

    name: str | None = None
    description: str | None = None
    members: list[PersonRef] | None = None


class User(CandidModel):
    """A registered caller."""

    principal_id: Principal
    registered_at: TimeNs
    last_activity_at: TimeNs
    bound: bool
