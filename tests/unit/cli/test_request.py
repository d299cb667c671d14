import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.request import (
    ID_ENTROPY_BYTES,
    LocalRequest,
    local_deployment,
    local_deployment_id,
    local_events,
    parse_behavior,
    with_sha256,
)
from agent.core.deployment import DeploymentId, FileExistsBehavior
from agent.core.lifecycle import LOCAL_ORDER
from agent.core.revision import BundleType, HttpsRevision, LocalDirectoryRevision, Revision
from agent.errors import SpecificationError

HERE = LocalDirectoryRevision(path=Path("/srv/site"))
WEB = HttpsRevision(url="https://example.org/site.tgz", bundle_type=BundleType.TGZ)
ID = DeploymentId("d-ABCDEFGHI-local")
DIGEST = "ab" * 32


@settings(deadline=None, max_examples=50)
@given(st.binary(min_size=ID_ENTROPY_BYTES, max_size=ID_ENTROPY_BYTES))
def test_local_ids_have_the_official_form(entropy: bytes) -> None:
    assert re.fullmatch(r"d-[A-Z0-9]{9}-local", local_deployment_id(entropy))


@pytest.mark.parametrize(
    ("text", "events"),
    [
        pytest.param(None, LOCAL_ORDER, id="all"),
        pytest.param("ApplicationStart", ("DownloadBundle", "Install", "ApplicationStart"), id="both-put-first"),
        pytest.param("", ("DownloadBundle", "Install"), id="none"),
        pytest.param("BeforeInstall, Install", ("DownloadBundle", "BeforeInstall", "Install"), id="spaces"),
        pytest.param("ApplicationStop,DownloadBundle", ("DownloadBundle", "ApplicationStop", "Install"), id="swapped"),
    ],
)  # fmt: skip
def test_events_are_completed_and_ordered(text: str | None, events: tuple[str, ...]) -> None:
    assert local_events(text) == events


def test_custom_events_are_added_to_all_that_may_be_asked_for() -> None:
    request = LocalRequest(location=".", bundle_type="directory", events="Mine,ApplicationStart,Mine")
    assert local_deployment(request, HERE, ID).all_events == (*LOCAL_ORDER, "Mine")


def test_defaults_are_the_official_ones() -> None:
    deployment = local_deployment(LocalRequest(location="site", bundle_type="directory"), HERE, ID)
    assert deployment.group_id == "default-local-deployment-group"
    assert deployment.group_name == "LocalFleet"
    assert deployment.application == "site"
    assert deployment.appspec_filename == "appspec.yml"
    assert deployment.file_exists_behavior is FileExistsBehavior.DISALLOW


def test_a_behavior_may_be_written_in_any_case() -> None:
    assert parse_behavior("overWrite") is FileExistsBehavior.OVERWRITE
    with pytest.raises(SpecificationError, match="'maybe' is unknown") as caught:
        parse_behavior("maybe")
    assert caught.value.hint == "use one of DISALLOW, OVERWRITE, RETAIN"


def test_a_digest_is_put_on_a_remote_bundle() -> None:
    assert with_sha256(WEB, f" {DIGEST.upper()}\n") == HttpsRevision(
        url=WEB.url, bundle_type=WEB.bundle_type, sha256=DIGEST
    )


@pytest.mark.parametrize(
    ("revision", "digest", "message"),
    [
        pytest.param(WEB, "12", "is not 64 hexadecimal digits", id="short"),
        pytest.param(HERE, DIGEST, "cannot be checked", id="folder"),
        pytest.param(with_sha256(WEB, DIGEST), "cd" * 32, "contradicts the bundle location", id="contradiction"),
    ],
)
def test_a_digest_that_cannot_hold_is_refused(revision: Revision, digest: str, message: str) -> None:
    with pytest.raises(SpecificationError, match=message) as caught:
        with_sha256(revision, digest)
    assert caught.value.hint
