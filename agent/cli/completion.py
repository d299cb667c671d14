"""`agentctl completion`: the script that teaches a shell to complete agentctl's command lines."""

import click

from agent.cli.main import PROGRAM, agentctl

_VARIABLE = "_AGENTCTL_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of a shell.

    Commands, options, file names, deployment ids and group names are completed.

    \b
    Examples:
      agentctl completion bash > /etc/bash_completion.d/agentctl
      agentctl completion zsh > ~/.zfunc/_agentctl
      agentctl completion fish > ~/.config/fish/completions/agentctl.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(agentctl, {}, PROGRAM, _VARIABLE).source())
