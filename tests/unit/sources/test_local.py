"""Bundles that are already on this host."""

from pathlib import Path

import pytest

from agent.core.revision import BundleType, LocalDirectoryRevision, LocalFileRevision, S3Revision
from agent.errors import BundleNotFoundError, SpecificationError
from agent.sources.fetch import FetchOptions, fetch
from agent.sources.local import check_local


def archive(path: Path) -> LocalFileRevision:
    return LocalFileRevision(path=path, bundle_type=BundleType.TGZ)


def folder(path: Path) -> LocalDirectoryRevision:
    return LocalDirectoryRevision(path=path)


def test_a_folder_with_its_appspec_passes(tmp_path: Path) -> None:
    (tmp_path / "appspec.yml").touch()
    check_local(folder(tmp_path), "appspec.yml")


def test_the_other_spelling_of_the_appspec_passes(tmp_path: Path) -> None:
    (tmp_path / "appspec.yaml").touch()
    check_local(folder(tmp_path), "appspec.yml")


def test_an_archive_passes(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").touch()
    check_local(archive(tmp_path / "a.tgz"), "appspec.yml")


def test_a_remote_revision_is_not_looked_at() -> None:
    check_local(S3Revision(bucket="b", key="k", bundle_type=BundleType.ZIP), "appspec.yml")


def test_a_missing_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="gone' does not exist") as caught:
        check_local(folder(tmp_path / "gone"), "appspec.yml")
    assert "spelling" in caught.value.hint


def test_a_dangling_link_is_told_apart_from_a_missing_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(SpecificationError, match="is a link to nothing"):
        check_local(archive(tmp_path / "link"), "appspec.yml")


def test_a_file_is_no_directory_bundle(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").touch()
    with pytest.raises(SpecificationError, match="is a file, but --type is directory") as caught:
        check_local(folder(tmp_path / "a.tgz"), "appspec.yml")
    assert "name its type with --type" in caught.value.hint


def test_a_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="is a folder, but --type is tgz") as caught:
        check_local(archive(tmp_path), "appspec.yml")
    assert "--type directory" in caught.value.hint


def test_a_folder_without_appspec_names_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "AppSpec.yml.txt").touch()
    with pytest.raises(SpecificationError, match=r"no AppSpec \(appspec.yml or appspec.yaml\)") as caught:
        check_local(folder(tmp_path), "appspec.yml")
    assert "'AppSpec.yml.txt'" in caught.value.hint


def test_an_appspec_name_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="not a relative path inside the bundle"):
        check_local(folder(tmp_path), "../appspec.yml")


def test_a_local_archive_is_linked_not_copied(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(b"12345")
    fetched = fetch(archive(tmp_path / "a.tgz"), tmp_path / "bundle.tar", FetchOptions(), None)
    assert (tmp_path / "bundle.tar").readlink() == tmp_path / "a.tgz"
    assert fetched.size_bytes == 5


def test_linking_again_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "bundle.tar").write_text("old")
    (tmp_path / "a.tgz").write_bytes(b"12345")
    fetch(archive(tmp_path / "a.tgz"), tmp_path / "bundle.tar", FetchOptions(), None)
    assert (tmp_path / "bundle.tar").read_bytes() == b"12345"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tgz", "bundle.tar"]


def test_a_local_archive_that_went_away_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(BundleNotFoundError, match="No such file or directory"):
        fetch(archive(tmp_path / "gone.tgz"), tmp_path / "bundle.tar", FetchOptions(), None)


def test_a_folder_has_no_bundle_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="has no bundle to fetch"):
        fetch(folder(tmp_path), tmp_path / "bundle.tar", FetchOptions(), None)
