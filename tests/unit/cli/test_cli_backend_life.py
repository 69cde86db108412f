"""How long a backend lives, as `doctor` and `reserve status` say it."""

from __future__ import annotations

import pytest

from canister_factory.cli.backend_life import BackendLife
from canister_factory.cli.results import Verdict

DAY_NS = 86_400 * 10**9


@pytest.mark.parametrize(
    ("days", "verdict"),
    [(400, Verdict.OK), (30, Verdict.OK), (29, Verdict.WARNING), (7, Verdict.WARNING), (6, Verdict.FAILED)],
)
def test_few_days_are_a_warning_and_a_week_is_a_failure(days: int, verdict: Verdict) -> None:
    check = BackendLife(10**9, days * DAY_NS, days, is_reckoned=False).check("the backend")
    assert check.verdict == verdict
    assert f"{days} days" in check.found
    assert ("send cycles to the backend" in check.advice) == (verdict != Verdict.OK)


def test_what_burns_nothing_never_stops() -> None:
    life = BackendLife(0, None, None, is_reckoned=True)
    assert life.check("the backend").verdict == Verdict.OK
    assert life.rows()[1] == ("stops", "never")
    assert life.fields() == {"cycles_burned_per_day": "0", "stops": None, "days_left": None}


def test_what_the_backend_reckons_is_called_so() -> None:
    rows = dict(BackendLife(10**9, 60 * DAY_NS, 60, is_reckoned=True).rows())
    assert rows["stops"] == "1970-03-02, in about 60 days"
    assert str(rows["burns a day"]).startswith("about ")
