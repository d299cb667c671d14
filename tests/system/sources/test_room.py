"""A full file system: said before the first byte where the size is known, and without debris where it is not."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.core.revision import BundleType, HttpsRevision
from agent.errors import BundleError


@pytest.fixture
def cramped(tmp_path: Path, web_fetcher: Any) -> Iterator[Any]:
    """A fetcher into a file system of 1 MiB."""
    folder = tmp_path / "cramped"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs leave to mount a tmpfs")
    web_fetcher.folder = folder
    yield web_fetcher
    subprocess.run(["umount", str(folder)], check=True)


def test_a_known_size_is_compared_with_the_room_first(site: Any, page: Any, cramped: Any, content: bytes) -> None:
    site.pages["/a.tar"] = page(content)
    with pytest.raises(BundleError, match=rf"has {len(content)} bytes, but '.*' has room for \d+") as caught:
        cramped(HttpsRevision(url=f"{site.url}/a.tar", bundle_type=BundleType.TAR))
    assert "make room" in caught.value.hint
    assert cramped.progress == []


def test_an_unknown_size_fails_where_the_room_ends(site: Any, page: Any, cramped: Any, content: bytes) -> None:
    site.pages["/a.tar"] = page(content, chunked=True)
    with pytest.raises(BundleError, match="cannot write '.*/bundle.tar': No space left on device") as caught:
        cramped(HttpsRevision(url=f"{site.url}/a.tar", bundle_type=BundleType.TAR))
    assert "make room" in caught.value.hint
