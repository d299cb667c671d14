"""`python -m benchmarks`: measures, prints the table, and says by its exit status whether every goal was met."""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.cases import CASES, Plan
from benchmarks.ground import TMPFS, Ground
from benchmarks.measure import BenchmarkError
from benchmarks.table import Line, render

FOLDERS = {TMPFS: Path("/dev/shm"), "disk": Path("/var/tmp")}
QUICK_SCALE = 20


def main() -> int:
    """Measure what the command line asks for. Exit status 1: a goal was missed; 2: something did not work at all."""
    options = _parse(sys.argv[1:])
    lines: list[Line] = []
    try:
        _measure(options, lines)
    except BenchmarkError as exc:
        print(f"stopped: {exc}", file=sys.stderr)
        return 2
    print(_machine(options.repeat))
    print(render(lines))
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(line) for line in lines], indent=1))
    return int(any(line.is_met is False for line in lines))


def _measure(options: argparse.Namespace, lines: list[Line]) -> None:
    for where in options.where:
        with _ground(where, options) as ground:
            plan = Plan(ground=ground, repeat=options.repeat, scale=QUICK_SCALE if options.quick else 1)
            for name in options.only:
                for line in CASES[name](plan):
                    lines.append(line)
                    print(f"{line.what} on {line.where}: {line.ours_s:.3f} s", file=sys.stderr)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small bundles, three rounds; says nothing about goals")
    parser.add_argument("--only", type=_names(CASES), default=list(CASES), metavar="A,B", help=", ".join(CASES))
    parser.add_argument("--where", type=_names(FOLDERS), default=list(FOLDERS), metavar="A,B", help=", ".join(FOLDERS))
    parser.add_argument("--repeat", type=int, metavar="N", help="rounds that count, after one that does not (7)")
    parser.add_argument("--disk", type=Path, default=FOLDERS["disk"], help="folder for what is measured on disk")
    parser.add_argument("--cache", type=Path, default=_cache(), help="where the bundles are kept between runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    options.repeat = options.repeat or (3 if options.quick else 7)
    return options


def _names(known: Iterable[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        wrong = [name for name in text.split(",") if name not in known]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(known)}")
        return text.split(",")

    return parse


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "deploy-agent-benchmarks"


@contextmanager
def _ground(where: str, options: argparse.Namespace) -> Iterator[Ground]:
    """Give a scratch folder on the file system; its name is always the same, since bundles name their destination."""
    parent = FOLDERS[where] if where == TMPFS else options.disk
    work = parent / "deploy-agent-benchmarks"
    work.mkdir(mode=0o700)
    try:
        ground = Ground(where=where, work=work, cache=options.cache)
        ground.write_config()
        yield ground
    finally:
        shutil.rmtree(work)


def _machine(repeat: int) -> str:
    return (
        f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()},"
        f" medians of {repeat}, seconds; load average before: {os.getloadavg()[0]:.2f}\n"
    )


if __name__ == "__main__":
    sys.exit(main())
