"""`--shell-on-failure`: puts the operator where the failed hook script stood."""

import os
import subprocess
import sys

import click

from agent.cli.safe_text import printable_path
from agent.errors import DeploymentError
from agent.host.script import ScriptRequest
from agent.host.users import current_user

FALLBACK_SHELL = "/bin/sh"
TERMINAL_VARIABLES = ("TERM", "COLORTERM")
_NO_SHELLS = ("nologin", "false")


def open_shell(failed: ScriptRequest) -> None:
    """Run an interactive shell with the environment, folder and user of a hook script, until it is left.

    Raises:
        DeploymentError: the shell cannot be started.
    """
    user = failed.user
    who = current_user() if user is None else user
    shell = choose_shell(os.environ.get("SHELL"), who.shell)
    for line in (
        f"{printable_path(failed.archive / failed.location)} failed.",
        f"This is {shell} as {who.name}, in the script's environment and folder. Leave it with `exit`.",
    ):
        click.echo(line, err=True)
    terminal = {name: os.environ[name] for name in TERMINAL_VARIABLES if name in os.environ}
    try:
        subprocess.run(
            [*failed.prefix, shell, "-i"],
            env={**terminal, **failed.env},
            cwd=failed.archive,
            user=None if user is None else user.uid,
            group=None if user is None else user.gid,
            extra_groups=None if user is None else user.groups,
            check=False,
        )
    except OSError as exc:
        raise DeploymentError(f"{shell}: {exc.strerror}", hint="set SHELL to a shell that is there") from exc


def choose_shell(own: str | None, theirs: str) -> str:
    """Return the operator's own shell, else the user's; never one that only says no."""
    for shell in (own, theirs):
        if shell and os.path.basename(shell) not in _NO_SHELLS and os.access(shell, os.X_OK):
            return shell
    return FALLBACK_SHELL


def has_terminal() -> bool:
    """Say whether somebody could use a shell here."""
    return sys.stdin.isatty() and sys.stderr.isatty()
