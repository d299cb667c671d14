"""The README's tour is run as it stands there, and every link in the documentation leads to something."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
TOUR = "/tmp/tour"
TIME_LIMIT_S = 60

VARIES = (
    (re.compile(r"d-[A-Z0-9]{9}-local"), "d-ID-local"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "WHEN"),
    (re.compile(r"\d+\.\d\d s"), "TIME"),
    (re.compile(r"files, \d+ bytes"), "files, N bytes"),
    (re.compile(r"tgz, [\d.]+ KiB"), "tgz, SIZE"),
    (re.compile(r"[ \t]+"), " "),  # columns are as wide as what stands in them
)
"""What differs from run to run, and what stands in its place for comparison."""


def blocks() -> Iterator[tuple[str, str]]:
    """Give the tour's commands and the output that the README shows for them, empty where it shows none."""
    tour = README.read_text().split("## Five minutes")[1].split("\n## ")[0]
    found = re.findall(r"```(sh|text)\n(.*?)```", tour, re.DOTALL)
    for number, (kind, text) in enumerate(found):
        if kind == "sh":
            follows = found[number + 1] if number + 1 < len(found) else ("sh", "")
            yield text, follows[1] if follows[0] == "text" else ""


def normal(text: str) -> str:
    for pattern, substitute in VARIES:
        text = pattern.sub(substitute, text)
    return "\n".join(line.strip() for line in text.strip().splitlines())


def test_the_tour_shows_what_its_commands_print(tmp_path: Path) -> None:
    here = str(tmp_path / "tour")
    env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    for commands, shown in blocks():
        script = commands.replace(TOUR, here).replace('PATH="$PWD/.venv/bin:$PATH"\n', "")
        done = subprocess.run(
            ["/bin/sh"],
            input=script,
            cwd=ROOT,
            env=env,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIME_LIMIT_S,
        )
        printed = normal(done.stdout.replace(here, TOUR))
        for piece in normal(shown).split("\n...\n"):
            assert piece in printed, (
                f"the README shows, but {commands!r} does not print:\n{piece}\n\nit prints:\n{printed}"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing
