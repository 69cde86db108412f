"""`--webhook` and its companions, as `alerts` and `worker` have them.

Owns these options, and what they become. Does not own: what is sent (`factory.alerts`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from canister_factory.cli import output
from canister_factory.cli.errors import InputError
from canister_factory.cli.options import F

if TYPE_CHECKING:
    from canister_factory.contract.clients import BackendClient
    from canister_factory.factory.alerts import Alerts

WEBHOOK_VARIABLE = "CANISTER_FACTORY_WEBHOOK"
_FILE = click.Path(dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where notifications go, and what is known of it."""

    url: str
    secret: Path
    state: Path

    def alerts(self, backend: BackendClient) -> Alerts:
        """The sender for a backend.

        Raises:
            WebhookError: URL or secret can't be used.
            AlertStateError: the file of what was sent can't be read.
        """
        from canister_factory.factory.alert_state import AlertState
        from canister_factory.factory.alerts import Alerts
        from canister_factory.factory.webhook import Webhook, read_secret

        secret = read_secret(self.secret, warn=lambda said: output.note(f"warning: {said}"))
        return Alerts(backend, Webhook(self.url, secret), AlertState(self.state))


def webhook_options(*, required: bool) -> Callable[[F], F]:
    """`--webhook URL` and the two files that it needs: passed to the command as `receiver: Receiver | None`."""

    def decorate(command: F) -> F:
        @wraps(command)
        def with_receiver(
            *args: Any, webhook: str | None, webhook_secret: Path | None, webhook_state: Path | None, **rest: Any
        ) -> Any:
            receiver = None
            if webhook is not None:
                if webhook_secret is None or webhook_state is None:
                    raise InputError("--webhook needs --webhook-secret FILE and --webhook-state FILE as well")
                receiver = Receiver(webhook, webhook_secret, webhook_state)
            elif webhook_secret is not None or webhook_state is not None:
                raise InputError("--webhook-secret and --webhook-state are for --webhook, which isn't given")
            return command(*args, receiver=receiver, **rest)

        for option in (
            click.option(
                "--webhook-state",
                metavar="FILE",
                type=_FILE,
                required=required,
                help="Remembers what was sent; made with the first message. One sender uses it at a time.",
            ),
            click.option(
                "--webhook-secret",
                metavar="FILE",
                type=_FILE,
                required=required,
                help="Signs the messages: base64 of 24 to 64 bytes, as 'openssl rand -base64 32' makes it.",
            ),
            click.option(
                "--webhook",
                metavar="URL",
                required=required,
                envvar=WEBHOOK_VARIABLE,
                show_envvar=True,
                help="Receives the notifications for admins. https, or http on this computer.",
            ),
        ):
            with_receiver = option(with_receiver)
        return with_receiver  # type: ignore[return-value]

    return decorate
