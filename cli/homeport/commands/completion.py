"""`homeport completion`: the script that teaches a shell the commands, options and catalog ids."""

import click

from homeport.commands.main import cli, common_options, examples
from homeport.commands.output import Output

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=examples(
        "homeport completion bash > ~/.local/share/bash-completion/completions/homeport",
        "homeport completion fish > ~/.config/fish/completions/homeport.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
@common_options
@click.pass_obj
def completion(out: Output, shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None, "click knows each of SHELLS"
    out.data(found(cli, {}, "homeport", "_HOMEPORT_COMPLETE").source())
