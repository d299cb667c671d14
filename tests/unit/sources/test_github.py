"""Which commit a bundle from GitHub holds, read from what git itself writes."""

import gzip
import subprocess
from pathlib import Path

import pytest

from agent.sources.github import archived_commit

IDENTITY = ("-c", "user.name=dev", "-c", "user.email=dev@example.com", "-c", "commit.gpgsign=false")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "appspec.yml").write_text("version: 0.0\nos: linux\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, *IDENTITY, "commit", "-q", "-m", "first")
    return folder


def git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, encoding="utf-8")
    return run.stdout.strip()


@pytest.mark.parametrize("form", ["tar.gz", "zip"])
def test_the_commit_is_read_from_what_git_archives(repository: Path, tmp_path: Path, form: str) -> None:
    bundle = tmp_path / "bundle.tar"
    git(repository, "archive", f"--format={form}", "--prefix=dev-shop-1234567/", "-o", str(bundle), "HEAD")
    assert archived_commit(bundle) == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"not an archive", gzip.compress(b"x" * 2000), gzip.compress(b"x" * 2000)[:30]],
    ids=["empty", "short zip", "text", "no header", "cut"],
)
def test_a_bundle_that_names_no_commit_has_none(tmp_path: Path, content: bytes) -> None:
    bundle = tmp_path / "bundle.tar"
    bundle.write_bytes(content)
    assert archived_commit(bundle) is None
