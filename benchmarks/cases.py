"""The rows of the table: what is deployed, beside what, and the goal it is held to. One function, one kind of row."""

import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter

from agent.core.lifecycle import DOWNLOAD_BUNDLE, INSTALL, LOCAL_ORDER, OWN_EVENTS
from benchmarks.bundles import Bundle
from benchmarks.ground import AGENTCTL, BUCKET, DURABLE, OURS, PLAIN, Ground, s3_server
from benchmarks.measure import Contestant, Sample, compete, median, run
from benchmarks.table import Goal, Line

UNPACK: Mapping[str, str] = {"tar": "tar -xf", "tgz": "tar -xzf", "zip": "unzip -q"}
GRACE_S = 1
LIMIT_S = 1
IGNORES_TERM = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n"
WRITES_LINES = "#!/bin/sh\nexec seq -f 'line %.0f of what a chatty hook script has to say' 300000\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much to measure. `scale` divides the sizes, for a quick look; only 1 says anything about the goals."""

    ground: Ground
    repeat: int
    scale: int = 1


def help_text(plan: Plan) -> Iterator[Line]:
    """`agentctl --help`, which every completion and every script waits for."""
    ours = plan.ground.ours([str(AGENTCTL), "--help"], plan.ground.clear)
    yield _line(plan, "agentctl --help", [ours], Goal(seconds=0.12))


def tiny(plan: Plan) -> Iterator[Line]:
    """One small file and a script for every event: what a deployment costs before it does anything."""
    ground = plan.ground
    hooks = tuple((event, "#!/bin/sh\n:\n", 60) for event in LOCAL_ORDER if event not in OWN_EVENTS)
    bundle = ground.bundle(
        Bundle(kind="tar", files=1, file_bytes=100, destination=str(ground.destination), hooks=hooks)
    )
    ours = ground.ours(ground.run_local(bundle, "tar"), ground.clear)
    yield _line(plan, "tiny bundle, eleven events", [ours], Goal(seconds=0.45, megabytes=45))


def many_files(plan: Plan) -> Iterator[Line]:
    """Bundles of many files, from a local archive to installed."""
    for kind in ("tgz", "zip", "tar"):
        yield _unpack_and_copy(plan, kind, 10_000 // plan.scale, 4096)
    yield _unpack_and_copy(plan, "zip", 2_000 // plan.scale, 100_000)


def again(plan: Plan) -> Iterator[Line]:
    """The next revision, 1 % of its files changed; `theirs` is our own first time."""
    ground, files = plan.ground, 10_000 // plan.scale
    for kind in ("tgz", "zip", "tar"):
        first = ground.run_local(ground.bundle(_files(plan, kind, files, 4096)), kind)
        second = ground.run_local(ground.bundle(_files(plan, kind, files, 4096, changed=files // 100)), kind)
        contestants = [
            ground.ours(second, partial(_deploy, ground, first)),
            replace(ground.ours(first, ground.clear), name=PLAIN),
        ]
        yield _line(
            plan, f"{files:,} files again, 1 % changed, {kind} (theirs: first time)", contestants, Goal(ratio=0.25)
        )


def one_big_file(plan: Plan) -> Iterator[Line]:
    """One file of 1 GiB, from S3 on loopback to installed, beside curl and the plain tools."""
    ground, size = plan.ground, (1 << 30) // plan.scale
    with s3_server(ground.cache) as endpoint:
        ground.write_config([":region: eu-west-1", f":s3_endpoint_override: {endpoint}", ":s3_path_style: true"])
        for kind in ("tar", "tgz"):
            bundle = ground.bundle(_files(plan, kind, 1, size))
            fetch = f"curl -sSf -o bundle {endpoint}/{BUCKET}/{bundle.name};"
            contestants = [
                ground.ours(ground.run_local(f"s3://{BUCKET}/{bundle.name}", kind), ground.clear),
                *_plain(plan, fetch, f"{UNPACK[kind]} bundle"),
            ]
            what = f"one file of {size >> 20:,} MiB from S3, {kind}"
            yield _line(plan, what, contestants, Goal(ratio=1.2, megabytes=90))
    ground.write_config()


def chatty_hook(plan: Plan) -> Iterator[Line]:
    """A script that writes 300,000 lines, beside the same script writing to a file."""
    ground, hook = plan.ground, (("AfterInstall", WRITES_LINES, 60),)
    bundle = ground.bundle(_hook_bundle(hook))
    alone = ["/bin/sh", "-c", WRITES_LINES]
    ours = ground.ours(ground.run_local(bundle, "tar", json=False), ground.clear)
    contestants = [ours, Contestant(name=PLAIN, argv=alone, env=ours.env, prepare=ground.clear)]
    yield _line(plan, "a hook writing 300,000 lines", contestants, Goal(seconds=1))


def time_limit(plan: Plan) -> Iterator[Line]:
    """How long after its limit and grace a script that ignores TERM is gone: the event's own duration less both."""
    ground = plan.ground
    ground.write_config([f"hook_grace_seconds: {GRACE_S}"])
    bundle = ground.bundle(_hook_bundle((("AfterInstall", IGNORES_TERM, LIMIT_S),)))
    ours = ground.ours(ground.run_local(bundle, "tar"), ground.clear, exit_status=1)
    samples = compete([ours], plan.repeat, ground.work)[OURS]
    over_s = statistics.median(sample.events["AfterInstall"] - LIMIT_S - GRACE_S for sample in samples)
    yield replace(
        _measured(plan, "time limit overshoot, beyond the grace", {OURS: samples}, Goal(seconds=0.5)), ours_s=over_s
    )
    ground.write_config()


CASES: Mapping[str, Callable[[Plan], Iterator[Line]]] = {
    "help": help_text,
    "tiny": tiny,
    "files": many_files,
    "again": again,
    "big": one_big_file,
    "chatty": chatty_hook,
    "limit": time_limit,
}
"""What `--only` takes -> what it runs."""


def _files(plan: Plan, kind: str, files: int, file_bytes: int, changed: int = 0) -> Bundle:
    destination = str(plan.ground.destination)
    return Bundle(kind=kind, files=files, file_bytes=file_bytes, destination=destination, changed=changed)


def _hook_bundle(hooks: tuple[tuple[str, str, int], ...]) -> Bundle:
    return Bundle(kind="tar", files=0, file_bytes=0, destination="", hooks=hooks)


def _unpack_and_copy(plan: Plan, kind: str, files: int, file_bytes: int) -> Line:
    ground = plan.ground
    bundle = ground.bundle(_files(plan, kind, files, file_bytes))
    ours = ground.ours(ground.run_local(bundle, kind), ground.clear)
    contestants = [ours, *_plain(plan, "", f'{UNPACK[kind]} "{bundle}"')]
    return _line(plan, f"{files:,} files of {file_bytes:,} bytes, {kind}", contestants, Goal(ratio=1.3))


def _plain(plan: Plan, fetch: str, unpack: str) -> list[Contestant]:
    """The plain tools; on a disk a second time with the result synced, which is what ours always does."""
    ground = plan.ground
    kept = [] if ground.is_tmpfs else [ground.theirs(fetch, unpack, durable=True)]
    return [ground.theirs(fetch, unpack), *kept]


def _deploy(ground: Ground, argv: Sequence[str]) -> None:
    ground.clear()
    run(ground.ours(argv, ground.clear), ground.work)
    os.sync()


def _line(plan: Plan, what: str, contestants: Sequence[Contestant], goal: Goal) -> Line:
    return _measured(plan, what, compete(contestants, plan.repeat, plan.ground.work), goal)


def _measured(plan: Plan, what: str, samples: Mapping[str, Sequence[Sample]], goal: Goal) -> Line:
    ours = samples[OURS]
    return Line(
        what=what,
        where=plan.ground.where,
        ours_s=median(ours, attrgetter("wall_s")),
        theirs_s=median(samples[PLAIN], attrgetter("wall_s")) if PLAIN in samples else None,
        synced_s=median(samples[DURABLE], attrgetter("wall_s")) if DURABLE in samples else None,
        cpu_s=median(ours, attrgetter("cpu_s")),
        peak_bytes=median(ours, attrgetter("peak_bytes")),
        goal=goal if plan.scale == 1 else Goal(),
        note=_events_note([sample.events for sample in ours]),
    )


def _events_note(runs: Sequence[Mapping[str, float]]) -> str:
    """Say what our own two events took, medians, so that start-up and hooks can be told from them."""
    return ", ".join(
        f"{event} {statistics.median(run[event] for run in runs):.3f}"
        for event in (DOWNLOAD_BUNDLE, INSTALL)
        if all(event in run for run in runs)
    )
