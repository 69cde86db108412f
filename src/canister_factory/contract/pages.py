"""Lists that come in pages, read to their end, which each of them has: whoever answers isn't believed to be honest.

Owns following `next`, and what every list must do: advance and end. Does not own: what a page holds, and how large it
is.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from canister_factory.contract.errors import PagingError

MAX_PAGES = 10_000
"""More than any list of our canisters has: half a million memories in pages of 100 are 5,000."""


class Page(Protocol):
    """One page of a list. `next`: what the following page comes after; `None` on the last page."""

    @property
    def next(self) -> Any:
        """The last id of this page, as the endpoint takes it."""


P = TypeVar("P", bound=Page)


def _items(page: Any) -> Iterable[Any]:
    items: Iterable[Any] = page.items
    return items


@dataclass(frozen=True, slots=True)
class Kept(Generic[P]):
    """How a list is kept, and so what its pages must look like.

    Args:
        name: what it lists, for errors.
        items: what is on a page.
        rank: of an item or a cursor, where items rise by it; without it, a list is in an order of its own.
        sparse: a page may be empty though others follow.
        most: items at most, as `count` counts those of a page.
    """

    name: str
    items: Callable[[P], Iterable[Any]] = _items
    rank: Callable[[Any], Any] | None = None
    sparse: bool = False
    most: int | None = None
    count: Callable[[P], int] | None = None


async def pages(fetch: Callable[[Any], Awaitable[P]], kept: Kept[P]) -> AsyncIterator[P]:
    """All pages in order. `fetch` gets the `next` of the page before, first `None`.

    A page is only given on when it is found to go on from the one before.

    Raises:
        PagingError: the list comes again to where it was, goes backwards, doesn't advance, or doesn't end.
        Exception: what `fetch` raises.
    """
    follow = _Follow(kept)
    after = None
    while True:
        page = await fetch(after)
        follow.check(page)
        yield page
        if page.next is None:
            return
        after = page.next


class _Follow(Generic[P]):
    """Where a list has come to; its memory is a cursor a page."""

    def __init__(self, kept: Kept[P]) -> None:
        self._kept = kept
        self._last: Any = None
        self._cursors: set[Any] = set()
        self._pages = self._items = 0

    def check(self, page: P) -> None:
        """Raises:
        PagingError: the page doesn't go on from those before.
        """
        kept = self._kept
        items = list(kept.items(page))
        self._pages += 1
        self._items += len(items) if kept.count is None else kept.count(page)
        if kept.most is not None and self._items > kept.most:
            raise PagingError(kept.name, f"has more than {kept.most:,} items")
        if kept.rank is not None:
            for item in items:
                self._advance(kept.rank(item), "comes again to where it was, or goes backwards")
        if page.next is None:
            return
        if not items and not kept.sparse:
            raise PagingError(kept.name, "has an empty page that says that more follows")
        if self._pages == MAX_PAGES:
            raise PagingError(kept.name, f"has more than {MAX_PAGES:,} pages")
        if kept.rank is None:
            cursor = str(page.next)
            if cursor in self._cursors:
                raise PagingError(kept.name, "comes again to where it was")
            self._cursors.add(cursor)
        elif not items or kept.rank(page.next) != self._last:
            self._advance(kept.rank(page.next), "points backwards")

    def _advance(self, rank: Any, problem: str) -> None:
        if self._last is not None and rank <= self._last:
            raise PagingError(self._kept.name, problem)
        self._last = rank
