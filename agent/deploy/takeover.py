"""Reads once what the official agent left about a deployment group, so that the first Install removes the right files.

Its pointer files need no reading here: they are kept where they are and in use.
"""

import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from agent.core.deployment import GroupId
from agent.core.install_model import Kind, Recorded
from agent.core.layout import Layout
from agent.core.official_files import parse_cleanup
from agent.host.file_facts import look
from agent.journal.installs import Installs
from agent.journal.journal import Journal

CLEANUP_MAX_BYTES = 256 * 1024 * 1024


def take_over(layout: Layout, group_id: GroupId, journal: Journal) -> tuple[str, ...]:
    """Record as ours what the group's cleanup file lists and is there; returns warnings.

    Does nothing after the first time. Raises: AgentFault when the journal cannot be written.
    """
    installs = Installs(journal)
    if installs.is_taken_over(group_id):
        return ()
    records, warnings = read_official(layout, group_id)
    installs.take_over(group_id, records.values(), at=time.time())
    return warnings


def read_official(layout: Layout, group_id: GroupId) -> tuple[Mapping[bytes, Recorded], tuple[str, ...]]:
    """What the official agent's cleanup file lists and is there, by path, and warnings. Changes nothing."""
    text, warnings = _read_trusted(layout.cleanup(group_id))
    owner = _last_deployment(layout.last_successful_install(group_id))
    return {record.path: record for record in _records(parse_cleanup(text), group_id, owner)}, warnings


def _read_trusted(path: Path) -> tuple[bytes, tuple[str, ...]]:
    """A file that decides what gets removed must be nobody's but ours: returns its content, or nothing and why."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b"", ()
    except OSError as exc:
        return b"", (f"{path}: not taken over: {exc.strerror}; what it lists stays on the host",)
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        why = ""
        if not stat.S_ISREG(status.st_mode):
            why = "it is not a regular file"
        elif status.st_uid not in (0, os.geteuid()):
            why = f"it belongs to uid {status.st_uid}, not to root or this user"
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            why = "others may write to it"
        elif status.st_size > CLEANUP_MAX_BYTES:
            why = f"it is larger than {CLEANUP_MAX_BYTES} bytes"
        if why:
            return b"", (f"{path}: not taken over, since {why}; what it lists stays on the host",)
        return file.read(CLEANUP_MAX_BYTES), ()


def _last_deployment(pointer: Path) -> str:
    """The deployment whose files these are, as the official agent's pointer says; empty when it says nothing."""
    try:
        return os.path.basename(pointer.read_text(errors="replace").strip())
    except OSError:
        return ""


def _records(paths: Iterable[bytes], group_id: GroupId, deployment_id: str) -> Iterator[Recorded]:
    for path in dict.fromkeys(paths):
        try:
            found = look(path)
        except OSError:
            continue
        if found is not None and found.kind is not Kind.OTHER and os.path.normpath(path) == path:
            # A record names the real path: the planner never looks for one behind a symbolic link.
            real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
            yield Recorded(
                path=real, group_id=group_id, deployment_id=deployment_id, kind=found.kind,
                mode=found.mode, uid=found.uid, gid=found.gid,
                size=0 if found.kind is Kind.DIRECTORY else found.size, mtime_ns=found.mtime_ns, ino=found.ino,
                ctime_ns=found.ctime_ns, sha256=None, acl=None, context=None,
            )  # fmt: skip
