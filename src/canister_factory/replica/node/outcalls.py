"""Making the HTTP requests of canisters: by a function that was given, by default to servers on this computer only.

Owns the tasks and their time limit. Does not own the way to loopback servers (`loopback_client`), what is checked and
charged, or what becomes of an answer (`subnet.http_outcalls`). A request is made once its round is durable; after a
restart, requests that were not answered are made again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from canister_factory.replica.node.outcall_error import OutcallError
from canister_factory.replica.subnet.messages import HttpResponse, OutcallAnswer
from canister_factory.replica.subnet.outcalls import HttpRequest, Outcall

__all__ = ["Outcalls", "Perform", "loopback_only"]

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 30.0
MAX_AT_ONCE: Final = 50  # others wait: each takes a socket, and up to 2 MB


Perform = Callable[[HttpRequest], Awaitable[HttpResponse]]
"""Makes a request. Raises OutcallError, or anything else, where there is no answer."""


class Outcalls:
    """The requests under way.

    Args:
        pending: the subnet's outcalls that wait for their answer.
        submit: takes the answers.
        perform: makes the requests.
    """

    def __init__(
        self, pending: Callable[[], Mapping[int, Outcall]], submit: Callable[[OutcallAnswer], None], perform: Perform
    ) -> None:
        self._pending = pending
        self._submit = submit
        self.perform = perform
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(MAX_AT_ONCE)

    def __repr__(self) -> str:
        return f"<Outcalls under_way={len(self._tasks)}>"

    def begin(self) -> None:
        """Begins what isn't under way; to be called in the event loop, once the requests are durable."""
        for number, outcall in self._pending().items():
            if number not in self._tasks:
                self._tasks[number] = asyncio.get_running_loop().create_task(self._answer(outcall))

    def cancel(self) -> None:
        """Gives up on everything: nobody is answered."""
        tasks, self._tasks = self._tasks, {}
        for task in tasks.values():
            task.cancel()

    async def _answer(self, outcall: Outcall) -> None:
        reply, problem = None, ""
        try:
            async with self._places, asyncio.timeout(TIMEOUT_S):
                reply = await self.perform(outcall.request)
        except TimeoutError:
            problem = f"Canister http request timed out after {TIMEOUT_S:.0f} s"
        except OutcallError as error:
            problem = str(error)
        except Exception as error:
            logger.exception("an HTTP outcall failed")
            problem = f"{type(error).__name__}: {error}"
        self._tasks.pop(outcall.id, None)
        self._submit(OutcallAnswer(outcall.caller, outcall.id, reply, problem))


async def loopback_only(request: HttpRequest) -> HttpResponse:
    """Asks a server on this computer; see `loopback_client`, which is imported when a canister asks first.

    Raises:
        OutcallError: the URL's host isn't this computer, or the server gives no answer.
    """
    from canister_factory.replica.node import loopback_client

    return await loopback_client.ask(request)
