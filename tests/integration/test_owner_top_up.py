"""Cycles that an owner gives to a canister: once, wherever it is killed, and never to a wrong one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from canister_factory.candid.principal import Principal
from canister_factory.ic.agent import Agent
from canister_factory.ic.cycles import CyclesLedger, CyclesWallet
from canister_factory.ic.errors import OutcomeUnknownError, PaymentRefusedError, RejectedError
from canister_factory.ic.management import ManagementCanister
from canister_factory.ic.management_types import CanisterSettings
from canister_factory.owner.errors import PaymentError
from canister_factory.owner.open_payments import OpenPayments
from canister_factory.owner.payers import FromLedger, FromNowhere, FromWallet, Paid, Payer
from canister_factory.owner.top_up import ToppedUp, TopUp
from canister_factory.testing import EmbeddedReplica
from support.creation_world import World
from support.cycles_wallet import HAS, Way, new_wallet
from support.killing import DyingAgent, Killed
from support.wallet_canister import personal_canister_of

AMOUNT = 2 * 10**12
FEE = 100_000_000
IDLE = 10**9
"""Cycles at most that canisters burn meanwhile, and are charged for calls about them."""


class Till:
    """An owner's canister, and payments to it noted in a directory of the test's own."""

    def __init__(self, world: World, canister_id: Principal, path: Path) -> None:
        self.world = world
        self.canister_id = canister_id
        self.path = path

    def top_up(self, agent: Agent, payer: Payer, canister_id: Principal | None = None) -> TopUp:
        payments = OpenPayments(self.path / f"{canister_id or self.canister_id}.json")
        return TopUp(agent, canister_id or self.canister_id, payer, payments, str)

    async def pay(self, payer: Callable[[Agent], Payer], agent: Agent | None = None, amount: int = AMOUNT) -> ToppedUp:
        """As the command does."""
        agent = agent or self.world.owner
        paying = self.top_up(agent, payer(agent))
        await paying.check(amount, any_canister=False)
        return await paying.pay(amount)

    async def has(self) -> int:
        return (await ManagementCanister(self.world.owner).canister_status(self.canister_id)).cycles

    async def dying(self, method: str, *, executed: bool) -> DyingAgent:
        """An agent of the owner's that ends at the first call of that method."""
        agent = await self.world.stack.enter_async_context(DyingAgent(self.world.owner.identity, self.world.network))
        agent.dies_of, agent.executed = method, executed
        return agent


@pytest.fixture
async def till(world: World, tmp_path: Path) -> Till:
    return Till(world, await personal_canister_of(world.owner_id, world.operator), tmp_path / "payments")


async def test_cycles_of_the_ledger_arrive_and_the_new_date_is_known(till: Till) -> None:
    ledger, before = CyclesLedger(till.world.owner), await till.has()
    had = await ledger.balance()
    made = await till.pay(FromLedger)
    assert made.paid.block is not None
    assert not made.paid.was_made_before
    assert made.status is not None
    assert AMOUNT - IDLE < made.status.cycles - before <= AMOUNT
    assert had - await ledger.balance() == AMOUNT + FEE
    assert list(till.path.iterdir()) == []


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("method", ["canister_status", "withdraw"])
async def test_a_top_up_from_the_ledger_that_was_killed_anywhere_is_paid_once(
    till: Till, method: str, executed: bool
) -> None:
    ledger, before = CyclesLedger(till.world.owner), await till.has()
    had = await ledger.balance()
    with pytest.raises(Killed):
        await till.pay(FromLedger, await till.dying(method, executed=executed))
    if method == "withdraw":
        with pytest.raises(PaymentError, match="isn't known to be finished: nothing else is paid"):
            await till.pay(FromLedger, amount=AMOUNT + 1)
    made = await till.pay(FromLedger)
    assert made.paid.was_made_before is (method == "withdraw" and executed)
    assert had - await ledger.balance() == AMOUNT + FEE
    assert AMOUNT - IDLE < await till.has() - before <= AMOUNT
    again = await till.pay(FromLedger)
    assert not again.paid.was_made_before, "the next one is another payment"


async def test_the_look_after_the_payment_may_be_killed_too(till: Till) -> None:
    before, had = await till.has(), await CyclesLedger(till.world.owner).balance()
    dying = await till.dying("canister_status", executed=False)
    dying.lives = 1
    with pytest.raises(Killed):
        await till.pay(FromLedger, dying)
    assert list(till.path.iterdir()) == [], "the outcome was known"
    assert had - await CyclesLedger(till.world.owner).balance() == AMOUNT + FEE
    assert AMOUNT - IDLE < await till.has() - before <= AMOUNT


@pytest.mark.parametrize("wide", [True, False], ids=["128 bits", "64 bits"])
async def test_a_wallet_pays_by_its_standard_call(till: Till, wide: bool) -> None:
    wallet = await new_wallet(till.world.owner, wide=wide)
    before = await till.has()
    made = await till.pay(lambda agent: FromWallet(agent, wallet))
    assert made.status is not None
    assert AMOUNT - IDLE < made.status.cycles - before <= AMOUNT
    left = await CyclesWallet(till.world.owner, wallet).balance()
    assert AMOUNT <= HAS - left < AMOUNT + IDLE * 100


@pytest.mark.parametrize("executed", [False, True], ids=["before", "after"])
async def test_a_killed_payment_of_a_wallet_is_told_by_both_balances_and_not_repeated(
    till: Till, executed: bool
) -> None:
    wallet, before = await new_wallet(till.world.owner), await till.has()

    def payer(agent: Agent) -> Payer:
        return FromWallet(agent, wallet)

    with pytest.raises(Killed):
        await till.pay(payer, await till.dying("wallet_send128", executed=executed))
    for _ in range(2):
        with pytest.raises(
            PaymentError, match=r"isn't known.*had \d+ and has (\d+); the wallet .*had \d+ and has"
        ) as told:
            await till.pay(payer)
        assert str(await CyclesWallet(till.world.owner, wallet).balance())[:4] in str(told.value)
        assert "can still be executed until" in str(told.value)
    paid = AMOUNT if executed else 0
    assert abs(await till.has() - before - paid) < IDLE
    paying = till.top_up(till.world.owner, payer(till.world.owner))
    opened = await paying.check(AMOUNT, any_canister=False, anew=True)
    assert opened is not None
    assert (opened.amount, opened.payer) == (AMOUNT, f"the wallet {wallet}")
    with pytest.raises(PaymentError, match="isn't known"):
        await till.pay(payer)  # nothing is forgotten until the owner has said so
    paying.forget()
    await paying.pay(AMOUNT)
    assert abs(await till.has() - before - paid - AMOUNT) < IDLE


async def test_a_wallet_that_refuses_is_believed_where_its_balance_agrees(till: Till) -> None:
    owner, before = till.world.owner, await till.has()
    for way, error, words in (
        (Way.SAYS_ERR, PaymentRefusedError, "sent nothing: a wallet's reason"),
        (Way.REJECTS, RejectedError, "Nothing was paid"),
        (Way.SENDS_AND_REJECTS, PaymentError, "isn't known"),
    ):
        wallet = await new_wallet(owner, way)
        with pytest.raises(error) as told:
            await till.pay(lambda agent, wallet=wallet: FromWallet(agent, wallet))  # type: ignore[misc]
        assert words in " ".join([str(told.value), *getattr(told.value, "__notes__", [])])
        assert bool(list(till.path.iterdir())) is (way is Way.SENDS_AND_REJECTS)
        assert abs(await till.has() - before - (AMOUNT if way is Way.SENDS_AND_REJECTS else 0)) < IDLE


async def test_a_cut_payment_of_the_test_network_is_told_too(till: Till) -> None:
    class Cut(FromNowhere):
        async def pay(self, to: Principal, amount: int, created_at_ns: int) -> Paid:
            raise OutcomeUnknownError(b"\x01" * 32, 0, "the connection broke")

    with pytest.raises(PaymentError, match="isn't known: the call was cut"):
        await till.pay(Cut)
    with pytest.raises(PaymentError, match=r"from the test network at .* isn't known"):
        await till.pay(FromNowhere)


async def test_a_wrong_canister_is_refused_before_anything_is_paid(till: Till) -> None:
    world, ledger = till.world, CyclesLedger(till.world.owner)
    had = await ledger.balance()
    management = ManagementCanister(world.owner)
    gone = await management.provisional_create_canister_with_cycles(10**12)
    empty = await management.provisional_create_canister_with_cycles(10**12)
    await management.stop_canister(gone)
    await management.delete_canister(gone)
    foreign = await personal_canister_of(world.operator_id, world.admin)
    for canister_id, words in (
        (gone, "deleted, or is on another network"),
        (
            Principal.from_str("lxzze-o7777-77777-aaaaa-cai" if world.backend_id != gone else "aaaaa-aa"),
            "isn't yours|no personal",
        ),
        (empty, "no personal canister, by its certified interface"),
        (world.backend_id, "no personal canister"),
        (foreign, "isn't yours"),
    ):
        with pytest.raises(PaymentError, match=words):
            await till.top_up(world.owner, FromLedger(world.owner), canister_id).check(AMOUNT, any_canister=False)
    assert await ledger.balance() == had
    gift = till.top_up(world.owner, FromLedger(world.owner), foreign)
    assert await gift.check(AMOUNT, any_canister=True) is None
    assert (await gift.pay(AMOUNT)).status is None, "not the caller's to see"


async def test_a_payer_that_cannot_pay_is_refused_early(till: Till) -> None:
    owner = till.world.owner
    too_much = await CyclesLedger(owner).balance()
    with pytest.raises(PaymentError, match=r"the cycles ledger can pay .* at most"):
        await till.pay(FromLedger, amount=too_much)
    wallet = await new_wallet(owner)
    with pytest.raises(PaymentError, match=r"the wallet .* can pay"):
        await till.pay(lambda agent: FromWallet(agent, wallet), amount=HAS * 2)
    with pytest.raises(PaymentError, match="doesn't answer you as a wallet"):
        await till.pay(lambda agent: FromWallet(agent, till.canister_id))
    with pytest.raises(PaymentError, match="there is no wallet"):
        await till.pay(lambda agent: FromWallet(agent, Principal(b"\x00\x00\x00\x00\x00\x0f\xff\xff\x01\x01")))
    assert not till.path.exists()


async def test_a_frozen_canister_is_topped_up(till: Till) -> None:
    management = ManagementCanister(till.world.owner)
    await management.update_settings(till.canister_id, CanisterSettings(freezing_threshold=10**12))
    with pytest.raises(RejectedError, match="frozen"):
        await till.world.personal(till.canister_id).get_personal_info()
    made = await till.pay(FromLedger)
    assert made.status is not None
    assert made.status.settings.freezing_threshold == 10**12, "seen by a query: it can't pay for a certified look"
    await management.update_settings(till.canister_id, CanisterSettings(freezing_threshold=10**6))


async def test_a_payment_of_days_ago_is_told_and_not_repeated(till: Till, own_replica: EmbeddedReplica | None) -> None:
    if own_replica is None:
        pytest.skip("time travels on the embedded replica only")
    with pytest.raises(Killed):
        await till.pay(FromLedger, await till.dying("withdraw", executed=True))
    own_replica.advance(3 * 86_400)
    owner = till.world.agent(till.world.owner.identity, clock_ns=own_replica.clock)
    had = await CyclesLedger(owner).balance()
    with pytest.raises(PaymentError, match="isn't known") as told:
        await till.pay(FromLedger, owner)
    assert "can still be executed" not in str(told.value)
    assert await CyclesLedger(owner).balance() == had
