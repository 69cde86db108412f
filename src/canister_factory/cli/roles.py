"""The roles that commands need, and the advice for callers without a key.

Owns these names. Does not own: who has which role (the backend decides), and how a refusal is explained (`refusals`).
"""

from __future__ import annotations

from enum import StrEnum

ANONYMOUS = (
    "you are anonymous: give --identity FILE.pem (or set CANISTER_FACTORY_IDENTITY). "
    "'canister-factory identity new FILE.pem' creates an identity"
)


class Role(StrEnum):
    """The role of a backend that a command needs. Controllers of the backend are admins without being listed."""

    ANYONE = "anyone"
    OWNER = "owner"
    """The owner of the capsule in question, which is the caller: never refused for a role."""
    OPERATOR = "operator"
    ADMIN = "admin"
    STAFF = "admin or operator"
