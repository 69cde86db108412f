"""A payment on this computer's disk from before it is sent until its outcome is known, so that none is made twice.

Owns the file. Does not own: paying (`top_up`). The chain can't tell a repetition from a second payment by itself: the
repetition has to be known here.
"""

from __future__ import annotations

import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ValidationError

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.home import home_directory
from canister_factory.owner.errors import PaymentError


class OpenPayment(BaseModel):
    """What was about to be paid, cycles, and when, nanoseconds since 1970; and what both sides had before."""

    payer: str
    amount: int
    created_at_ns: int
    had: int | None
    payer_had: int | None


class OpenPayments:
    """The payment of one caller to one canister of one network whose outcome isn't known: there is at most one."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of(cls, agent: Agent, canister_id: Principal) -> OpenPayments:
        """In the home directory of this user."""
        network = sha256(agent.root_key).hexdigest()[:16]
        return cls(home_directory() / "payments" / network / f"{canister_id}_{agent.principal}.json")

    def __repr__(self) -> str:
        return f"OpenPayments({self._file})"

    def read(self) -> OpenPayment | None:
        """The open payment, if there is one.

        Raises:
            PaymentError: the file can't be read.
        """
        try:
            return OpenPayment.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise PaymentError(
                f"{self._file} can't be read ({type(error).__name__}): it says whether a payment is open. Nothing was "
                "paid; delete the file when you know that none is"
            ) from error

    def begin(self, payment: OpenPayment) -> None:
        """Writes the payment down; it is on the disk afterwards.

        Raises:
            PaymentError: that failed, or another process has begun one just now.
        """
        part = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
                opened.write(payment.model_dump_json())
                opened.flush()
                os.fsync(opened.fileno())
            self._publish(part)
        except OSError as error:
            raise PaymentError(f"{self._file} can't be written: {error.strerror}; nothing was paid") from error
        finally:
            with suppress(OSError):
                part.unlink()

    def _publish(self, part: Path) -> None:
        try:
            os.link(part, self._file)
        except FileExistsError:
            raise PaymentError("another top-up of this canister has just begun here; nothing was paid") from None
        self._sync()

    def end(self, outcome: str = "nothing was paid just now") -> None:
        """The outcome is known; `outcome` says it in words, should this fail.

        Raises:
            PaymentError: the note can't be removed: it holds back the next payment.
        """
        try:
            self._file.unlink()
            self._sync()
        except FileNotFoundError:
            pass  # there was none
        except OSError as error:
            raise PaymentError(
                f"{self._file} can't be removed: {error.strerror}; {outcome}. Delete the file before the next top-up, "
                "which would be taken for the same one"
            ) from error

    def _sync(self) -> None:
        directory = os.open(self._file.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
