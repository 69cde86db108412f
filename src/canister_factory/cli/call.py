"""`call`: one method of one canister, with textual Candid in and out.

Owns the command. Does not own: the interface (`interface`), argument and reply (`call_candid`), the call itself
(`ic.agent`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from canister_factory.cli import settings
from canister_factory.cli.options import identity_option, network_options, output_options, run_with_agent
from canister_factory.cli.parameter_types import PRINCIPAL
from canister_factory.cli.parameters import Choice

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.call_candid import Form
    from canister_factory.ic.agent import Agent
    from canister_factory.ic.identity import Identity
    from canister_factory.ic.network import Network


@click.command()
@click.argument("canister", type=PRINCIPAL)
@click.argument("method")
@click.argument("args", required=False)
@click.option(
    "--args-file",
    type=click.File("rb"),
    help="File with ARGS, '-' for stdin. Use it for ARGS that are too long for a command line.",
)
@network_options
@identity_option
@click.option("--query/--update", "as_query", default=None, help="Kind of call.  [default: that of the interface]")
@click.option(
    "--did",
    "did_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the interface.  [default: the canister's certified metadata candid:service]",
)
@click.option("--output", "form", type=Choice(["text", "json", "hex"]), help="Form of the reply.  [default: text]")
@output_options
def call(
    canister: Principal,
    method: str,
    args: str | None,
    args_file: BinaryIO | None,
    network: Network,
    identity: Identity,
    as_query: bool | None,
    did_file: Path | None,
    form: Form | None,
) -> None:
    """Call METHOD of CANISTER with ARGS in textual Candid.

    ARGS look like '("text", 5, record { x = opt true })'. Without ARGS the method is called with '()', no arguments.

    CANISTER is the id of a canister. Give aaaaa-aa to call the management canister.

    \b
    Example:
      canister-factory call aaaaa-aa raw_rand --identity me.pem
    """
    from canister_factory.cli import call_candid, interface

    if args is not None and args_file is not None:
        raise click.UsageError("ARGS are given twice: on the command line and with --args-file")
    text = args or ""
    if args_file is not None:
        text = interface.utf8(args_file.read(), getattr(args_file, "name", "<stdin>"))
    given = None
    if did_file is not None:
        given = interface.of_file(did_file)
    elif canister == interface.MANAGEMENT:
        given = interface.of_management()
    shown: Form = form or ("json" if settings.current().json else "text")

    async def work(agent: Agent) -> None:
        known = given or await interface.of_canister(agent, canister)
        function = interface.method_of(known, method) if known is not None else None
        argument, values = call_candid.read_argument(text, function)
        query = as_query if as_query is not None else function is not None and function.is_query
        send = agent.query if query else agent.update
        effective = None
        if canister == interface.MANAGEMENT:
            effective = call_candid.effective_id(method, values) or await agent.default_effective_canister_id()
        reply = await send(canister, method, argument, effective_canister_id=effective)
        call_candid.show_reply(reply, function, known, shown)

    run_with_agent(identity, network, work)
