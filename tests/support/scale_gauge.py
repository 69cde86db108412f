"""What calls of a canister on the in-process subnet cost: instructions, which are deterministic, and time.

Owns counting; which calls are made, and on what, is in `scale_world`.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from canister_factory.candid.decoding import decode
from canister_factory.candid.principal import Principal
from canister_factory.candid.values import Case
from canister_factory.replica.runtime.execution import Entry, Env
from canister_factory.replica.subnet.queries import MAX_REPLY_BYTES, QUERY_INSTRUCTIONS
from support.backend_world import OWNER, World, encode_args, method_of

REPEATS = 5


@dataclass(frozen=True)
class Cost:
    """What several calls of one method cost. `instructions` and `milliseconds` are medians, `most` is the worst call's.

    An update's worst call may hold a step of the garbage collection, which the median leaves out.
    """

    instructions: int
    most: int
    milliseconds: float


class Gauge:
    """Makes calls of one canister and keeps what they cost, by name.

    Args:
        kind: whose interface it is, "backend" or "personal".
    """

    def __init__(self, world: World, canister: Principal, kind: str) -> None:
        self._world = world
        self._canister = canister
        self._kind = kind
        self.costs: dict[str, Cost] = {}

    def calls(
        self,
        name: str,
        method: str,
        arguments: Sequence[Sequence[Any]],
        senders: Principal | Sequence[Principal] = OWNER,
    ) -> list[Any]:
        """Calls the method with each of the argument lists; the answers, which must not be errors."""
        func = method_of(self._kind, method)
        call = self._query if "query" in func.modes else self._update
        callers = [senders] * len(arguments) if isinstance(senders, Principal) else senders
        counts, times, answers = [], [], []
        for values, sender in zip(arguments, callers, strict=True):
            argument = encode_args(func.args, values)
            started = time.perf_counter()
            instructions, reply = call(method, argument, sender)
            times.append(1000 * (time.perf_counter() - started))
            counts.append(instructions)
            answers.append(unwrap(method, decode(reply, func.results)[0]))
        self.costs[name] = Cost(int(statistics.median(counts)), max(counts), statistics.median(times))
        return answers

    def _update(self, method: str, argument: bytes, sender: Principal) -> tuple[int, bytes]:
        state = self._world.subnet.state
        before = state.instructions
        request_id = self._world.submit(self._canister, method, argument, sender)
        self._world.run()
        return state.instructions - before, self._world.reply(request_id)

    def _query(self, method: str, argument: bytes, sender: Principal) -> tuple[int, bytes]:
        canister = self._world.state(self._canister)
        assert canister.instance is not None
        env = Env(
            self._canister.bytes,
            self._world.now_ns,
            method,
            argument,
            sender.bytes,
            frozenset(canister.settings.controllers),
            canister.balance,
            max_response_bytes=MAX_REPLY_BYTES,
        )
        outcome = canister.instance.execute(Entry.QUERY, env, instruction_limit=QUERY_INSTRUCTIONS, commit=False)
        assert outcome.response is not None, f"{method}: {outcome.error}"
        return outcome.instructions, outcome.response.data


def unwrap(method: str, answer: Any) -> Any:
    if not isinstance(answer, Case):
        return answer
    assert answer.tag == "Ok", f"{method} was refused: {answer.value}"
    return answer.value


def send(
    world: World, canister: Principal, kind: str, method: str, calls: Iterable[tuple[bytes, Principal]]
) -> list[Any]:
    """Many updates in few rounds: (encoded argument, sender) each; their answers."""
    results = method_of(kind, method).results
    requests = [world.submit(canister, method, argument, sender) for argument, sender in calls]
    world.run()
    return [unwrap(method, decode(world.reply(request), results)[0]) for request in requests]
