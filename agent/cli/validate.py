"""`agentctl validate`: checks AppSpec files and whole bundles, and prints what is wrong for people or machines."""

import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from agent.cli.safe_text import printable, printable_path
from agent.core.appspec.find import DEFAULT_NAME, candidate_names, find_appspec, missing_appspec
from agent.core.appspec.model import Problem, Severity
from agent.errors import AgentError, AppSpecError, BundleError

STDIN = "-"
_APPSPEC_SUFFIXES = (".yml", ".yaml", ".json")
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".gz", ".zst", ".bz2", ".xz", ".tbz2", ".txz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One PATH of the command line and all that was found. `appspec` is how places in its AppSpec are named."""

    path: str
    appspec: str
    problems: tuple[Problem, ...]

    @property
    def is_valid(self) -> bool:
        return not self.of(Severity.ERROR)

    def of(self, severity: Severity) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity is severity)


@click.command("validate")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per PATH, one a line.")
@click.option(
    "--appspec-filename",
    metavar="NAME",
    default=DEFAULT_NAME,
    show_default=True,
    help="Name of the AppSpec below a bundle's root.",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
def command(*, paths: tuple[str, ...], as_json: bool, appspec_filename: str) -> None:
    """Check AppSpec files and bundles before they are deployed.

    PATH is an AppSpec file, a bundle's folder, an archive, or - for an AppSpec on standard input. A bundle is also
    held against its AppSpec: are the sources and scripts there, can the scripts be started, do two files meet at one
    destination?

    \b
    Examples:
      agentctl validate appspec.yml
      agentctl validate --json build/site.tgz | jq .errors
      git show HEAD:appspec.yml | agentctl validate -

    Exit status: 0 all valid (there may be warnings), 1 something is not, 2 wrong use.
    """
    try:
        candidate_names(appspec_filename)
    except AppSpecError as error:
        raise click.BadParameter(f"{error.message}: {error.hint}", param_hint="--appspec-filename") from error
    results = []
    for path in paths:
        checked = check_path(path, appspec_filename)
        results.append(checked)
        _print_json(checked) if as_json else _print_text(checked)
    if not as_json:
        _print_summary(results)
    if not all(checked.is_valid for checked in results):
        raise click.exceptions.Exit(1)


def check_path(path: str, appspec_filename: str = DEFAULT_NAME) -> Checked:
    """Return everything wrong or doubtful about one PATH, also that it cannot be read. Raises nothing of ours."""
    try:
        return _check(path, appspec_filename)
    except AgentError as error:
        problem = _whole_file(error.message, error.hint)
    except OSError as error:
        problem = _whole_file(f"cannot be read: {error.strerror or error}", "check the path and its permissions")
    return Checked(path=path, appspec=path, problems=(problem,))


def _check(path: str, appspec_filename: str) -> Checked:
    if path == STDIN:
        return _check_appspec(path, sys.stdin.buffer.read(_read_limit()))
    mode = os.stat(path).st_mode
    if stat.S_ISDIR(mode):
        return _check_directory(path, Path(path), appspec_filename)
    if stat.S_ISREG(mode) and not path.lower().endswith(_APPSPEC_SUFFIXES) and _is_archive(Path(path)):
        with _unpacked(Path(path), appspec_filename) as folder:
            return _check_directory(path, folder, appspec_filename)
    with open(path, "rb") as file:
        return _check_appspec(path, file.read(_read_limit()))


def _read_limit() -> int:
    """Return how much of a file tells that it is too large."""
    from agent.core.appspec.compose import MAX_BYTES

    return MAX_BYTES + 1


def _check_appspec(path: str, data: bytes) -> Checked:
    from agent.core.appspec.parse import parse_appspec

    return Checked(path=path, appspec=path, problems=parse_appspec(data, filename=_shown(path)).problems)


def _check_directory(path: str, root: Path, appspec_filename: str) -> Checked:
    from agent.core.appspec.parse import parse_appspec
    from agent.deploy.bundle_names import leaves_bundle
    from agent.deploy.check_bundle import check_bundle

    name = find_appspec(lambda candidate: (root / candidate).is_file(), appspec_filename)
    if name is None:
        raise missing_appspec(appspec_filename, where="the bundle", names_in_root=os.listdir(root))
    if leaves_bundle(root, root / name):
        hint = "put the AppSpec itself into the bundle"
        raise AppSpecError(f"{name}: a symbolic link leads out of the bundle", hint=hint)
    with open(root / name, "rb") as file:
        parsed = parse_appspec(file.read(_read_limit()), filename=name)
    problems = parsed.problems
    if parsed.appspec is not None:
        problems = tuple(sorted((*problems, *check_bundle(root, parsed.appspec)), key=_place))
    return Checked(path=path, appspec=f"{path.rstrip('/')}/{name}", problems=problems)


def _is_archive(path: Path) -> bool:
    """Say whether a file is to be unpacked. Raises: BundleError for one with an archive's name that is none."""
    from agent.host.archive import detect_type

    try:
        detect_type(path)
    except BundleError:
        if path.name.lower().endswith(_ARCHIVE_SUFFIXES):
            raise
        return False
    return True


@contextmanager
def _unpacked(bundle: Path, appspec_filename: str) -> Iterator[Path]:
    from agent.host.archive import UnpackOptions, detect_type, unpack

    with tempfile.TemporaryDirectory(prefix="agentctl-validate-") as temporary:
        folder = Path(temporary) / "bundle"
        unpack(bundle, detect_type(bundle), folder, UnpackOptions(appspec_filename=appspec_filename))
        yield folder


def _whole_file(message: str, hint: str) -> Problem:
    return Problem(severity=Severity.ERROR, position=None, key="", message=message, hint=hint)


def _place(problem: Problem) -> tuple[int, int]:
    return (problem.position.line, problem.position.column) if problem.position else (0, 0)


def _shown(path: str) -> str:
    return "<stdin>" if path == STDIN else printable_path(path)


def _print_json(checked: Checked) -> None:
    found = {
        "path": checked.path,
        "ok": checked.is_valid,
        "errors": [_as_json(problem) for problem in checked.of(Severity.ERROR)],
        "warnings": [_as_json(problem) for problem in checked.of(Severity.WARNING)],
    }
    click.echo(json.dumps(found))


def _as_json(problem: Problem) -> dict[str, object]:
    at = problem.position
    return {
        "line": at.line if at else None,
        "column": at.column if at else None,
        "key": problem.key,
        "message": problem.message,
        "hint": problem.hint,
    }


def _print_text(checked: Checked) -> None:
    for problem in checked.problems:
        at = problem.position
        place = f"{_shown(checked.appspec)}:{at.line}:{at.column}" if at else _shown(checked.path)
        colour = "red" if problem.severity is Severity.ERROR else "yellow"
        severity = click.style(str(problem.severity), fg=colour, bold=True)
        click.echo(": ".join(part for part in (place, severity, problem.key, printable(problem.message)) if part))
        if problem.hint:
            click.echo(f"    hint: {printable(problem.hint)}")


def _print_summary(results: list[Checked]) -> None:
    valid = sum(checked.is_valid for checked in results)
    errors = sum(len(checked.of(Severity.ERROR)) for checked in results)
    warnings = sum(len(checked.of(Severity.WARNING)) for checked in results)
    counted = f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
    click.echo(f"{_count(len(results), 'path')} checked, {valid} valid, {len(results) - valid} invalid: {counted}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
