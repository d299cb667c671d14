"""Which events run, in which order, with whose scripts."""

import pytest

from agent.core.lifecycle import LOCAL_ORDER, RevisionChoice, check_event_names, order_local_events, revision_for
from agent.errors import SpecificationError


@pytest.mark.parametrize(
    ("requested", "ordered"),
    [
        (LOCAL_ORDER, LOCAL_ORDER),
        ((), ("DownloadBundle", "Install")),
        (("AfterInstall",), ("DownloadBundle", "Install", "AfterInstall")),
        (("DownloadBundle",), ("DownloadBundle", "Install")),
        (("Install",), ("DownloadBundle", "Install")),
        (("ApplicationStop", "DownloadBundle", "Custom"), ("DownloadBundle", "ApplicationStop", "Install", "Custom")),
        (("ApplicationStop", "Install"), ("DownloadBundle", "ApplicationStop", "Install")),
        (("DownloadBundle", "Install"), ("DownloadBundle", "Install")),
    ],
)
def test_missing_events_come_first_and_install_follows_download(
    requested: tuple[str, ...], ordered: tuple[str, ...]
) -> None:
    assert order_local_events(requested) == ordered


@pytest.mark.parametrize(
    ("requested", "wrong", "before"),
    [
        (("Install", "DownloadBundle"), "Install", "DownloadBundle"),
        (("BeforeInstall", "DownloadBundle"), "BeforeInstall", "DownloadBundle"),
        (("DownloadBundle", "AfterInstall", "Install"), "AfterInstall", "Install"),
        (("Custom", "Install"), "Custom", "Install"),
    ],
)
def test_an_event_that_needs_the_new_revision_cannot_come_before_it(
    requested: tuple[str, ...], wrong: str, before: str
) -> None:
    with pytest.raises(SpecificationError, match=f"--events: {wrong} cannot run before {before}") as caught:
        order_local_events(requested)
    assert f"before {before} only" in caught.value.hint


@pytest.mark.parametrize(
    ("event", "normal", "rollback"),
    [
        ("BeforeBlockTraffic", "last-successful", "most-recent"),
        ("AfterBlockTraffic", "last-successful", "most-recent"),
        ("ApplicationStop", "last-successful", "last-successful"),
        ("BeforeInstall", "current", "current"),
        ("AfterInstall", "current", "current"),
        ("ApplicationStart", "current", "current"),
        ("ValidateService", "current", "current"),
        ("BeforeAllowTraffic", "current", "last-successful"),
        ("AfterAllowTraffic", "current", "last-successful"),
        ("Custom", "current", "current"),
    ],
)
def test_each_event_is_served_by_the_right_revision(event: str, normal: str, rollback: str) -> None:
    assert revision_for(event) is RevisionChoice(normal)
    assert revision_for(event, blue_green_rollback=True) is RevisionChoice(rollback)


def test_unknown_event_names_are_listed() -> None:
    with pytest.raises(SpecificationError, match="unknown lifecycle event 'AfterInstal', 'Begin'"):
        check_event_names(["AfterInstal", "Begin", "Install"], LOCAL_ORDER)


def test_a_custom_event_must_stand_in_the_appspec() -> None:
    with pytest.raises(SpecificationError, match="asks for 'Warm', which the AppSpec does not list"):
        check_event_names([], (*LOCAL_ORDER, "Warm"))
    check_event_names(["Warm", "OnFailure"], (*LOCAL_ORDER, "Warm"))
