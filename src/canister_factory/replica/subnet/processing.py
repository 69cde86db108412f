"""One message from its beginning to its end: whole, or taken back.

Owns the transaction around a message, what an internal error leaves behind, and how a message is suspended. Does not
own what messages do (`calls`) or which is next (`schedule`).
"""

from __future__ import annotations

from canister_factory.replica.subnet.calls import Calls
from canister_factory.replica.subnet.failures import described, internal_error
from canister_factory.replica.subnet.messages import (
    Answer,
    Begun,
    FromIngress,
    Message,
    OutcallAnswer,
    Request,
    SystemTask,
    rejection,
)
from canister_factory.replica.subnet.request_status import RequestState
from canister_factory.replica.subnet.state import SubnetState
from canister_factory.replica.subnet.work import Suspended, Turn, Work


class Processing:
    """Processes messages, one at a time."""

    def __init__(self, state: SubnetState, calls: Calls) -> None:
        self._state = state
        self._calls = calls

    def process(self, message: Message, work: Work | None = None) -> Work | None:
        """Executes one message; a failure is answered as a reject and leaves no other trace.

        Where the turn of `work` doesn't suffice, the message is in `SubnetState.begun` afterwards, and nothing else has
        changed: it is to be called again with the work that it returns, or with another one for what has begun.

        So is an internal error: all that the message did is taken back, and the log has the error with the reference
        that the reject names. It counts in `failures`, so that a journal which is executed again must fail alike.

        Raises:
            Exception: an internal error that can't be taken back; the state is not to be used any more.
        """
        state, transaction = self._state, self._state.transaction
        cycles = message.cycles if isinstance(message, Request) else 0
        work = self._calls.work = work or Work(Turn())
        work.rewind()
        resumed = work.begun if work.has_begun else None
        transaction.begin(state)
        try:
            self._give_back(resumed)
            self._calls.execute(message)
            transaction.commit()
        except Suspended:
            transaction.roll_back(state)
            if isinstance(message, Request):
                message.cycles = cycles
            self._suspend(work.begun)
            return work
        except Exception as error:
            if not transaction.is_open:
                raise
            work.close()
            transaction.roll_back(state)
            self._calls.rebuild()
            if isinstance(message, Request):
                message.cycles = cycles
            transaction.begin(state)
            self._give_back(resumed)
            self._end_failed(message, error)
            transaction.commit()
        work.close()
        if work.has_begun:
            state.begun.pop(work.begun.canister_id, None)
        return None

    def _give_back(self, resumed: Begun | None) -> None:
        """Returns what is reserved for a message that goes on: as a part of it, so that a turn leaves no trace."""
        if resumed is not None:
            canister = self._state.canisters[resumed.canister_id]
            self._state.transaction.touch_for_execution(canister)
            self._state.credit(canister, resumed.reserved)

    def _suspend(self, begun: Begun) -> None:
        state, message = self._state, begun.message
        if begun.canister_id not in state.begun:
            state.begun[begun.canister_id] = begun
            state.canisters[begun.canister_id].balance -= begun.reserved
            if isinstance(message, Request) and isinstance(message.origin, FromIngress):
                self._calls.set_status(message.origin, RequestState.PROCESSING)

    def _end_failed(self, message: Message, error: Exception) -> None:
        """Answers for a message that was taken back."""
        state = self._state
        state.failures += 1
        state.last_failure = state.messages_executed
        rejected = internal_error(f"E{state.messages_executed}", described(message), error)
        match message:
            case Request():
                self._calls.respond(message.origin, rejection(rejected), message.cycles)
            case Answer():
                self._calls.process_answer(message, rejected)
            case SystemTask():
                pass  # nobody waits; a timer that was due stays cleared
            case OutcallAnswer():
                failed = OutcallAnswer(message.canister_id, message.outcall_id, None, rejected.message)
                self._calls.finish_outcall(failed)
