"""After each test here the books about stored bytes are what is held, on every canister that the test used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.contents_books import check_worlds


@pytest.fixture(autouse=True)
def books_of_contents() -> Iterator[None]:
    """Compares them after the test."""
    yield
    check_worlds()
