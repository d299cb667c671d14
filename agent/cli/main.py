"""The program `agentctl`: finds the command, and turns what goes wrong into two lines and an exit status.

Only click is imported here, so that help is there at once; a command's module is loaded when the command is.
"""

import contextlib
import os
import sys
from collections.abc import Mapping
from importlib import import_module

import click

from agent.errors import AgentError
from agent.version import __version__

PROGRAM = "agentctl"
OFFICIAL_NAME = "codedeploy-local"
"""Started under this name (by a symbolic link), the program is its own `run-local`."""

EXIT_INTERRUPTED = 130
EXIT_BUG = 70  # EX_SOFTWARE, sysexits.h

COMMANDS: Mapping[str, tuple[str, str]] = {
    "run-local": ("agent.cli.run_local", "Deploy a bundle on this host."),
    "validate": ("agent.cli.validate", "Check AppSpec files and bundles before they are deployed."),
    "diff": ("agent.cli.diff", "Show what a revision would change here."),
    "list": ("agent.cli.list_deployments", "List the deployments of this host, newest first."),
    "show": ("agent.cli.show", "Show one deployment: timeline, scripts, files, and why it failed."),
    "logs": ("agent.cli.logs", "Print what a deployment's hook scripts wrote."),
    "verify": ("agent.cli.verify", "Compare what a deployment group installed with what is there."),
    "recover": ("agent.cli.recover", "Complete or undo what a killed deployment left open."),
    "completion": ("agent.cli.completion", "Print the completion script of a shell."),
}
"""Name -> the module whose `command` it is, and its line in `agentctl --help`; they stand there in this order."""

EPILOG = """\b
Exit status: 0 done, 1 failed (or drift was found), 2 wrong use or configuration,
70 the agent's own state is broken, 130/143/129 stopped by a signal.

\b
'agentctl COMMAND --help' tells more, with examples."""


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads one only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name][0]).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command {args[0]!r}{_nearest(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - as above
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[click.shell_completion.CompletionItem]":
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=summary) for name, (_, summary) in COMMANDS.items() if name.startswith(incomplete)
        ]


@click.group(
    cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, "-v", "--version", prog_name=PROGRAM, message="%(prog)s %(version)s")
def agentctl() -> None:
    """Deploy revisions on this host and see what was deployed.

    A revision is a folder or an archive with an AppSpec file in its root, as AWS CodeDeploy takes it.
    """


def main() -> int:
    """Run the program with the process's own arguments and return its exit status."""
    status = _run()
    _settle_streams()
    return status


def _run() -> int:
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # text streams of a program
    arguments = sys.argv[1:]
    if os.path.basename(sys.argv[0]) == OFFICIAL_NAME:
        arguments = ["run-local", *arguments]
    try:
        status: object = agentctl.main(arguments, prog_name=PROGRAM, standalone_mode=False)
    except click.Abort:
        return EXIT_INTERRUPTED
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    except AgentError as exc:
        show_error(exc)
        return exc.exit_status
    except Exception as exc:  # noqa: BLE001 - the top of the program
        return _report_bug(exc)
    return status if isinstance(status, int) else 0


def _open_streams() -> None:
    """Open what we were started without: the journal must not get the number of a closed standard output."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # The lowest free number is that of the stream, since they are opened in order.
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for as long as the program lives


def show_error(exc: AgentError) -> None:
    """Say on standard error what failed and how to mend it."""
    from agent.cli.safe_text import printable

    for line in exc.message.splitlines() or [""]:
        _complain(f"error: {printable(line)}")
    for line in exc.hint.splitlines():
        _complain(f"hint: {printable(line)}")


def _complain(line: str) -> None:
    with contextlib.suppress(OSError):  # nobody is there to read it
        click.echo(line, err=True)


def _nearest(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, COMMANDS, n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _settle_streams() -> None:
    """Flush what is buffered; where nobody reads any more, see to it that the interpreter's own last flush succeeds."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)


def _report_bug(exc: Exception) -> int:
    import traceback

    text = "".join(traceback.format_exception(exc))
    where = _keep(f"agentctl {__version__}, Python {sys.version}\n{text}")
    _complain(f"error: this is a bug in agentctl: {type(exc).__name__}: {str(exc)[:500]!a}")
    _complain(f"hint: please report it, with {where}")
    return EXIT_BUG


def _keep(text: str) -> str:
    """Write a traceback to a file of its own, and say where; the secrets of a command line are not in it."""
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="agentctl-bug-", suffix=".txt", delete=False, errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError as exc:
        return f"what you did (the traceback could not be written: {exc.strerror})"
    return f"the traceback in {file.name}"
