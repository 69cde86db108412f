"""`alerts`: sends the notifications for admins to a webhook, once.

Owns the command. Does not own: what is sent (`factory.alerts`); `worker --webhook` sends them all the while.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from canister_factory import interrupts
from canister_factory.cli import output, settings
from canister_factory.cli.backend import Ask, backend_command
from canister_factory.cli.results import moment
from canister_factory.cli.roles import Role
from canister_factory.cli.webhook_options import Receiver, webhook_options

if TYPE_CHECKING:
    from canister_factory.contract.clients import BackendClient


@click.command()
@webhook_options(required=True)
@backend_command(Role.STAFF)
def alerts(receiver: Receiver, ask: Ask) -> None:
    """Send the notifications for admins to a webhook.

    Each is sent once, in order, as signed JSON ("Standard Webhooks"); what an admin has acknowledged isn't sent. The
    first that the webhook doesn't take ends the command with exit code 1, and is the first of the next time.

    \b
    Example:
      openssl rand -base64 32 > webhook.secret; chmod 600 webhook.secret
      canister-factory alerts --webhook https://alerts.example.org/hook \\
        --webhook-secret webhook.secret --webhook-state webhook.json
    """
    from canister_factory.cli.worker_report import sent_fields

    interrupts.if_interrupted("what was sent before is on record. The same command goes on")

    async def send(backend: BackendClient) -> None:
        count = 0
        sender = receiver.alerts(backend)
        try:
            async for notification in sender.send():
                count += 1
                if settings.current().json:
                    output.json_object(sent_fields(notification), flush=True)
                else:
                    output.note(f"sent {notification.id}: {notification.kind} of {moment(notification.at)}")
        except Exception as error:
            if count:
                error.add_note(f"Before it {count} were sent")
            error.add_note("The same command goes on with the first that wasn't taken")
            raise
        if not settings.current().json:
            output.sentence(f"{count} sent." if count else "Nothing is to be sent.")

    ask(send)
