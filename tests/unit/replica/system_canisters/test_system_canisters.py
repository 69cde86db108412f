"""The cycles ledger and the cycles minting canister as tools meet them, and what the ledger keeps in its books."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from canister_factory.candid.encoding import encode
from canister_factory.candid.principal import Principal
from canister_factory.candid.text import parse_args
from canister_factory.candid.values import Case
from canister_factory.replica.store.checkpoint import Checkpoint
from canister_factory.replica.subnet.subnet import Subnet
from canister_factory.replica.system_canisters import builtins
from canister_factory.replica.system_canisters.cycles_ledger import (
    BLOCK_FEE,
    CYCLES_LEDGER,
    DRIFT_NS,
    LEDGER,
    TEST_BALANCE,
    WINDOW_NS,
)
from canister_factory.replica.system_canisters.cycles_minting import CYCLES_MINTING, MINTING
from canister_factory.replica.system_canisters.interface import SystemCanister
from support.replica_bench import OWNER, STRANGER, Bench, CallRejectedError, Clock, engine, system_result
from support.replica_puppet import call_argument

SUBNET_ID = b"\x01subnet\x02"
LIMIT = 2_000_000_000_000


@pytest.fixture
def bench() -> Bench:
    return Bench(lambda clock: Subnet(engine(), clock_ns=clock, subnet_id=SUBNET_ID, builtins=builtins()))


def ask(bench: Bench, canister: SystemCanister, method: str, text: str, *, query: bool = False) -> Any:
    """A call with textual arguments; the result's only value."""
    arg = encode(*parse_args(text, canister.method_type(method).args))
    reply = bench.query(canister.id, method, arg) if query else bench.call(canister.id, method, arg)
    return system_result(canister, method, reply)


def balance(bench: Bench, owner: bytes = OWNER, query: bool = True) -> int:
    cycles: int = ask(
        bench,
        LEDGER,
        "icrc1_balance_of",
        f'(record {{ owner = principal "{Principal(owner)}"; subaccount = null }})',
        query=query,
    )
    return cycles


def creation(amount: int = LIMIT, selection: str = "null", settings: str = "null", extra: str = "") -> str:
    return f"""(record {{ amount = {amount}; from_subaccount = null; created_at_time = null; {extra}
        creation_args = opt record {{ subnet_selection = {selection}; settings = {settings} }} }})"""


def test_the_ids_are_those_of_the_internet_computer() -> None:
    assert str(Principal(CYCLES_LEDGER)) == "um5iw-rqaaa-aaaaq-qaaba-cai"
    assert str(Principal(CYCLES_MINTING)) == "rkp4c-7iaaa-aaaaa-aaaca-cai"


def test_the_minting_canister_names_the_subnet_for_new_canisters(bench: Bench) -> None:
    assert ask(bench, MINTING, "get_default_subnets", "()", query=True) == [Principal(SUBNET_ID)]
    assert ask(bench, MINTING, "get_default_subnets", "()") == [Principal(SUBNET_ID)]


def test_everybody_starts_with_the_test_balance(bench: Bench) -> None:
    assert (balance(bench), balance(bench, STRANGER)) == (TEST_BALANCE, TEST_BALANCE)
    assert balance(bench, query=False) == TEST_BALANCE
    assert ask(bench, LEDGER, "icrc1_decimals", "()", query=True) == 12
    assert ask(bench, LEDGER, "icrc1_symbol", "()", query=True) == "TCYCLES"
    assert ask(bench, LEDGER, "icrc1_fee", "()", query=True) == BLOCK_FEE


def test_the_ledger_creates_a_canister_that_its_caller_controls_and_pays_for(bench: Bench) -> None:
    result = ask(bench, LEDGER, "create_canister", creation())
    assert result.tag == "Ok"
    created = bench.canister(result.value["canister_id"].bytes)
    assert created.settings.controllers == (OWNER,)
    assert created.balance == LIMIT - 500_000_000_000
    assert balance(bench) == TEST_BALANCE - LIMIT - BLOCK_FEE
    assert balance(bench, STRANGER) == TEST_BALANCE
    assert created.history[-1].from_canister
    again = ask(bench, LEDGER, "create_canister", creation())
    assert again.value["block_id"] == result.value["block_id"] + 1


def test_settings_and_subnet_are_those_that_the_caller_wants(bench: Bench) -> None:
    selection = f'opt variant {{ Subnet = record {{ subnet = principal "{Principal(SUBNET_ID)}" }} }}'
    settings = (
        f'opt record {{ controllers = opt vec {{ principal "{Principal(STRANGER)}" }}; freezing_threshold = opt 5 }}'
    )
    result = ask(bench, LEDGER, "create_canister", creation(selection=selection, settings=settings))
    created = bench.canister(result.value["canister_id"].bytes)
    assert created.settings.controllers == (STRANGER,)
    assert created.settings.freezing_threshold == 5


@pytest.mark.parametrize(
    ("argument", "error", "words"),
    [
        (creation(TEST_BALANCE), "InsufficientFunds", str(TEST_BALANCE)),
        (creation(1_000), "FailedToCreate", "500000000000"),
        (
            creation(selection='opt variant { Subnet = record { subnet = principal "aaaaa-aa" } }'),
            "FailedToCreate",
            "aaaaa-aa",
        ),
        ("(record { amount = 1; created_at_time = opt 5 })", "GenericError", "created_at_time"),
    ],
)
def test_a_refused_creation_says_why_and_costs_nothing(bench: Bench, argument: str, error: str, words: str) -> None:
    result = ask(bench, LEDGER, "create_canister", argument)
    refusal: Case = result.value
    assert (result.tag, refusal.tag) == ("Err", error)
    assert words in repr(refusal.value)
    assert balance(bench) == TEST_BALANCE
    assert not bench.subnet.canisters
    assert bench.subnet.state.cycles_minted == 0


def test_withdrawn_cycles_arrive_at_the_canister(bench: Bench) -> None:
    canister = bench.create(10**12)
    result = ask(bench, LEDGER, "withdraw", f'(record {{ amount = 7_000; to = principal "{Principal(canister)}" }})')
    assert result.tag == "Ok"
    assert bench.canister(canister).balance == 10**12 + 7_000
    assert balance(bench) == TEST_BALANCE - 7_000 - BLOCK_FEE


def withdrawal(canister: bytes, created_ns: int, amount: int = 7_000) -> str:
    to = Principal(canister)
    return f'(record {{ amount = {amount}; to = principal "{to}"; created_at_time = opt {created_ns} }})'


def test_a_withdrawal_with_its_time_is_made_once(bench: Bench) -> None:
    canister, now = bench.create(10**12), bench.clock.now_ns
    first = ask(bench, LEDGER, "withdraw", withdrawal(canister, now))
    again = ask(bench, LEDGER, "withdraw", withdrawal(canister, now))
    assert again == Case("Err", Case("Duplicate", {"duplicate_of": first.value}))
    assert bench.canister(canister).balance == 10**12 + 7_000
    assert balance(bench) == TEST_BALANCE - 7_000 - BLOCK_FEE
    for other in (withdrawal(canister, now + 1), withdrawal(canister, now, 7_001), withdrawal(bench.create(), now)):
        assert ask(bench, LEDGER, "withdraw", other).tag == "Ok"


def test_a_withdrawal_of_another_day_is_refused_and_forgotten(bench: Bench) -> None:
    canister, now = bench.create(10**12), bench.clock.now_ns
    assert ask(bench, LEDGER, "withdraw", withdrawal(canister, now)).tag == "Ok"
    bench.clock.advance((WINDOW_NS + DRIFT_NS) // 10**9 + 1)
    assert ask(bench, LEDGER, "withdraw", withdrawal(canister, now)) == Case("Err", Case("TooOld"))
    late = bench.clock.now_ns + DRIFT_NS + 10**12
    assert ask(bench, LEDGER, "withdraw", withdrawal(canister, late)).value.tag == "CreatedInFuture"
    assert bench.subnet.state.ledger_withdrawals == {}
    assert balance(bench) == TEST_BALANCE - 7_000 - BLOCK_FEE


def test_a_withdrawal_that_failed_may_be_made_again(bench: Bench) -> None:
    nobody, now = Principal.from_str("lxzze-o7777-77777-aaaaa-cai").bytes, bench.clock.now_ns
    for _ in range(2):
        assert ask(bench, LEDGER, "withdraw", withdrawal(nobody, now)).value.tag == "FailedToWithdraw"
    person = Principal.self_authenticating(b"a key").bytes
    assert ask(bench, LEDGER, "withdraw", withdrawal(person, now)).value.tag == "InvalidReceiver"
    assert balance(bench) == TEST_BALANCE


def test_a_canister_deposits_cycles_on_an_account(bench: Bench) -> None:
    canister = bench.puppet()
    text = f'(record {{ to = record {{ owner = principal "{Principal(OWNER)}" }} }})'
    arg = encode(*parse_args(text, LEDGER.method_type("deposit").args))
    reply = bench.call(canister, "forward", call_argument(CYCLES_LEDGER, "deposit", arg, 10**12))
    assert system_result(LEDGER, "deposit", reply)["balance"] == TEST_BALANCE + 10**12 - BLOCK_FEE
    assert balance(bench) == TEST_BALANCE + 10**12 - BLOCK_FEE
    with pytest.raises(CallRejectedError, match="needs at least 100000000"):
        bench.call(canister, "forward", call_argument(CYCLES_LEDGER, "deposit", arg, 10))


def test_a_withdrawal_to_nobody_is_refused_and_costs_nothing(bench: Bench) -> None:
    nobody = "lxzze-o7777-77777-aaaaa-cai"
    result = ask(bench, LEDGER, "withdraw", f'(record {{ amount = 7_000; to = principal "{nobody}" }})')
    assert (result.tag, result.value.tag) == ("Err", "FailedToWithdraw")
    assert result.value.value["rejection_code"] == Case("DestinationInvalid")
    assert nobody in result.value.value["rejection_reason"]
    assert balance(bench) == TEST_BALANCE


def test_an_update_method_is_no_query_and_an_unknown_one_is_refused(bench: Bench) -> None:
    with pytest.raises(CallRejectedError, match=r"IC0536.*create_canister"):
        ask(bench, LEDGER, "create_canister", creation(), query=True)
    with pytest.raises(CallRejectedError, match=r"IC0536.*icrc1_mint"):
        bench.call(CYCLES_LEDGER, "icrc1_mint")
    with pytest.raises(CallRejectedError, match="IC0503"):
        bench.call(CYCLES_LEDGER, "withdraw", b"garbage")


def test_accounts_survive_a_restart(tmp_path: Path) -> None:
    def opened(clock: Clock) -> Subnet:
        checkpoint = Checkpoint(tmp_path, engine())
        return Subnet(engine(), clock_ns=clock, subnet_id=SUBNET_ID, builtins=builtins(), checkpoint=checkpoint)

    bench = Bench(opened)
    ask(bench, LEDGER, "create_canister", creation())
    bench.subnet.persist()
    bench.subnet.close()
    bench.restart()
    assert balance(bench) == TEST_BALANCE - LIMIT - BLOCK_FEE
    assert len(bench.subnet.canisters) == 1
    bench.subnet.close()


def test_a_canister_may_ask_the_ledger_too(bench: Bench) -> None:
    canister = bench.puppet()
    arg = encode(*parse_args('(record { amount = 1; to = principal "aaaaa-aa" })', LEDGER.method_type("withdraw").args))
    reply = bench.call(canister, "forward", call_argument(CYCLES_LEDGER, "withdraw", arg, 0))
    assert system_result(LEDGER, "withdraw", reply).tag == "Err"
