"""`plan OWNER`, and `--plan` of `request` and `run`: what a creation would do, take and be refused; nothing is done.

Owns the command, the option and how a plan looks. Does not own: the plan (`factory.plan`), and that of `deploy`
(`deploy_plan`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output, quantities, settings
from canister_factory.cli.amounts import CYCLES_PRICE, CyclesPrice
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.errors import FAILED, InputError
from canister_factory.cli.options import F
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.results import moment
from canister_factory.cli.roles import Role
from canister_factory.ic.foreign_text import quoted

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.backend_check import CheckedBackend
    from canister_factory.factory.plan import Plan, Step
    from canister_factory.factory.plan_refusals import Command, Refusal

_MOST_SHOWN = 600
_IN_MONEY = ("creation", "importing", "life", "at_most", "expected", "left", "expected_left", "per_year")


def price_option(command: F) -> F:
    """`--cycles-price`: passed to the command as `price: CyclesPrice | None`."""
    return click.option(
        "--cycles-price",
        "price",
        type=CYCLES_PRICE,
        metavar="PRICE",
        help="With a plan: what a trillion cycles cost, such as 1.36USD or 1XDR. Nothing is looked up.",
    )(command)


def plan_options(command: F) -> F:
    """`--plan` and `--cycles-price`: passed to the command as `only_plan: bool` and `price`."""
    flag = click.option("--plan", "only_plan", is_flag=True, help="Show what the command would do, and do nothing.")
    return flag(price_option(command))


def require_plan(only_plan: bool, price: CyclesPrice | None) -> None:
    """Refuses a price that nothing would be made of.

    Raises:
        InputError: there is a price and no plan.
    """
    if price is not None and not only_plan:
        raise InputError("--cycles-price goes with --plan: add --plan to see what the cycles cost")


@click.command()
@click.argument("owner", type=PRINCIPAL)
@price_option
@backend_command(Role.STAFF)
def plan(owner: Principal, price: CyclesPrice | None, ask: Ask) -> None:
    """Show what OWNER's creation would do and cost.

    The plan shows what is there, each step that is left and why, the cycles for creation, import and each year, the
    time at mainnet's speed, and what would be refused. It spends nothing and changes nothing. The exit code is 1 when
    something would be refused. Admins and operators can give any OWNER, owners themselves.

    \b
    Example:
      canister-factory plan $OWNER --backend $BACKEND \\
        --identity operator.pem --cycles-price 1.36USD
    """
    from canister_factory.factory.plan_refusals import Command

    show_plan(ask, lambda _caller: owner, Command.ALL, price)


def show_plan(
    ask: Ask, owner: Callable[[Principal], Principal], of: Command, price: CyclesPrice | None, **how: Any
) -> None:
    """Makes the plan of a command, and shows it; the exit code is 1 when something would be refused.

    Args:
        ask: runs the questions.
        owner: whose creation it is, by the caller.
        of: the `factory.plan.Command`.
        price: of a trillion cycles.
        how: `config` and `asked`, as `factory.plan.plan` takes them.
    """

    async def work(backend: CheckedBackend) -> Plan:
        from canister_factory.candid.principal import Principal
        from canister_factory.factory import plan as planning

        await backend.make_sure()
        caller = Principal(backend.ic.identity.sender().bytes)
        return await planning.plan(backend, backend.ic, owner(caller), of, **how)

    made = ask(work)
    if settings.current().json:
        parts = {name: getattr(made.cost, name) for name in _IN_MONEY}
        output.json_object(made.fields() | {"money": in_money(parts, price)})
    else:
        show(made, price)
    if not made.ok:
        click.get_current_context().exit(FAILED)


def in_money(parts: Mapping[str, int], price: CyclesPrice | None) -> dict[str, object] | None:
    """What parts of cycles cost, as JSON has it; `None` without a price."""
    if price is None:
        return None
    costs = {name: round(float(price.of(cycles)), 4) for name, cycles in parts.items()}
    return {"unit": price.unit or None, "per_trillion": float(price.per_trillion), **costs}


def with_money(cycles: int, price: CyclesPrice | None) -> str:
    """An amount of cycles for a person, and what it costs."""
    money = "" if price is None else f" = {float(price.of(cycles)):,.2f} {price.unit}".rstrip()
    return quantities.cycles(cycles) + money


def show_steps(steps: Sequence[Step]) -> None:
    """Shows a person the steps of a plan."""
    output.table("What would be done", [(step.state, step.name, step.why) for step in steps], ("", "step", "why"))


def show_refusals(refusals: Sequence[Refusal]) -> None:
    """Shows a person what would be refused; and that nothing was done."""
    if refusals:
        rows = [(each.command, each.kind, quoted(each.message, _MOST_SHOWN)) for each in refusals]
        output.table("What would be refused", rows, ("command", "kind", "why"))
    output.note("Nothing was done, and it would be refused now." if refusals else "Nothing was done.")


def show(made: Plan, price: CyclesPrice | None) -> None:
    """Shows a plan to a person."""
    output.table("What is there", _present(made))
    show_steps(made.steps)
    output.table("What it takes", _cost(made, price) + _time(made))
    for sentence in made.unknown:
        output.note(f"not known beforehand: {sentence}")
    show_refusals(made.refusals)


def _present(made: Plan) -> list[tuple[str, object]]:
    facts, canister = made.facts, made.facts.canister
    creation = facts.creation
    count = facts.content.items
    content = f"{count:,} item{'s' * (count != 1)}, {quantities.size(facts.content.size)}"
    rows: list[tuple[str, object]] = [
        ("owner", output.ident(facts.owner)),
        ("creation", "not asked for" if creation is None else facts.status),
        ("capsule", content if facts.content.is_exact else f"at most {content}"),
    ]
    if creation is not None and creation.error is not None:
        rows.append(("error", quoted(creation.error.message, _MOST_SHOWN)))
    if creation is not None and creation.canister_id is not None and canister is not None:
        info = canister.info
        rows.append(("canister", f"{creation.canister_id}{'' if info is not None else ', which was deleted'}"))
        if info is not None:
            rows.append(("controllers", ", ".join(map(output.ident, info.controllers)) or "nobody"))
            rows.append(("module hash", output.ident(info.module_hash) if info.module_hash else "none"))
            rows.append(("stored there", quantities.size(canister.stored.size)))
    if facts.office is not None:
        rows.append(("reserve", f"{quantities.cycles(facts.office.reserve.available)} available"))
    return rows


def _cost(made: Plan, price: CyclesPrice | None) -> list[tuple[str, str]]:
    cost = made.cost
    usual = "" if cost.is_told else ", by the usual settings"

    def amount(cycles: int) -> str:
        return with_money(cycles, price)

    rows = [
        ("creation", amount(cost.creation)),
        ("import", amount(cost.importing)),
        ("to live on", f"{amount(cost.life)}, for {cost.funded_days:,} days besides its freezing threshold"),
        ("held, at most", amount(cost.at_most) + usual),
        ("expected", f"{amount(cost.expected)}, {_prices(cost.prices)}"),
        ("each year", f"{amount(cost.per_year)}, as expected"),
    ]
    if cost.spent:
        rows.append(("spent so far", amount(cost.spent)))
    rows.append(("still to pay", f"{amount(cost.expected_left)}; at most {amount(cost.left)}"))
    return [*rows, ("paid until", moment(cost.paid_until_ns))]


def _prices(network: str) -> str:
    """What the expectation goes by, which may be far from what the network charges."""
    from canister_factory.factory.funding import ANY_NETWORK

    if network == ANY_NETWORK:
        return "by the dearest prices known; this network may charge less"
    return f"by the table of prices of {quoted(network)}"


def _time(made: Plan) -> list[tuple[str, str]]:
    if not made.updates:
        return []
    times = [(f"time, {pace.name}", f"about {quantities.duration(made.seconds(pace))}") for pace in made.paces]
    copied = f", {quantities.size(made.to_copy)} to copy" if made.to_copy else ""
    return [*times, ("updates", f"{made.updates} one after another{copied}")]
