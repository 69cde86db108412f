"""Lists that come in pages, read to their end."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from canister_factory.contract.pages import pages


@dataclass
class Numbers:
    items: list[int]
    next: int | None


async def test_each_page_is_asked_for_after_the_one_before_until_the_last() -> None:
    asked: list[int | None] = []

    async def fetch(after: int | None) -> Numbers:
        asked.append(after)
        start = 0 if after is None else after + 1
        return Numbers([start, start + 1], start + 1 if start < 4 else None)

    assert [number async for page in pages(fetch) for number in page.items] == [0, 1, 2, 3, 4, 5]
    assert asked == [None, 1, 3]


async def test_a_page_that_points_to_itself_is_the_last() -> None:
    async def fetch(after: int | None) -> Numbers:
        return Numbers([7], 7)

    assert [page.items async for page in pages(fetch)] == [[7], [7]]


async def test_no_page_is_asked_for_before_it_is_wanted() -> None:
    asked: list[int | None] = []

    async def fetch(after: int | None) -> Numbers:
        asked.append(after)
        return Numbers([], 1)

    async for _ in pages(fetch):
        break
    assert asked == [None]


async def test_a_failure_goes_through() -> None:
    async def fetch(after: int | None) -> Numbers:
        raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        [page async for page in pages(fetch)]
