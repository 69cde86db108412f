"""Each function of the System API in each context: it works where the specification says so, and traps elsewhere.

Source: interface specification, "Overview of imports". A run takes a sample of the pairs, `--sweep` all of them.
"""

from __future__ import annotations

import pytest

from support.system_api_contexts import CONTEXTS, Calling, allowed_modes
from support.system_api_modules import ONLY_32_BIT, SPECIFICATION

NOT_ALLOWED = "cannot be executed in"
# Cycles are minted by one canister of mainnet only; elsewhere the function traps in another way.
FUNCTIONS = [name for name in (*SPECIFICATION, *ONLY_32_BIT) if name != "mint_cycles128"]
PAIRS = [
    pytest.param(name, context, memory64, id=f"{name} in {context}{' with 64 bits' if memory64 else ''}")
    for name in FUNCTIONS
    for memory64 in (False, True)
    if not (memory64 and name in ONLY_32_BIT)
    for context in CONTEXTS
]


def expected(name: str, context: str) -> str:
    """A part of the error or of the reject; empty where there is none."""
    mode, _ = CONTEXTS[context]
    if context == "composite cleanup":  # nobody is told why a cleanup failed: the answer is why the callback did
        return "" if mode in allowed_modes(name) and name != "trap" else "unreachable"
    if mode not in allowed_modes(name):
        return NOT_ALLOWED
    if context == "transform":  # what the query replies with, nothing, is no http response
        working = {"trap": "trapped explicitly", "msg_reject": "function failed"}
        return working.get(name, "answer is no http response")
    return {"trap": "trapped explicitly", "msg_reject": "IC0406"}.get(name, "")


@pytest.mark.sample(400)
@pytest.mark.parametrize(("name", "context", "memory64"), PAIRS)
def test_a_function_works_exactly_where_the_specification_says(name: str, context: str, memory64: bool) -> None:
    _, call_it = CONTEXTS[context]
    error = call_it(Calling(name, memory64=memory64))
    part = expected(name, context)
    assert part in error
    assert bool(error) == bool(part)
