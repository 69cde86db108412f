"""`demo`: the whole main job on an embedded replica of its own, with a directory's files as somebody's memories.

Owns the command. Does not own: the story (`demo_story`), the files (`local_files`), or the network (`demo_network`).
"""

from __future__ import annotations

import time
from pathlib import Path

import click

from canister_factory import interrupts
from canister_factory.cli import output, quantities, settings
from canister_factory.cli.errors import FAILED
from canister_factory.cli.options import output_options, prices_option


@click.command()
@click.argument("directory", required=False, metavar="[DIR]", type=click.Path(path_type=Path))
@click.option("--all", "hidden", is_flag=True, help="Include hidden files and folders.")
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders with this name or path, such as '*.tmp'. Repeatable.",
)
@prices_option
@click.option("--keep", is_flag=True, help="Keep the replica running, and the PEM files of the identities on disk.")
@output_options
def demo(directory: Path | None, hidden: bool, exclude: tuple[str, ...], prices: str | None, keep: bool) -> None:
    """Create a personal canister from the files in DIR.

    The demo starts an embedded replica and stores the files as memories on a backend canister. The owner of the files
    asks for a personal canister. The orchestrator creates it, copies and verifies the memories, and hands it over. The
    owner then reads every byte back.

    Without DIR the demo uses a few bundled files. The exit code is 1 when a file can't be read and is left out.

    \b
    Example:
      canister-factory demo ~/memories --exclude '*.tmp' --exclude drafts
    """
    from canister_factory.cli.demo_network import DemoNetwork
    from canister_factory.cli.demo_story import tell
    from canister_factory.cli.local_files import SAMPLE, find_files
    from canister_factory.cli.progress import step

    interrupts.if_interrupted("nothing of the demo is kept. Run it again")
    started = time.monotonic()
    selection = find_files(
        directory or SAMPLE, lambda reason: step(f"left out: {reason}"), hidden=hidden, exclude=exclude
    )
    origin = "the bundled files" if directory is None else str(directory)
    size = quantities.size(sum(file.size for file in selection.files))
    step(f"{quantities.files(len(selection.files))}, {size}, from {origin}")
    with interrupts.held(), DemoNetwork(keep=keep, prices=prices) as network:
        result = interrupts.run(lambda: network.watched(tell(network, selection.files, started)))
        if settings.current().json:
            output.json_object({**result.fields(network.network.url), "unreadable": selection.unreadable})
        else:
            result.show()
        network.explain(result.backend_id, result.canister_id)
    if selection.unreadable:
        _report_unreadable(selection.unreadable)


def _report_unreadable(names: list[str]) -> None:
    """Says what is missing, and ends the command with exit code 1."""
    left_out = f"{names[0]} can't be read and was left out"
    if len(names) > 1:
        left_out = f"{quantities.files(len(names))} can't be read and were left out"
    output.note(f"not everything was copied: {left_out}")
    click.get_current_context().exit(FAILED)
