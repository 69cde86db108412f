"""That a call or query has no outcome because nothing is executed any more.

Owns the error. Does not own why (`rounds`, `sliced_work`).
"""

from __future__ import annotations


class RoundFailedError(Exception):
    """A call has no outcome: its round broke off or couldn't be made durable, or the replica is stopping.

    `retry_helps`: it is stopping only. `surely_not_executed`: nor will it be, unless it is sent again.
    """

    def __init__(self, message: str, *, retry_helps: bool = False, surely_not_executed: bool = True) -> None:
        super().__init__(message)
        self.retry_helps = retry_helps
        self.surely_not_executed = surely_not_executed
