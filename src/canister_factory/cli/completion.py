"""`completion bash|zsh|fish`: the script that makes a shell complete our commands and options.

Owns what is printed. Does not own: the script and what it asks for while a person types (click).
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from canister_factory.cli import output
from canister_factory.cli.options import output_options
from canister_factory.cli.parameters import Choice

PROGRAM = "canister-factory"


@click.command()
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@output_options
def completion(shell: str) -> None:
    """Print a script that makes SHELL complete commands, options and their values.

    \b
    For good, until the next login and after it:
      bash  echo 'eval "$(canister-factory completion bash)"' >> ~/.bashrc
      zsh   echo 'eval "$(canister-factory completion zsh)"' >> ~/.zshrc   # after compinit
      fish  canister-factory completion fish > ~/.config/fish/completions/canister-factory.fish

    \b
    In this shell only:
      eval "$(canister-factory completion bash)"
    """
    made = get_completion_class(shell)
    assert made is not None
    root = click.get_current_context().find_root().command
    variable = f"_{PROGRAM}_complete".replace("-", "_").upper()
    script = made(root, {}, PROGRAM, variable).source()
    if output.settings.json:
        output.json_object({"shell": shell, "script": script})
    else:
        output.text(script)
