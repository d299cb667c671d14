"""What stops an Install, told to people: every conflict at once, each with its reason, its owner and how to mend it."""

from collections.abc import Sequence

from agent.core.install_facts import HostFacts, InstallRequest
from agent.core.install_model import Conflict, Reason
from agent.core.install_paths import show_path
from agent.errors import DestinationExistsError, InstallError, PermissionsError

MOST_LISTED = 100
"""Conflicts written out in the message; the error's `problems` hold them all."""

_TEXTS = {
    Reason.EXISTS: "a file is already there and file_exists_behavior is DISALLOW",
    Reason.NOT_A_DIRECTORY: "a directory is needed here and something else is there",
    Reason.IS_A_DIRECTORY: "a file is to go here and a directory is there",
    Reason.UNTRUSTED_LINK: "a directory is needed here and a symbolic link of somebody else is there",
    Reason.DANGLING_LINK: "a directory is needed here and a symbolic link that leads to none is there",
    Reason.FOREIGN_CONTENT: "a file is to replace the directory above, and this was not installed by this group",
    Reason.TWO_SOURCES: "more than one entry of files puts something here",
    Reason.SPECIAL_FILE: "a FIFO, socket or device node is there",
    Reason.MISSING_SOURCE: "the bundle holds nothing of this name",
    Reason.BAD_MAPPING: "an entry of files cannot be carried out",
    Reason.RESERVED: "nothing is installed into the agent's own folders",
}
_HINTS = {
    Reason.EXISTS: "remove the file, or set file_exists_behavior to OVERWRITE or RETAIN",
    Reason.NOT_A_DIRECTORY: "move what is there away, or choose another destination",
    Reason.IS_A_DIRECTORY: "move the directory away, or choose another destination",
    Reason.UNTRUSTED_LINK: "let root or the agent's user own the link (chown -h), or replace it by a directory",
    Reason.DANGLING_LINK: "make (or mount) the directory that the link names, or remove the link",
    Reason.FOREIGN_CONTENT: "move these files away; they would be lost",
    Reason.TWO_SOURCES: "leave one of these entries of files",
    Reason.SPECIAL_FILE: "remove it: only files, directories and symbolic links can be installed or replaced",
    Reason.MISSING_SOURCE: "correct the source (no wildcards, letter case counts), or add the file to the bundle",
    Reason.BAD_MAPPING: "correct source and destination",
    Reason.RESERVED: "choose a destination outside the deployment root",
}
_PERMISSIONS_HINT = "correct permissions in the AppSpec, or create the users and groups before Install"


def raise_conflicts(conflicts: Sequence[Conflict], permission_problems: Sequence[str]) -> None:
    """Raise the one error that holds all of these; return when there is none.

    Raises:
        DestinationExistsError: only files that are already there.
        PermissionsError: only problems of `permissions`.
        InstallError: anything else.
    """
    if not conflicts and not permission_problems:
        return
    reasons = {conflict.reason for conflict in conflicts}
    problems = (*(_line(conflict) for conflict in conflicts), *permission_problems)
    hints = [_HINTS[reason] for reason in Reason if reason in reasons]
    if permission_problems:
        hints.append(_PERMISSIONS_HINT)
    kind: type[InstallError] = InstallError
    if not permission_problems and reasons == {Reason.EXISTS}:
        kind = DestinationExistsError
    elif not conflicts:
        kind = PermissionsError
    raise kind(_message(problems), hint="; ".join(hints), problems=problems)


def owner_of(path: bytes, request: InstallRequest, facts: HostFacts) -> str:
    """Whose a path on the host is: another deployment group's, this one's, or a user's."""
    record = request.recorded.get(path)
    if record is not None:
        own = record.group_id == request.group_id
        return "this deployment group" if own else f"deployment group {record.group_id!r}"
    found = facts.present.get(path)
    if found is None:
        return "nobody known"
    name = facts.user_names.get(found.uid)
    return f"uid {found.uid}" if name is None else f"user {name}"


def _line(conflict: Conflict) -> str:
    return f"{show_path(conflict.path)}: {_TEXTS[conflict.reason]} ({conflict.owner})"


def _message(problems: Sequence[str]) -> str:
    if len(problems) == 1:
        return problems[0]
    listed = "\n".join(f"  {problem}" for problem in problems[:MOST_LISTED])
    more = f"\n  and {len(problems) - MOST_LISTED} more" if len(problems) > MOST_LISTED else ""
    return f"{len(problems)} problems stop the install, nothing was changed:\n{listed}{more}"
