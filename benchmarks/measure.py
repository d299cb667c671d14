"""Runs contestants in turns and says what each took. Knows processes and medians; not what they are for."""

import json
import os
import statistics
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run. `peak_bytes` is the largest single process of the child's tree, as the kernel counts it.

    It is never less than this harness itself had when it started the child (some 20 MB): the kernel hands that on.
    """

    wall_s: float
    cpu_s: float
    peak_bytes: int
    events: Mapping[str, float]
    """Lifecycle event -> its own duration in seconds, when the command was `run-local --json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One way of doing the work: a command, and what makes the ground ready before each run, untimed."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    prepare: Callable[[], None]
    exit_status: int = 0


class BenchmarkError(Exception):
    """A contestant did not do its work, so that its time means nothing."""


def compete(contestants: Sequence[Contestant], repeat: int, scratch: Path) -> dict[str, list[Sample]]:
    """Run each contestant `repeat` times, each round in reverse order of the last, after one that does not count."""
    samples: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
    rounds = 1 if repeat == 1 else repeat + 1
    for number in range(rounds):
        for contestant in contestants if number % 2 else reversed(contestants):
            contestant.prepare()
            sample = run(contestant, scratch)
            if number or rounds == 1:
                samples[contestant.name].append(sample)
    return samples


def run(contestant: Contestant, scratch: Path) -> Sample:
    """Run the command once, with its output in a file.

    Raises:
        BenchmarkError: it ended otherwise than expected.
    """
    out, err = scratch / "stdout", scratch / "stderr"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        started = perf_counter()
        child = subprocess.Popen(
            contestant.argv, env=contestant.env, stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file
        )
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)  # reaped here, so that Popen does not look for it
    if child.returncode != contestant.exit_status:
        tail = "".join(file.read_text(errors="replace")[-2000:] for file in (out, err))
        raise BenchmarkError(f"{contestant.name}: exit status {child.returncode}: {tail}")
    return Sample(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
        events=dict(_event_durations(out)),
    )


def _event_durations(output: Path) -> Iterator[tuple[str, float]]:
    """Read line by line: whatever makes this harness big would be counted as every later child's peak."""
    with output.open("rb") as file:
        for line in file:
            if line.startswith(b'{"type": "event-ended"'):
                ended = json.loads(line)
                yield ended["event"], ended["duration_s"]


def median(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    return statistics.median(value(sample) for sample in samples)
