"""`doctor`: checks everything that a command needs, from Python to the backend's reserve, and says what to do.

Owns the order of the checks. Does not own: the checks (`doctor_checks`, `doctor_backend`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli.errors import DONE, FAILED, UNREACHABLE
from canister_factory.cli.options import (
    backend_option,
    identity_source_options,
    network_name_options,
    output_options,
    resolve_network,
)
from canister_factory.cli.results import Check, Verdict, show_checks

if TYPE_CHECKING:
    from canister_factory.candid.principal import Principal
    from canister_factory.cli.identity_source import IdentitySource


@click.command()
@network_name_options
@identity_source_options
@partial(backend_option, required=False)
@output_options
def doctor(
    network_name: str,
    root_key_hex: str | None,
    fetch_root_key: bool,
    source: IdentitySource,
    backend: Principal | None,
) -> None:
    """Check what commands need, and say what to do.

    The command checks the installation, the identity, the network and the backend. It changes nothing. The exit code
    is 1 when a check fails, and 3 when the network can't be reached.

    \b
    Example:
      canister-factory doctor --network local --backend $BACKEND \\
        --identity admin.pem
    """
    from canister_factory.cli import doctor_checks
    from canister_factory.ic.errors import IcError, NetworkConfigError, NetworkUnreachableError

    checks = [
        doctor_checks.installation(),
        doctor_checks.embedded_replica(network_name),
        doctor_checks.bundled_canisters(),
    ]
    identity_check, identity = doctor_checks.key(source)
    checks.append(identity_check)
    reached = True
    try:
        network = resolve_network(network_name, root_key_hex, fetch_root_key)
    except (IcError, click.BadParameter) as error:
        reached = not isinstance(error, NetworkUnreachableError)
        known = isinstance(error, NetworkUnreachableError | NetworkConfigError)
        checks.append(Check("network", Verdict.FAILED, str(error), "" if known else "is this a network?"))
    else:
        checks.append(doctor_checks.root_key(network, network_name, root_key_hex, fetch_root_key))
        online, reached = interrupts.run(lambda: doctor_checks.online(network, identity, backend))
        checks.extend(online)
    passed = show_checks("", checks)
    click.get_current_context().exit(DONE if passed else FAILED if reached else UNREACHABLE)
