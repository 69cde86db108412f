"""Numbers of any size in messages."""

from __future__ import annotations

import pytest

from canister_factory.candid.numerals import shown


@pytest.mark.parametrize("number", [0, -7, 2**128, 10**60 - 1, 1 - 10**60])
def test_a_number_that_people_can_read_is_written_out(number: int) -> None:
    assert shown(number) == str(number)


def test_a_longer_one_is_told_by_its_size() -> None:
    assert shown(10**60) == "a number of 200 bits"
    assert shown(-(2**100_000)) == "a number of 100001 bits"
