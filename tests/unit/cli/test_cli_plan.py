"""How a plan looks to a person, and what its cycles cost."""

from __future__ import annotations

from fractions import Fraction

import click
import pytest
from click.testing import CliRunner, Result

from canister_factory.cli.amounts import CyclesPrice
from canister_factory.cli.errors import InputError
from canister_factory.cli.plan import in_money, require_plan, show, with_money
from canister_factory.contract.creation_models import Admission, CreationStatus
from canister_factory.factory.plan import made_of
from canister_factory.factory.plan_facts import Facts
from canister_factory.factory.plan_refusals import Command
from support.planned import CANISTER, MODULE, OWNER, T, canister, creation, facts, stored

PRICE = CyclesPrice(Fraction("1.36"), "USD")


def shown(given: Facts, price: CyclesPrice | None = None) -> Result:
    """The screen of a plan."""

    @click.command()
    def command() -> None:
        show(made_of(given, Command.ALL, MODULE, network="embedded", is_embedded=True), price)

    return CliRunner().invoke(command)


def test_a_plan_shows_what_is_there_what_comes_and_what_it_takes() -> None:
    screen = shown(facts()).stdout
    assert [title for title in ("What is there", "What would be done", "What it takes") if title in screen] != []
    for words in ("creation  not asked for", "to do  Exporting", "time, mainnet", "7 one after another"):
        assert words in screen
    assert "What would be refused" not in screen


def test_a_half_done_creation_shows_its_canister_and_what_is_stored_there() -> None:
    half = creation(CreationStatus.Importing, canister_id=CANISTER, cycles_consumed=T)
    screen = shown(facts(creation=half, canister=canister(stored=stored(1_000)))).stdout
    assert f"canister      {CANISTER}" in screen
    assert "stored there  1.0 kB" in screen
    assert "spent so far            1.000 T" in screen


def test_no_step_has_a_word_too_long_for_a_line_of_a_table() -> None:
    steps = made_of(
        facts(admission=Admission.Approval), Command.ALL, MODULE, network="embedded", is_embedded=True
    ).steps
    assert "Approval" in {step.name for step in steps}
    assert max(len(word) for step in steps for word in step.why.split()) < 40


def test_what_would_be_refused_is_shown_with_its_command_and_a_sentence() -> None:
    ran = shown(facts(enabled=False))
    assert "request  Disabled" in " ".join(ran.stdout.split(" "))
    assert "Nothing was done, and it would be refused now." in ran.stderr


def test_what_the_caller_may_not_know_is_said() -> None:
    own = shown(facts(office=None, caller=OWNER))
    assert "not known beforehand: whether the reserve covers it" in own.stderr
    assert "by the usual settings" in own.stdout


def test_money_is_shown_beside_the_cycles() -> None:
    assert with_money(T, PRICE) == "1.000 T (1,000,000,000,000) = 1.36 USD"
    assert with_money(T, CyclesPrice(Fraction(1), "")) == "1.000 T (1,000,000,000,000) = 1.00"
    assert with_money(T, None) == "1.000 T (1,000,000,000,000)"
    assert in_money({"needed": T // 2}, PRICE) == {"unit": "USD", "per_trillion": 1.36, "needed": 0.68}
    assert in_money({"needed": T}, None) is None
    assert " USD" in shown(facts(), PRICE).stdout


def test_a_price_without_a_plan_is_refused() -> None:
    with pytest.raises(InputError, match="--cycles-price goes with --plan"):
        require_plan(False, PRICE)
    require_plan(True, PRICE)
    require_plan(False, None)
