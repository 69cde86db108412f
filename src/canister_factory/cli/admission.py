"""The words for who gets a personal canister, for the commands that show or set it.

Owns these words. Does not own: the rule (the backend), and the commands (`admin_admission`, `deploy`).
"""

from __future__ import annotations

MEANING = {
    "Open": "everybody who has a capsule",
    "Listed": "owners on the list",
    "Approval": "owners on the list, and those whom an admin approves",
}
"""By the names of `Admission`, which the help shows without importing the contract."""

ADMISSIONS = tuple(MEANING)
