"""What was measured, as values, and as the table that people read. Measures nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

MEGA = 1_000_000
HEADINGS = ("what", "where", "ours", "theirs", "ratio", "+ sync", "goal", "met", "cpu", "peak", "of which")


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What we hold ourselves to (docs/performance.md); None where nothing is promised."""

    ratio: float | None = None
    seconds: float | None = None
    megabytes: float | None = None

    def __str__(self) -> str:
        parts = [
            f"{self.ratio:g} x" if self.ratio is not None else "",
            f"{self.seconds:g} s" if self.seconds is not None else "",
            f"{self.megabytes:g} MB" if self.megabytes is not None else "",
        ]
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row, medians. `theirs_s` is the plain tools' time, `synced_s` theirs with the result safe on disk."""

    what: str
    where: str
    ours_s: float
    theirs_s: float | None = None
    synced_s: float | None = None
    cpu_s: float
    peak_bytes: float
    goal: Goal
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return None if self.theirs_s is None else self.ours_s / self.theirs_s

    @property
    def is_met(self) -> bool | None:
        """Whether every part of the goal is met; None without a goal."""
        checks = [
            self.goal.ratio is None or (self.ratio is not None and self.ratio <= self.goal.ratio),
            self.goal.seconds is None or self.ours_s <= self.goal.seconds,
            self.goal.megabytes is None or self.peak_bytes <= self.goal.megabytes * MEGA,
        ]
        return all(checks) if str(self.goal) else None

    def cells(self) -> tuple[str, ...]:
        return (
            self.what,
            self.where,
            _seconds(self.ours_s),
            _seconds(self.theirs_s),
            "" if self.ratio is None else f"{self.ratio:.2f} x",
            _seconds(self.synced_s),
            str(self.goal),
            {True: "yes", False: "NO", None: ""}[self.is_met],
            _seconds(self.cpu_s),
            f"{self.peak_bytes / MEGA:.0f} MB",
            self.note,
        )


def render(lines: Sequence[Line]) -> str:
    """Return the lines as a Markdown table, its columns aligned for reading as it is."""
    rows = [HEADINGS, *(line.cells() for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    numeric = {2, 3, 4, 5, 8, 9}
    text = [_row(row, widths, numeric) for row in rows]
    rule = "|".join("-" * (width + 1) + (":" if column in numeric else "-") for column, width in enumerate(widths))
    return "\n".join([text[0], f"|{rule}|", *text[1:]])


def _row(cells: Sequence[str], widths: Sequence[int], numeric: set[int]) -> str:
    padded = [
        cell.rjust(width) if column in numeric else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}" if value < 1 else f"{value:.2f}"
