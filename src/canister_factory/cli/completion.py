"""`completion bash|zsh|fish`: the script that makes a shell complete our commands and options.

Owns the command. Does not own: the script, and what it asks for while a person types (click).
"""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from canister_factory.cli import output, settings
from canister_factory.cli.options import output_options
from canister_factory.cli.parameters import Choice

PROGRAM = "canister-factory"


@click.command()
@click.argument("shell", type=Choice(["bash", "zsh", "fish"]))
@output_options
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    The script makes the shell complete commands, options and their values.

    \b
    To turn completion on permanently:
      bash  echo 'eval "$(canister-factory completion bash)"' >> ~/.bashrc
      zsh   echo 'eval "$(canister-factory completion zsh)"' >> ~/.zshrc
            # after the line with compinit
      fish  canister-factory completion fish \\
              > ~/.config/fish/completions/canister-factory.fish

    \b
    To turn it on in this shell only:
      eval "$(canister-factory completion bash)"
    """
    completion_class = get_completion_class(shell)
    assert completion_class is not None
    root = click.get_current_context().find_root().command
    variable = f"_{PROGRAM}_complete".replace("-", "_").upper()
    script = completion_class(root, {}, PROGRAM, variable).source()
    if settings.current().json:
        output.json_object({"shell": shell, "script": script})
    else:
        output.text(script)
