"""The knobs: what is refused, and the memory bound that is stated of them."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from canister_factory.factory.config import MESSAGE_COPIES, FactoryConfig


def test_the_configuration_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValidationError, match="start_window 20 is above max_window 10"):
        FactoryConfig(start_window=20, max_window=10)
    with pytest.raises(ValidationError):
        FactoryConfig(max_message_bytes=3_000_000)
    with pytest.raises(ValidationError):
        FactoryConfig(windows=3)  # type: ignore[call-arg]


def test_the_stated_memory_bound_is_the_formula_of_its_numbers() -> None:
    config = FactoryConfig()
    bound = config.max_window * config.max_message_bytes * MESSAGE_COPIES
    assert f"{bound / 1e6:.0f} MB" in (FactoryConfig.__doc__ or "")
