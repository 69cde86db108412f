"""Lists that come in pages, read to their end; and what hostile ones are called that have none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from canister_factory.contract import pages as module
from canister_factory.contract.errors import PagingError
from canister_factory.contract.pages import Kept, pages


@dataclass
class Numbers:
    items: list[int]
    next: int | None


RISING: Kept[Numbers] = Kept("the list", rank=lambda number: number)
ANY_ORDER: Kept[Numbers] = Kept("the list")
BOTH = pytest.mark.parametrize("kept", [RISING, ANY_ORDER], ids=["rising", "any order"])


async def read(fetch: Callable[[int | None], Awaitable[Numbers]], kept: Kept[Numbers]) -> list[int]:
    return [number async for page in pages(fetch, kept) for number in page.items]


def answering(*answers: tuple[list[int], int | None]) -> Callable[[int | None], Awaitable[Numbers]]:
    """Answers these pages, one after the other, whatever it is asked; and then no more."""
    rest = list(answers)

    async def fetch(after: int | None) -> Numbers:
        items, following = rest.pop(0)
        return Numbers(items, following)

    return fetch


@BOTH
async def test_each_page_is_asked_for_after_the_one_before_until_the_last(kept: Kept[Numbers]) -> None:
    asked: list[int | None] = []

    async def fetch(after: int | None) -> Numbers:
        asked.append(after)
        start = 0 if after is None else after + 1
        return Numbers([start, start + 1], start + 1 if start < 4 else None)

    assert await read(fetch, kept) == [0, 1, 2, 3, 4, 5]
    assert asked == [None, 1, 3]


@BOTH
async def test_an_empty_list_has_one_page(kept: Kept[Numbers]) -> None:
    assert await read(answering(([], None)), kept) == []


async def test_a_list_in_an_order_of_its_own_is_read() -> None:
    assert await read(answering(([5, 1], 1), ([9, 7], 7), ([3], None)), ANY_ORDER) == [5, 1, 9, 7, 3]


async def test_of_a_sparse_list_a_page_may_be_empty_that_leads_on() -> None:
    sparse: Kept[Numbers] = Kept("the list", rank=lambda number: number, sparse=True)
    assert await read(answering(([1], 4), ([], 8), ([9], None)), sparse) == [1, 9]
    with pytest.raises(PagingError, match="the list points backwards"):
        await read(answering(([1], 4), ([], 4)), sparse)


@BOTH
async def test_a_page_that_repeats_ends_the_list(kept: Kept[Numbers]) -> None:
    with pytest.raises(PagingError, match="the list comes again to where it was") as raised:
        await read(answering(([1, 2], 2), ([1, 2], 2)), kept)
    assert not raised.value.retry_helps


async def test_a_cycle_ends_the_list() -> None:
    with pytest.raises(PagingError, match="the list comes again to where it was"):
        await read(answering(([2], 2), ([1], 1), ([2], 2)), ANY_ORDER)


@pytest.mark.parametrize(
    "second",
    [([2, 3], None), ([4, 4], None), ([5, 4], None), ([1], None), ([3], 1)],
    ids=["an item again", "an item twice", "within a page", "to the beginning", "by its cursor"],
)
async def test_what_rises_must_not_go_backwards(second: tuple[list[int], int | None]) -> None:
    with pytest.raises(PagingError, match=r"the list (comes again to where it was, or goes|points) backwards"):
        await read(answering(([1, 2], 2), second), RISING)


@BOTH
async def test_an_empty_page_that_names_a_next_one_ends_the_list(kept: Kept[Numbers]) -> None:
    with pytest.raises(PagingError, match="the list has an empty page that says that more follows"):
        await read(answering(([1], 1), ([], 2)), kept)


async def test_a_list_with_more_items_than_it_may_have_ends() -> None:
    few: Kept[Numbers] = Kept("the list", most=3)
    assert await read(answering(([1, 2], 2), ([3], None)), few) == [1, 2, 3]
    with pytest.raises(PagingError, match="the list has more than 3 items"):
        await read(answering(([1, 2], 2), ([3, 4], None)), few)


async def test_items_count_as_the_list_counts_them() -> None:
    heavy: Kept[Numbers] = Kept("the list", most=5, count=lambda page: sum(page.items))
    assert await read(answering(([2], 2), ([3], None)), heavy) == [2, 3]
    with pytest.raises(PagingError, match="the list has more than 5 items"):
        await read(answering(([6], None)), heavy)


@BOTH
async def test_a_list_that_never_ends_is_ended(kept: Kept[Numbers], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PAGES", 5)
    asked: list[int | None] = []

    async def fetch(after: int | None) -> Numbers:
        asked.append(after)
        return Numbers([len(asked)], len(asked))

    with pytest.raises(PagingError, match="the list has more than 5 pages"):
        await read(fetch, kept)
    assert asked == [None, 1, 2, 3, 4]


async def test_no_page_is_asked_for_before_it_is_wanted() -> None:
    asked: list[int | None] = []

    async def fetch(after: int | None) -> Numbers:
        asked.append(after)
        return Numbers([1], 1)

    async for _ in pages(fetch, ANY_ORDER):
        break
    assert asked == [None]


async def test_a_failure_goes_through() -> None:
    async def fetch(after: int | None) -> Numbers:
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        await read(fetch, ANY_ORDER)
