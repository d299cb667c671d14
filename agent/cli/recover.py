"""`agentctl recover`: brings to an end what a dead process left half-done."""

import json
from pathlib import Path

import click

from agent.cli.host_options import has_journal, load_place, open_journal, place_options
from agent.cli.safe_text import printable


@click.command("recover")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@place_options
def command(as_json: bool, config_file: Path | None, root_dir: Path | None) -> None:
    """Complete or undo what a killed deployment left open.

    Every run-local does this first by itself; call it to have the host in order before that. Deployments
    that are running are left alone, and a second call finds nothing to do.

    \b
    Example:
      agentctl recover
    """
    from agent.deploy.interrupted import recover_host

    layout = load_place(config_file, root_dir).layout
    done: tuple[str, ...] = ()
    if has_journal(layout):
        with open_journal(layout) as journal:
            done = recover_host(journal, layout)
    if as_json:
        click.echo(json.dumps({"recovered": done}))
        return
    for line in done or ("nothing to recover",):
        click.echo(printable(line))
