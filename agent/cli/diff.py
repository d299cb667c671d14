"""`agentctl diff`: what a revision would change on this host."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from agent.cli.content_diff import content_lines
from agent.cli.host_options import complete_deployment, find_deployment, load_place, place_options, working_folder
from agent.cli.render_plan import path_changes, plan_lines, plan_object
from agent.cli.request import (
    DEFAULT_GROUP,
    ID_ENTROPY_BYTES,
    LocalRequest,
    local_deployment,
    local_deployment_id,
    local_events,
)
from agent.cli.signals import StopSignals, exit_status
from agent.core.deployment import Deployment, parse_group_id
from agent.core.layout import DeploymentDir
from agent.core.location import guess_bundle_type, parse_location
from agent.core.revision import BundleType, LocalDirectoryRevision
from agent.deploy.context import Host
from agent.deploy.dry_run import DryRun, plan_archive, planned_deployment
from agent.errors import CancelledDeploymentError, ConfigError
from agent.journal.history import History
from agent.journal.journal import Journal
from agent.journal.rows import DeploymentRow
from agent.sources.local import check_local

CHANGES = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, as click gives it."""

    revision: str
    group: str
    bundle_type: str | None
    file_exists_behavior: str
    appspec_filename: str
    content: bool
    exit_code: bool
    as_json: bool
    config_file: Path | None
    root_dir: Path | None


@click.command("diff")
@click.argument("revision", metavar="ID|PLACE", shell_complete=complete_deployment)
@click.option("-g", "--group", metavar="ID", default=DEFAULT_GROUP, show_default=True, help="Group, for a PLACE.")
@click.option("-t", "--type", "bundle_type", metavar="TYPE", help="Type of the bundle. Default: what its name says.")
@click.option(
    "-b", "--file-exists-behavior", default="DISALLOW", show_default=True, metavar="WHAT", help="As run-local."
)
@click.option(
    "-A", "--appspec-filename", default="appspec.yml", show_default=True, metavar="NAME", help="As run-local."
)
@click.option("--content", is_flag=True, help="Also show how small text files differ.")
@click.option("--exit-code", is_flag=True, help="Leave with 1 when something would change.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@place_options
def command(**given: Any) -> int:
    """Show what a revision would change here.

    PLACE is a folder, an archive, or any other bundle location of run-local; ID a deployment whose
    archive is still there, an unambiguous beginning of its id, or `last`. Hook scripts do not run, so what
    they would change is not in it. Signs: + new, ~ replaced, - removed, p other permissions, = retained.

    \b
    Examples:
      agentctl diff ./site -g blog
      agentctl diff site.tgz -g blog --content
      agentctl diff d-4K7

    \b
    Exit status: 0 done (with --exit-code: nothing would change), 1 it could not be installed
    (with --exit-code also: something would change), 2 wrong use.
    """
    options = Options(**given)
    settings = load_place(options.config_file, options.root_dir).run
    stop = threading.Event()
    settings = replace(settings, fetch=replace(settings.fetch, stop=stop))
    with (
        Journal.open(settings.layout.journal) as journal,
        StopSignals(lambda _: stop.set()) as signals,
    ):
        host = Host(journal=journal, settings=settings, stop=stop)
        try:
            with _planned(options, host) as dry_run:
                _print(dry_run, options)
                return CHANGES if options.exit_code and not dry_run.plan.is_noop else 0
        except CancelledDeploymentError:
            return exit_status(signals.received or 0)


@contextmanager
def _planned(options: Options, host: Host) -> Iterator[DryRun]:
    """Give the plan of the deployment or place that is meant; an existing path wins over an id."""
    text = options.revision
    if "://" in text or os.path.lexists(text) or os.sep in text:
        with planned_deployment(_from_place(options), local_events(None), host) as dry_run:
            yield dry_run
        return
    row = find_deployment(host.journal, text)
    yield plan_archive(_from_history(row, host), _archive_of(row), host)


def _from_place(options: Options) -> Deployment:
    kind = options.bundle_type or _kind_of(options.revision)
    revision = parse_location(options.revision, kind, cwd=working_folder())
    check_local(revision, options.appspec_filename)
    request = LocalRequest(
        location=options.revision,
        bundle_type=kind,
        file_exists_behavior=options.file_exists_behavior,
        group_id=options.group,
        appspec_filename=options.appspec_filename,
    )
    return replace(
        local_deployment(request, revision, local_deployment_id(os.urandom(ID_ENTROPY_BYTES))), all_events=None
    )


def _kind_of(place: str) -> str:
    if "://" not in place and os.path.isdir(place):
        return BundleType.DIRECTORY
    kind = guess_bundle_type(place)
    if kind is None:
        raise ConfigError(f"{place!r}: its name does not say what type of bundle it is", hint="name it with --type")
    return kind


def _from_history(row: DeploymentRow, host: Host) -> Deployment:
    kept = History(host.journal).options(row.deployment_id)
    request = LocalRequest(
        location=row.folder,
        bundle_type=BundleType.DIRECTORY,
        file_exists_behavior=str(kept["file_exists_behavior"]),
        group_id=parse_group_id(row.group_id),
        group_name=row.group_name,
        application=row.application,
        appspec_filename=str(kept["appspec_filename"]),
    )
    return local_deployment(request, LocalDirectoryRevision(path=_archive_of(row).archive), row.deployment_id)


def _archive_of(row: DeploymentRow) -> DeploymentDir:
    folder = DeploymentDir(Path(row.folder))
    if not folder.archive.is_dir():
        raise ConfigError(
            f"{folder.archive}: the archive of {row.deployment_id} is gone",
            hint="max_revisions in the configuration says how many are kept; name the bundle itself",
        )
    return folder


def _print(dry_run: DryRun, options: Options) -> None:
    if options.as_json:
        click.echo(json.dumps(plan_object(dry_run)))
        return
    for line in plan_lines(dry_run):
        click.echo(line)
    if options.content:
        for change in path_changes(dry_run.plan):
            for line in content_lines(change):
                click.echo(line)
