"""Which histories are accepted, by name; `test_motoko_history` asks the backend the same."""

from __future__ import annotations

import pytest

from canister_factory.contract.creation_models import CreationErrorKind
from canister_factory.factory.errors import HistoryError
from canister_factory.factory.history import describe, judge
from support.backend_world import OPERATOR
from support.histories import CASES, Case, controlled, deployed, history, known, unknown


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_history_is_judged(case: Case) -> None:
    if isinstance(case.expected, str):
        with pytest.raises(HistoryError, match=case.expected) as refused:
            judge(known(), case.history, case.attested, after_verification=case.after)
        assert refused.value.kind == CreationErrorKind.HistoryFailed
        assert not refused.value.retry_helps
    else:
        assert judge(known(), case.history, case.attested, after_verification=case.after) == case.expected


def test_a_change_is_described_by_what_who_and_when() -> None:
    installed, _, mystery = history(deployed(), controlled(), unknown()).recent_changes
    assert describe(installed) == (
        f"code_deployment (install of the module {'61' * 32}) by {OPERATOR.to_str()} at 1970-01-01T00:00:00Z"
    )
    mystery = mystery.model_copy(update={"origin": None, "timestamp_nanos": 1_800_000_000 * 10**9})
    assert describe(mystery) == "an unknown kind of change by an unknown author at 2027-01-15T08:00:00Z"
