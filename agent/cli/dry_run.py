"""`run-local --dry-run`: the plan and the scripts of a deployment that does not happen."""

import json
from collections.abc import Sequence

import click

from agent.cli.render_plan import plan_lines, plan_object, script_line
from agent.core.deployment import Deployment
from agent.deploy.context import Host, RunSettings
from agent.deploy.dry_run import plan_deployment
from agent.journal.journal import Journal


def show_dry_run(deployment: Deployment, events: Sequence[str], settings: RunSettings, *, as_json: bool) -> int:
    """Print what the deployment would do; returns the exit status.

    Raises:
        DeploymentError, RemoteError: what it would fail for.
    """
    with Journal.open(settings.layout.journal) as journal:
        dry_run = plan_deployment(deployment, events, Host(journal=journal, settings=settings))
    if as_json:
        click.echo(json.dumps(plan_object(dry_run)))
        return 0
    for line in plan_lines(dry_run):
        click.echo(line)
    click.echo("Scripts:" if dry_run.scripts else "Scripts: none")
    for script in dry_run.scripts:
        click.echo(f"  {script_line(script)}")
    click.echo("Nothing was changed (--dry-run)")
    return 0
