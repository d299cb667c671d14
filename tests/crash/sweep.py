"""Every point at which an Install can be disturbed, in families: `python -m tests.crash.sweep [--every N] [NAME...]`.

Runs in a scratch folder below TMPDIR, one point after the other, and goes on after a failure.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from tests.crash.harness import (
    EIO,
    ENOSPC,
    KILL,
    NO_EXCHANGE,
    Point,
    Trees,
    calls_of,
    install,
    new_revision,
    points,
    reference_trees,
    try_point,
    try_recovery_point,
)
from tests.crash.scenario import Scratch

MANY = 40
"""More new files than are synced one by one."""

Try = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Bench:
    """A scratch folder with its two trees, and room for a trace."""

    scratch: Scratch
    trees: Trees
    trace: Path

    def calls(self, *others: str) -> list[tuple[str, bool]]:
        self.scratch.prepare()
        return calls_of(new_revision(self.scratch), self.trace, *others)

    def at(self, point: Point) -> tuple[str, Try]:
        return str(point), partial(try_point, self.scratch, self.trees, point)


def make_bench(folder: Path, *, more_files: int = 0) -> Bench:
    scratch = Scratch(folder / f"scratch-{more_files}", more_files)
    scratch.path.mkdir()
    return Bench(scratch, reference_trees(scratch), folder / "trace")


Points = Iterator[tuple[str, Try]]


def kills(bench: Bench) -> Points:
    """A SIGKILL at every changing call."""
    return map(bench.at, points(bench.calls(), KILL))


def failures(bench: Bench, what: str) -> Points:
    """Every changing call fails once."""
    return map(bench.at, points(bench.calls(), what))


def kills_without_exchange(bench: Bench) -> Points:
    """A SIGKILL at every call after staging, on a file system that cannot exchange names."""
    calls = bench.calls(NO_EXCHANGE)
    return map(bench.at, points(calls, KILL, NO_EXCHANGE, after=_first_injected(calls)))


def kills_while_undoing(bench: Bench, *others: str) -> Points:
    """A SIGKILL at every call of an undo: making the renames durable has failed."""
    calls = [call for call, _ in bench.calls(*others)]
    call, number = _first_sync_after_renames(calls)
    trigger = f"{call}:{EIO}:when={number}"
    disturbed = bench.calls(trigger, *others)
    start = max(place for place, (_, injected) in enumerate(disturbed) if injected)
    return map(bench.at, points(disturbed, KILL, trigger, *others, after=start))


def kills_while_recovering(bench: Bench) -> Points:
    """A SIGKILL at every call of a recovery, from each state that a transaction can be found in."""
    calls = bench.calls()
    names = [call for call, _ in calls]
    commits = [place for place, call in enumerate(names) if call == "renameat2"]
    for place in (commits[0] // 2, commits[0], commits[len(commits) // 2], commits[-1], len(calls) - 8):
        first = Point(names[place], names[: place + 1].count(names[place]), KILL)
        bench.scratch.prepare()
        install(bench.scratch, first.options)
        recovery = calls_of(bench.scratch.recover, bench.trace)
        for second in points(recovery, KILL):
            yield (
                f"{first}, then recovery with {second}",
                partial(try_recovery_point, bench.scratch, bench.trees, first, second),
            )


def _first_injected(calls: Sequence[tuple[str, bool]]) -> int:
    return next(place for place, (_, injected) in enumerate(calls) if injected)


def _first_sync_after_renames(calls: Sequence[str]) -> tuple[str, int]:
    last = max(place for place, call in enumerate(calls) if call in ("renameat2", "renameat"))
    place = next(place for place in range(last, len(calls)) if calls[place] in ("fsync", "syncfs"))
    return calls[place], calls[: place + 1].count(calls[place])


def families(few: Bench, many: Bench) -> dict[str, Callable[[], Points]]:
    """Every family by name."""
    return {
        "kill": partial(kills, few),
        "kill-many": partial(kills, many),
        "eio": partial(failures, few, EIO),
        "enospc": partial(failures, few, ENOSPC),
        "eio-many": partial(failures, many, EIO),
        "kill-no-exchange": partial(kills_without_exchange, few),
        "kill-undo": partial(kills_while_undoing, few),
        "kill-undo-no-exchange": partial(kills_while_undoing, few, NO_EXCHANGE),
        "kill-undo-many": partial(kills_while_undoing, many),
        "kill-recovery": partial(kills_while_recovering, few),
    }


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.sweep", description=__doc__)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try only every N-th point of a family")
    parser.add_argument("family", nargs="*", help="which families; all when none is named")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="crash-sweep-") as folder:
        all_families = families(make_bench(Path(folder)), make_bench(Path(folder), more_files=MANY))
        chosen = options.family or list(all_families)
        results = [_run(name, all_families[name], options.every) for name in chosen]
    tried, failed = (sum(column) for column in zip(*results, strict=True))
    print(f"{tried} points tried, {failed} failed")
    return 1 if failed else 0


def _run(name: str, family: Callable[[], Points], every: int) -> tuple[int, int]:
    began, tried, failed = time.monotonic(), 0, 0
    for _, attempt in islice(family(), 0, None, every):
        tried += 1
        try:
            attempt()
        except AssertionError as exc:
            failed += 1
            print(f"{name}: {exc}", flush=True)
    print(f"{name}: {tried} points, {failed} failed, {time.monotonic() - began:.0f} s", flush=True)
    return tried, failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
