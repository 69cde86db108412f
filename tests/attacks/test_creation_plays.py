"""Whatever owners, workers, a hostile operator, admins, faults and time do to creations, in whatever order."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from support.creation_machine import Creations


@pytest.mark.parametrize("number", range(6))
def test_nothing_done_to_creations_costs_an_owner_or_the_reserve_anything(number: int, sweep: bool) -> None:
    """The same plays each time; with --sweep a thousand, and the smallest one that fails is looked for."""
    plays = settings(
        max_examples=1_000 if sweep else 15,
        stateful_step_count=50 if sweep else 40,
        phases=[Phase.generate, Phase.shrink] if sweep else [Phase.generate],
        database=None,
        deadline=None,
        report_multiple_bugs=False,
    )
    tally: Counter[str] = Counter()
    run_state_machine_as_test(seed(number)(type("Creations", (Creations,), {"tally": tally})), settings=plays)
    assert tally["plays"] > 0
    assert tally["completed"] > 0, "no play comes as far as it should"
