"""A watch goes on over what passes, and ends with what doesn't."""

from __future__ import annotations

from typing import Any

import pytest

from canister_factory.cli.owner_status import again_and_again
from canister_factory.ic.errors import RejectedError, TransportError

REFUSED = RejectedError(5, "not yours", "IC0512", certified=True)


async def watched(looks: list[Any]) -> tuple[list[Any], list[Exception], int]:
    shown: list[Any] = []
    troubles: list[Exception] = []
    pauses = 0

    async def look() -> Any:
        came = looks.pop(0)
        if isinstance(came, Exception):
            raise came
        return came

    async def pause() -> None:
        nonlocal pauses
        pauses += 1

    with pytest.raises(RejectedError, match="not yours"):
        await again_and_again(look, shown.append, troubles.append, pause)
    return shown, troubles, pauses


async def test_each_look_is_shown_and_what_passes_is_told() -> None:
    lost = TransportError("no answer")
    shown, troubles, pauses = await watched(["first", lost, "second", REFUSED])
    assert (shown, troubles, pauses) == (["first", "second"], [lost], 3)
