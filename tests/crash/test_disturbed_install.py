"""A spread sample of the campaign in sweep.py: whatever disturbs an Install, the tree is the old one or the new one."""

from itertools import islice
from pathlib import Path

import pytest

from tests.crash.sweep import MANY, Bench, families, make_bench

EVERY = pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.campaign)])
"""Only every so many points of a family; the campaign tries them all."""


@pytest.fixture(scope="module")
def benches(room: Path) -> tuple[Bench, Bench]:
    return make_bench(room), make_bench(room, more_files=MANY)


@EVERY
@pytest.mark.parametrize(
    "name",
    [
        "kill", "kill-many", "eio", "enospc", "eio-many", "kill-no-exchange", "kill-undo", "kill-undo-no-exchange",
        "kill-undo-many", "kill-recovery",
    ],
)  # fmt: skip
def test_the_tree_is_old_or_new_whatever_disturbs_the_install(
    name: str, every: int, benches: tuple[Bench, Bench]
) -> None:
    tried = 0
    for _, attempt in islice(families(*benches)[name](), 0, None, every):
        attempt()
        tried += 1
    assert tried > 5
