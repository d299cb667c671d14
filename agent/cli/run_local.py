"""`agentctl run-local`: deploys a bundle in the foreground. Takes the official `codedeploy-local`'s options."""

import gc
import os
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.host_options import load_place, place_options, refuse_empty, working_folder
from agent.cli.request import (
    DEFAULT_GROUP,
    DEFAULT_GROUP_NAME,
    ID_ENTROPY_BYTES,
    LocalRequest,
    local_deployment,
    local_deployment_id,
    local_events,
    with_sha256,
)
from agent.errors import AgentError, SpecificationError
from agent.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.config import Config
    from agent.core.deployment import Deployment
    from agent.core.progress import Progress
    from agent.core.secret import Secret
    from agent.deploy.context import RunSettings
    from agent.host.script import ScriptRequest

GC_THRESHOLD = 100_000
"""New containers between two collections: a plan of many files makes as many, and none of them is garbage."""

TOKEN_VARIABLES = ("AGENTCTL_GITHUB_TOKEN", "CODEDEPLOY_GITHUB_TOKEN", "GITHUB_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The command line, as click gives it."""

    bundle_location: str | None
    bundle_type: str
    file_exists_behavior: str
    deployment_group: str
    deployment_group_name: str
    application_name: str | None
    events: str | None
    config_file: Path | None
    root_dir: Path | None
    appspec_filename: str
    sha256: str | None
    github_token: str | None
    github_token_file: Path | None
    s3_endpoint: str | None
    region: str | None
    dry_run: bool
    shell_on_failure: bool
    plain: bool
    as_json: bool

    @property
    def request(self) -> LocalRequest:
        return LocalRequest(
            location=self.bundle_location or "",
            bundle_type=self.bundle_type,
            file_exists_behavior=self.file_exists_behavior,
            group_id=self.deployment_group,
            group_name=self.deployment_group_name,
            application=self.application_name,
            events=self.events,
            appspec_filename=self.appspec_filename,
            sha256=self.sha256,
        )


class PrefixCommand(click.Command):
    """Takes an unambiguous beginning of a long option for the option, as the official tool does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = sorted(name for param in self.get_params(ctx) for name in param.opts if name.startswith("--"))
        return super().parse_args(ctx, [expand_option(argument, known) for argument in args])


def expand_option(argument: str, known: "Sequence[str]") -> str:
    """Return `argument` with the long option it abbreviates written out; anything else as it is."""
    name, equals, value = argument.partition("=")
    if not name.startswith("--") or len(name) < 4 or name in known:
        return argument
    meant = [option for option in known if option.startswith(name)]
    return f"{meant[0]}{equals}{value}" if len(meant) == 1 else argument


@click.command(
    "run-local",
    cls=PrefixCommand,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "-l",
    "--bundle-location",
    callback=refuse_empty,
    show_default="the current directory",
    metavar="PLACE",
    help="Folder or archive, s3://BUCKET/KEY[?versionId=V&etag=E], https://github.com/OWNER/REPOSITORY, "
    "https://api.github.com/repos/OWNER/REPOSITORY/{tarball,zipball}/REF, or https://HOST/FILE.",
)
@click.option(
    "-t",
    "--type",
    "bundle_type",
    default="directory",
    show_default=True,
    metavar="TYPE",
    help="directory, tgz, tar, zip, zst, bz2 or xz.",
)
@click.option(
    "-b",
    "--file-exists-behavior",
    default="DISALLOW",
    show_default=True,
    metavar="WHAT",
    help="For files already at a destination: DISALLOW (fail), OVERWRITE or RETAIN.",
)
@click.option(
    "-g",
    "--deployment-group",
    default=DEFAULT_GROUP,
    show_default=True,
    metavar="ID",
    help="Deployment group; what it installed before is replaced, its previous revision's stop hooks run.",
)
@click.option(
    "-d",
    "--deployment-group-name",
    default=DEFAULT_GROUP_NAME,
    show_default=True,
    metavar="NAME",
    help="What hook scripts see in DEPLOYMENT_GROUP_NAME.",
)
@click.option(
    "-a",
    "--application-name",
    default=None,
    show_default="the bundle location",
    metavar="NAME",
    help="What hook scripts see in APPLICATION_NAME.",
)
@click.option(
    "-e",
    "--events",
    default=None,
    metavar="A,B,...",
    help="Lifecycle events to run, in this order, instead of all; DownloadBundle and Install always run.",
)
@place_options
@click.option(
    "-A",
    "--appspec-filename",
    default="appspec.yml",
    show_default=True,
    metavar="NAME",
    help="AppSpec file, from the bundle's root.",
)
@click.option("--sha256", default=None, metavar="HEX", help="Digest that an s3:// or https:// bundle must have.")
@click.option(
    "--github-token",
    default=None,
    metavar="TOKEN",
    help=f"Better: --github-token-file, or one of {', '.join(TOKEN_VARIABLES)}; a command line is seen by all users.",
)
@click.option(
    "--github-token-file",
    default=None,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File that holds a GitHub token and nothing else.",
)
@click.option("--s3-endpoint", default=None, metavar="URL", help="Another endpoint for S3.")
@click.option("--region", default=None, metavar="NAME", help="AWS region of the bucket.")
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do none of it.")
@click.option("--shell-on-failure", is_flag=True, help="After a failed script, open a shell where it stood.")
@click.option("--plain", is_flag=True, help="Plain lines on a terminal, too.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of text.")
@click.version_option(__version__, "-v", "--version", prog_name="agentctl run-local", message="%(prog)s %(version)s")
def command(**given: Any) -> int:
    """Deploy a bundle on this host.

    Runs the lifecycle events of a CodeDeploy deployment in the foreground, with every option of
    codedeploy-local. Install is one transaction: the host has the old files or the new ones. A second
    run on the same group is a redeployment: the previous revision's ApplicationStop runs, and its files
    go when the new revision lacks them. Ctrl-C ends the running script and everything it started.

    \b
    Examples:
      agentctl run-local -l ./site
      agentctl run-local -l site.tgz -t tgz -g blog -b OVERWRITE
      agentctl run-local -l 's3://bundles/site.zip?versionId=3x' -t zip --events ApplicationStop,ApplicationStart

    \b
    Exit status: 0 deployed, 1 failed or refused, 2 wrong use or configuration,
    70 the agent's own state is broken, 130/143/129 stopped by SIGINT/SIGTERM/SIGHUP.
    """
    options = Options(**given)
    try:
        return run(options)
    except AgentError as exc:
        if not options.as_json:
            raise
        _write_error(exc)
        return exc.exit_status


def run(options: Options) -> int:
    """Do what the command line says and return the exit status."""
    try:
        deployment, events = describe(options)
    except SpecificationError as exc:
        return _reject(exc, options)
    config = load_place(options.config_file, options.root_dir)
    settings = run_settings(options, config, os.environ)
    if options.dry_run:
        from agent.cli.dry_run import show_dry_run

        return show_dry_run(deployment, events, settings, as_json=options.as_json)
    return _deploy(deployment, events, settings, options)


def describe(options: Options) -> "tuple[Deployment, tuple[str, ...]]":
    """Return the deployment and its events, checked in the official tool's order.

    Raises:
        SpecificationError: the first thing that is wrong.
    """
    from agent.core.location import parse_location
    from agent.sources.local import check_local

    cwd = working_folder()
    revision = parse_location(options.bundle_location or str(cwd), options.bundle_type, cwd=cwd)
    check_local(revision, options.appspec_filename)
    events = local_events(options.events)
    if options.sha256 is not None:
        revision = with_sha256(revision, options.sha256)
    deployment_id = local_deployment_id(os.urandom(ID_ENTROPY_BYTES))
    return local_deployment(options.request, revision, deployment_id), events


def run_settings(options: Options, config: "Config", environ: "Mapping[str, str]") -> "RunSettings":
    """Return the configured settings, changed by the command line."""
    fetch = config.run.fetch
    token = github_token(options, environ)
    aws = replace(
        fetch.aws,
        region=options.region or fetch.aws.region,
        s3_endpoint_override=options.s3_endpoint or fetch.aws.s3_endpoint_override,
    )
    return replace(config.run, fetch=replace(fetch, aws=aws, github_token=token or fetch.github_token))


def github_token(options: Options, environ: "Mapping[str, str]") -> "Secret | None":
    """Return the token of the command line, else of the environment; None leaves it to the configuration.

    Raises:
        ConfigError: the token's file cannot be read.
    """
    from agent.config import read_token
    from agent.core.secret import Secret

    if options.github_token and options.github_token_file:
        raise click.UsageError("--github-token and --github-token-file: give one of them")
    if options.github_token:
        return Secret(options.github_token)
    if options.github_token_file:
        return read_token(options.github_token_file)
    value = environ.get(TOKEN_VARIABLES[0])
    return Secret(value) if value else None


def _deploy(deployment: "Deployment", events: "Sequence[str]", settings: "RunSettings", options: Options) -> int:
    from agent.cli.render import Closing, Opening, choose_renderer
    from agent.cli.signals import StopSignals, exit_status
    from agent.deploy.context import Host
    from agent.deploy.failed_script import find_failed_script
    from agent.deploy.run import run_deployment
    from agent.journal.journal import Journal
    from agent.journal.rows import State

    gc.freeze()  # what is imported stays for as long as we do
    gc.set_threshold(GC_THRESHOLD)
    stop = _Stop()
    settings = replace(settings, fetch=replace(settings.fetch, stop=stop.event))
    with (
        Journal.open(settings.layout.journal) as journal,
        closing(choose_renderer(sys.stdout, as_json=options.as_json, plain=options.plain)) as renderer,
        StopSignals(stop.on_signal) as signals,
    ):
        stop.tell = renderer.listen
        host = Host(journal=journal, settings=settings, listener=stop.listen, stop=stop.event)
        renderer.begin(Opening(deployment=deployment, folder=host.folder(deployment), events=events))
        began = time.monotonic()
        result = run_deployment(deployment, events, host)
        duration_s = time.monotonic() - began
        failed = None if result.state is State.SUCCEEDED else find_failed_script(deployment, result, host)
        renderer.end(
            Closing(
                result=result,
                duration_s=duration_s,
                script=None if failed is None else failed.archive / failed.location,
            )
        )
    if options.shell_on_failure and failed is not None:
        _offer_shell(failed)
    if result.state is State.CANCELLED and signals.received is not None:
        return exit_status(signals.received)
    return 0 if result.state is State.SUCCEEDED else 1


class _Stop:
    """How a signal reaches the deployment: the first asks it to stop, the next kill the script that does not."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.tell: Callable[[Progress], None] = _tell_nobody
        self._script_pid: int | None = None

    def listen(self, progress: "Progress") -> None:
        """Pass progress on, and keep in mind which script runs."""
        from agent.core.progress import ScriptEnded, ScriptStarted

        if isinstance(progress, ScriptStarted):
            self._script_pid = progress.pid
        elif isinstance(progress, ScriptEnded):
            self._script_pid = None
        self.tell(progress)

    def on_signal(self, is_first: bool) -> None:
        from agent.cli.signals import kill_session
        from agent.core.progress import Warned

        self.event.set()
        if is_first:
            self.tell(Warned(message="stopping; a running script is asked to end, a second signal kills it"))
        elif self._script_pid is not None:
            kill_session(self._script_pid)


def _tell_nobody(_: "Progress") -> None:
    pass


def _offer_shell(failed: "ScriptRequest") -> None:
    from agent.cli.failed_shell import has_terminal, open_shell

    if has_terminal():
        open_shell(failed)
    else:
        click.echo("note: --shell-on-failure has no effect without a terminal", err=True)


def _reject(exc: SpecificationError, options: Options) -> int:
    """Say what is wrong with the command line where the official tool says it."""
    from agent.cli.safe_text import printable

    if options.as_json:
        _write_error(exc)
    else:
        click.echo(f"ERROR: {printable(exc.message)}")
        if exc.hint:
            click.echo(f"hint: {printable(exc.hint)}", err=True)
    return exc.exit_status


def _write_error(exc: AgentError) -> None:
    import json

    from agent.cli.render_json import error_object

    click.echo(json.dumps(error_object(exc)))
