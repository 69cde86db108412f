"""Answers to the HTTP outcalls of canisters, given by a test instead of the servers that they ask.

Owns what a test says and what was asked. Does not own making requests (`replica.node.outcalls`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping

from canister_factory.replica.node.outcall_error import OutcallError
from canister_factory.replica.subnet.messages import HttpResponse
from canister_factory.replica.subnet.outcalls import HttpRequest

__all__ = ["Handler", "HttpOutcalls", "HttpRequest", "HttpResponse"]

Handler = Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]
"""Answers a request. It runs in the replica's thread, so it must not wait for calls to that replica."""


class HttpOutcalls:
    """The web as canisters see it in a test: nothing is sent anywhere.

    Attributes:
        requests: what was asked so far, in order.
    """

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self._answers: dict[str, HttpResponse] = {}
        self._handler: Handler | None = None

    def __repr__(self) -> str:
        return f"<HttpOutcalls requests={len(self.requests)} answers={len(self._answers)}>"

    def answer(
        self, url: str, body: bytes | str = b"", *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Requests of exactly this URL get this answer from here on."""
        content = body.encode() if isinstance(body, str) else body
        self._answers[url] = HttpResponse(status, content, tuple((headers or {}).items()))

    def answer_with(self, handler: Handler) -> None:
        """Requests of all other URLs are answered by a function; what it raises is why there is no answer."""
        self._handler = handler

    async def perform(self, request: HttpRequest) -> HttpResponse:
        """Answers a request as the test said.

        Raises:
            OutcallError: it said nothing of this one.
        """
        self.requests.append(request)
        answer = self._answers.get(request.url)
        if answer is not None:
            return answer
        if self._handler is None:
            raise OutcallError(f"the test has no answer to {request.method} {request.url}: give one with http_outcalls")
        found = self._handler(request)
        return await found if inspect.isawaitable(found) else found
