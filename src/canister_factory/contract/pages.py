"""Lists that come in pages, read to their end.

Owns following `next`. Does not own: what a page holds, and how large it is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar


class Page(Protocol):
    """One page of a list. `next`: what the following page comes after; `None` on the last page."""

    @property
    def next(self) -> Any:
        """The last id of this page, as the endpoint takes it."""


P = TypeVar("P", bound=Page)


async def pages(fetch: Callable[[Any], Awaitable[P]]) -> AsyncIterator[P]:
    """All pages in order. `fetch` gets the `next` of the page before, first `None`.

    A page that points to itself is the last.

    Raises:
        Exception: what `fetch` raises.
    """
    after = None
    while True:
        page = await fetch(after)
        yield page
        if page.next is None or page.next == after:
            return
        after = page.next
