"""`agentctl logs`: what a deployment's hook scripts wrote."""

import codecs
import sys
import time
from contextlib import closing
from pathlib import Path

import click

from agent.cli.host_options import complete_deployment, find_deployment, load_place, open_journal, place_options
from agent.cli.liveness import is_running
from agent.cli.safe_text import printable_line
from agent.cli.script_log_reader import ScriptLogReader
from agent.core.layout import DeploymentDir
from agent.errors import AgentError, ConfigError
from agent.journal.history import History
from agent.journal.journal import Journal
from agent.journal.rows import DeploymentRow

POLL_S = 0.2


@click.command("logs")
@click.argument("deployment", metavar="ID", shell_complete=complete_deployment)
@click.option("-f", "--follow", is_flag=True, help="Go on while the deployment runs.")
@place_options
def command(deployment: str, follow: bool, config_file: Path | None, root_dir: Path | None) -> None:
    """Print what a deployment's hook scripts wrote, oldest first, rotated files included.

    ID is a deployment's id, an unambiguous beginning of one, or `last`. On a terminal, colours and
    control characters are left out; into a file or a pipe everything is passed on as it is.

    \b
    Examples:
      agentctl logs last
      agentctl logs last -f
    """
    with open_journal(load_place(config_file, root_dir).layout) as journal:
        row = find_deployment(journal, deployment)
        log = DeploymentDir(Path(row.folder)).script_log
        if not log.exists() and not (follow and _is_running(journal, row)):
            raise _no_log(row, log)
        writer = _Writer()
        with closing(ScriptLogReader(log)) as reader:
            _copy(reader, writer)
            while follow and _is_running(journal, row):
                time.sleep(POLL_S)  # ended by Ctrl-C, like any follower
                _copy(reader, writer)
            _copy(reader, writer)  # what was written between the last look and the end
        writer.finish()


def _copy(reader: ScriptLogReader, writer: "_Writer") -> None:
    for chunk in reader.read_new():
        writer.write(chunk)
    sys.stdout.flush()


def _is_running(journal: Journal, row: DeploymentRow) -> bool:
    now = History(journal).deployment(row.deployment_id)
    return now is not None and is_running(now)


def _no_log(row: DeploymentRow, log: Path) -> AgentError:
    if not log.parent.parent.is_dir():
        return ConfigError(
            f"{log}: deleted with the deployment's folder",
            hint="max_revisions in the configuration says how many are kept; `agentctl show` knows the last lines",
        )
    return ConfigError(f"{row.deployment_id}: no script wrote anything", hint=f"`agentctl show {row.deployment_id}`")


class _Writer:
    """Passes bytes on to a pipe or file; on a terminal whole lines, made harmless."""

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._line = ""

    def write(self, chunk: bytes) -> None:
        if not self._is_terminal:
            sys.stdout.buffer.write(chunk)
            return
        *lines, self._line = (self._line + self._decoder.decode(chunk)).split("\n")
        for line in lines:
            click.echo(printable_line(line))

    def finish(self) -> None:
        if self._line:
            click.echo(printable_line(self._line))
