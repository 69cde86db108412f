"""What goes wrong with an owner's copies, payments and rights. Does not own: errors of canister and network."""

from __future__ import annotations

from canister_factory.base_error import CanisterFactoryError


class BackupError(CanisterFactoryError):
    """A copy on disk can't be made or read: the message names the file, and what to do."""


class ForgedBackupError(BackupError):
    """A copy isn't what the network certified, though its files are whole: somebody has made it."""


class RestoreError(CanisterFactoryError):
    """A copy doesn't go into that canister."""


class MemoryNotFoundError(CanisterFactoryError):
    """No memory has this id or name, or several have it."""


class AddError(CanisterFactoryError):
    """A file can't be stored; the message names it."""


class MoveBackError(CanisterFactoryError):
    """What is on the personal canister can't be brought back to the backend now; what was written stays."""


class ReceiptError(CanisterFactoryError):
    """A receipt of an erasure isn't what the network certifies, or can't be kept."""


class PaymentError(CanisterFactoryError):
    """A top-up is refused, or it isn't known whether it was paid; the message says which."""


class ControlError(CanisterFactoryError):
    """A change of who controls or owns a canister, or its deletion, is refused; the message says what holds now."""
