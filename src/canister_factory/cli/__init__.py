"""The command line. One module per command group; output (human, JSON) in one place."""

from __future__ import annotations

import click


@click.group()
@click.version_option(package_name="canister-factory")
def main() -> None:
    """Give people their own canister on the Internet Computer."""
