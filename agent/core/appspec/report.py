"""Collects what is wrong or doubtful in one AppSpec, so that everything is told at once. Decides nothing."""

from agent.core.appspec.model import Position, Problem, Severity
from agent.core.appspec.nodes import Node

MOST_PROBLEMS = 300
"""Past this many, more would help nobody; the last one then says that there are more."""


class Report:
    """The problems found so far. Every method may be called any number of times."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._errors = 0
        self._is_cut = False

    @property
    def has_errors(self) -> bool:
        return self._errors > 0

    @property
    def is_full(self) -> bool:
        """True when nothing more will be kept: no need to work out a good hint."""
        return len(self._problems) >= MOST_PROBLEMS

    def error(self, at: Node | Position | None, key: str, message: str, hint: str = "") -> None:
        self._errors += 1
        self._add(Severity.ERROR, at, key, message, hint)

    def warn(self, at: Node | Position | None, key: str, message: str, hint: str = "") -> None:
        self._add(Severity.WARNING, at, key, message, hint)

    def problems(self) -> tuple[Problem, ...]:
        """Return everything found, in the order of the file."""
        found = sorted(self._problems, key=_place)
        if self._is_cut:
            severity = Severity.ERROR if self._errors else Severity.WARNING
            message = f"there are more problems than the {MOST_PROBLEMS} shown"
            found.append(Problem(severity=severity, position=None, key="", message=message, hint="mend these first"))
        return tuple(found)

    def _add(self, severity: Severity, at: Node | Position | None, key: str, message: str, hint: str) -> None:
        if self.is_full:
            self._is_cut = True
            return
        position = at if at is None or isinstance(at, Position) else at.position
        self._problems.append(Problem(severity=severity, position=position, key=key, message=message, hint=hint))


def _place(problem: Problem) -> tuple[int, int]:
    return (problem.position.line, problem.position.column) if problem.position else (0, 0)
