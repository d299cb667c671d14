"""Where the deployments are that a command speaks of: the options for it, the journal behind them, ids by prefix."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from agent.config import Config
    from agent.core.layout import Layout
    from agent.journal.journal import Journal
    from agent.journal.rows import DeploymentRow

LAST = "last"
_F = TypeVar("_F", bound=Callable[..., object])


def refuse_empty(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """An option's callback: an empty value is an unset variable in somebody's script, never the current directory."""
    if value == "":
        raise click.BadParameter("is empty; is a variable unset?", param=parameter)
    return value


def _folder(context: click.Context, parameter: click.Parameter, value: str | None) -> Path | None:
    given = refuse_empty(context, parameter, value)
    return None if given is None else Path(given)


def place_options(function: _F) -> _F:
    """Give a command `--agent-configuration-file` and `--root-dir`, in `config_file` and `root_dir`."""
    function = click.option(
        "--root-dir",
        metavar="DIR",
        callback=_folder,
        help="Deployment root, instead of the configured one.",
    )(function)
    return click.option(
        "-c",
        "--agent-configuration-file",
        "config_file",
        metavar="FILE",
        type=click.Path(path_type=Path),
        help="Configuration file of this or of the official agent. Default: the usual places, else built-in values.",
    )(function)


def load_place(config_file: Path | None, root_dir: Path | None) -> "Config":
    """Return the configuration that `place_options` ask for; its warnings go to standard error.

    Raises:
        ConfigError: the file cannot be used.
    """
    from agent.cli.safe_text import printable
    from agent.config import load_config, with_root_dir

    config = load_config(config_file, os.environ)
    for warning in config.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)
    if root_dir is None:
        return config
    return with_root_dir(config, root_dir if root_dir.is_absolute() else working_folder() / root_dir)


def working_folder() -> Path:
    """Return the current directory. Raises: ConfigError: it was removed, or cannot be looked at."""
    from agent.errors import ConfigError

    try:
        return Path.cwd()
    except OSError as exc:
        raise ConfigError(
            f"the current directory cannot be used: {exc.strerror}", hint="cd to a directory that exists"
        ) from exc


def has_journal(layout: "Layout") -> bool:
    """Say whether anything was deployed there; True where that cannot be seen, so that opening it tells why."""
    try:
        layout.journal.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def open_journal(layout: "Layout") -> "Journal":
    """Open the journal of a host that has one.

    Raises:
        ConfigError: nothing was deployed there yet, or this user may not read it.
        AgentFault: the journal is damaged.
    """
    from agent.errors import ConfigError
    from agent.journal.journal import Journal

    here = f"use --root-dir or --agent-configuration-file if it is not {str(layout.root)!r} that you mean"
    if not has_journal(layout):
        raise ConfigError(f"{layout.root}: nothing was deployed there yet", hint=here)
    if not os.access(layout.journal, os.R_OK):
        raise ConfigError(f"{layout.journal}: not yours to read", hint=f"run as the user who deploys; {here}")
    can_write = os.access(layout.journal, os.W_OK) and os.access(layout.state, os.W_OK)
    return Journal.open(layout.journal) if can_write else Journal.open_to_read(layout.journal)


def find_deployment(journal: "Journal", wanted: str) -> "DeploymentRow":
    """Return the deployment with this id, the only one whose id begins so, or the newest one for `last`.

    Raises:
        ConfigError: no such deployment, or several.
    """
    from agent.errors import ConfigError
    from agent.journal.history import History

    rows = list(History(journal).deployments())
    if wanted == LAST and rows:
        return rows[0]
    found = [row for row in rows if row.deployment_id == wanted] or [
        row for row in rows if row.deployment_id.lower().startswith(wanted.lower())
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"no deployment {wanted!r}", hint="`agentctl list` names those that are known")
    some = ", ".join(row.deployment_id for row in found[:5])
    raise ConfigError(f"{len(found)} deployments begin with {wanted!r}: {some}", hint="give more of the id")


def complete_deployment(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Offer the newest deployments' ids to a shell that completes an argument."""
    ids = [LAST, *(row.deployment_id for row in _known(ctx, limit=50))]
    return [name for name in ids if name.startswith(incomplete)]


def complete_group(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Offer the deployment groups of this host to a shell that completes an argument."""
    return sorted({row.group_id for row in _known(ctx, limit=500) if row.group_id.startswith(incomplete)})


def _known(ctx: click.Context, limit: int) -> "list[DeploymentRow]":
    from agent.errors import AgentError
    from agent.journal.history import History

    try:
        config = load_place(ctx.params.get("config_file"), ctx.params.get("root_dir"))
        with open_journal(config.layout) as journal:
            return list(History(journal).deployments(limit=limit))
    except AgentError:
        return []  # nothing to offer; a shell that completes a line is no place for messages
