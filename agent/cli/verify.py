"""`agentctl verify`: drift between what a deployment group installed and what is there."""

import json
import os
from collections import Counter
from pathlib import Path

import click

from agent.cli.figures import count_text
from agent.cli.host_options import complete_group, load_place, open_journal, place_options
from agent.cli.safe_text import printable, printable_path
from agent.deploy.drift import Drift, DriftKind, find_drift
from agent.errors import ConfigError
from agent.journal.history import History
from agent.journal.installs import Installs
from agent.journal.journal import Journal

DRIFTED = 1


@click.command("verify")
@click.argument("group", metavar="GROUP", shell_complete=complete_group)
@click.option("--checksum", is_flag=True, help="Read every file, also those whose size and times are untouched.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@place_options
def command(group: str, checksum: bool, as_json: bool, config_file: Path | None, root_dir: Path | None) -> int:
    """Compare what a deployment group installed with what is there.

    Names every path that was modified, is missing, was replaced by something else, or has another mode,
    owner, ACL or SELinux label. Files of others are not looked at.

    \b
    Examples:
      agentctl verify blog
      agentctl verify blog --json | jq -r '.drift[].path'

    \b
    Exit status: 0 everything is as installed, 1 drift was found, 2 no such group.
    """
    from agent.core.deployment import parse_group_id

    group_id = parse_group_id(group)
    with open_journal(load_place(config_file, root_dir).layout) as journal:
        records = Installs(journal).recorded(group_id)
        if not records and next(History(journal).deployments(group_id=group_id, limit=1), None) is None:
            raise _unknown_group(journal, group)
    found = list(find_drift(records.values(), checksum=checksum))
    if as_json:
        click.echo(json.dumps({"group": group, "checked": len(records), "drift": [_object(drift) for drift in found]}))
    else:
        _print(found, checked=len(records))
    return DRIFTED if found else 0


def _print(found: list[Drift], *, checked: int) -> None:
    for drift in found:
        detail = f"  {printable(drift.detail)}" if drift.detail else ""
        click.echo(f"{drift.problem:9}  {printable_path(drift.path)}{detail}")
    count = Counter(drift.problem for drift in found)
    named = ", ".join(f"{count[problem]} {problem}" for problem in DriftKind if count[problem])
    click.echo(f"{count_text(checked, 'path')} checked, {named or 'no drift'}")


def _object(drift: Drift) -> dict[str, object]:
    return {"path": os.fsdecode(drift.path), "problem": drift.problem, "detail": drift.detail}


def _unknown_group(journal: Journal, group: str) -> ConfigError:
    known = sorted({row.group_id for row in History(journal).deployments()})
    return ConfigError(f"no deployment group {group!r}", hint=f"known here: {', '.join(known) or 'none'}")
