"""Lifecycle events: their names, their order, and which revision's hook scripts serve each. Decides nothing about how.

Source of the rules: docs/compatibility.md, "Lifecycle events" (observed behaviour of the official agent 1.8.1).
"""

from collections.abc import Iterable, Sequence

from agent.compat import StrEnum
from agent.errors import SpecificationError

APPLICATION_STOP = "ApplicationStop"
DOWNLOAD_BUNDLE = "DownloadBundle"
BEFORE_INSTALL = "BeforeInstall"
INSTALL = "Install"
AFTER_INSTALL = "AfterInstall"
APPLICATION_START = "ApplicationStart"
VALIDATE_SERVICE = "ValidateService"
BEFORE_BLOCK_TRAFFIC = "BeforeBlockTraffic"
AFTER_BLOCK_TRAFFIC = "AfterBlockTraffic"
BEFORE_ALLOW_TRAFFIC = "BeforeAllowTraffic"
AFTER_ALLOW_TRAFFIC = "AfterAllowTraffic"

ON_FAILURE = "OnFailure"
"""Ours: runs after a failed lifecycle event, never ordered by anybody."""

OWN_EVENTS = (DOWNLOAD_BUNDLE, INSTALL)
"""Events that are the agent's own work and run no hook script."""

LOCAL_ORDER = (
    BEFORE_BLOCK_TRAFFIC, AFTER_BLOCK_TRAFFIC, APPLICATION_STOP, DOWNLOAD_BUNDLE, BEFORE_INSTALL, INSTALL,
    AFTER_INSTALL, APPLICATION_START, VALIDATE_SERVICE, BEFORE_ALLOW_TRAFFIC, AFTER_ALLOW_TRAFFIC,
)  # fmt: skip
"""What `run-local` runs unless told otherwise, in this order."""

DEFAULT_EVENTS = frozenset(LOCAL_ORDER)
HOOK_EVENTS = DEFAULT_EVENTS - set(OWN_EVENTS)
"""Default events for which an AppSpec may list hook scripts."""

NEVER_RUN_AS_HOOKS = frozenset({*OWN_EVENTS, "BlockTraffic", "AllowTraffic", "Start", "End"})
"""May be written under `hooks`, are never run."""

BEFORE_DOWNLOAD_ALLOWED = frozenset({BEFORE_BLOCK_TRAFFIC, AFTER_BLOCK_TRAFFIC, APPLICATION_STOP})
BEFORE_INSTALL_ALLOWED = BEFORE_DOWNLOAD_ALLOWED | {DOWNLOAD_BUNDLE, BEFORE_INSTALL}


class RevisionChoice(StrEnum):
    """Whose AppSpec and hook scripts serve an event."""

    CURRENT = "current"
    LAST_SUCCESSFUL = "last-successful"
    MOST_RECENT = "most-recent"


_NORMAL = {
    BEFORE_BLOCK_TRAFFIC: RevisionChoice.LAST_SUCCESSFUL,
    AFTER_BLOCK_TRAFFIC: RevisionChoice.LAST_SUCCESSFUL,
    APPLICATION_STOP: RevisionChoice.LAST_SUCCESSFUL,
}
_BLUE_GREEN_ROLLBACK = {
    BEFORE_BLOCK_TRAFFIC: RevisionChoice.MOST_RECENT,
    AFTER_BLOCK_TRAFFIC: RevisionChoice.MOST_RECENT,
    APPLICATION_STOP: RevisionChoice.LAST_SUCCESSFUL,
    BEFORE_ALLOW_TRAFFIC: RevisionChoice.LAST_SUCCESSFUL,
    AFTER_ALLOW_TRAFFIC: RevisionChoice.LAST_SUCCESSFUL,
}


def revision_for(event: str, *, blue_green_rollback: bool = False) -> RevisionChoice:
    """Say whose hook scripts serve `event`, while the deployment itself has no unpacked archive yet."""
    table = _BLUE_GREEN_ROLLBACK if blue_green_rollback else _NORMAL
    return table.get(event, RevisionChoice.CURRENT)


def order_local_events(requested: Sequence[str]) -> tuple[str, ...]:
    """Return the events of a local deployment in the order they run.

    Missing DownloadBundle and Install are put first; an Install before its DownloadBundle changes places with it.

    Raises:
        SpecificationError: an event that needs the new revision stands before it is there.
    """
    _check_before(requested, DOWNLOAD_BUNDLE, BEFORE_DOWNLOAD_ALLOWED)
    _check_before(requested, INSTALL, BEFORE_INSTALL_ALLOWED)
    missing = [event for event in OWN_EVENTS if event not in requested]
    ordered = [*missing, *requested]
    download, install = ordered.index(DOWNLOAD_BUNDLE), ordered.index(INSTALL)
    if install < download:
        ordered[install], ordered[download] = ordered[download], ordered[install]
    return tuple(ordered)


def check_event_names(hooks: Iterable[str], all_events: Sequence[str]) -> None:
    """Hold the AppSpec's events against those that the deployment may ask for; done before Install changes anything.

    Raises:
        SpecificationError: the AppSpec names an unknown event, or an event of ours is asked for that it lacks.
    """
    hooks = tuple(hooks)
    unknown = [name for name in hooks if name not in all_events and name != ON_FAILURE]
    if unknown:
        raise SpecificationError(
            f"hooks: unknown lifecycle event {', '.join(map(repr, unknown))}",
            hint="correct the spelling, or name the event with --events if it is one of your own",
        )
    missing = [name for name in all_events if name not in DEFAULT_EVENTS and name not in hooks]
    if missing:
        raise SpecificationError(
            f"hooks: the deployment asks for {', '.join(map(repr, missing))}, which the AppSpec does not list",
            hint="list the event under hooks, or do not ask for it",
        )


def _check_before(requested: Sequence[str], event: str, allowed: frozenset[str]) -> None:
    if event not in requested:
        return
    wrong = [name for name in requested[: requested.index(event)] if name not in allowed]
    if wrong:
        raise SpecificationError(
            f"--events: {', '.join(wrong)} cannot run before {event}",
            hint=f"before {event} only {', '.join(sorted(allowed))} may stand; move the others behind it",
        )
