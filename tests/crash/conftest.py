"""Scratch folders for Installs that are disturbed."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that the campaign's modules can be imported by their names


@pytest.fixture(scope="module")
def room() -> Iterator[Path]:
    """A folder on a memory file system where there is one: thousands of small Installs happen in it."""
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="crash-", dir=parent))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def needs_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not on this host")
