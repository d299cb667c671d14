"""Deletes old deployment folders of a group. What may go is decided in `agent.core.retention`."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from agent.core.deployment import DeploymentId, GroupId
from agent.core.layout import Layout
from agent.core.progress import Listener, Warned
from agent.core.retention import Kept, RetentionLimits, choose_removals
from agent.journal.archives import forget_archive
from agent.journal.history import History
from agent.journal.journal import Journal


def prune_revisions(
    layout: Layout, group_id: GroupId, journal: Journal, *, limits: RetentionLimits, listener: Listener
) -> tuple[str, ...]:
    """Delete what exceeds `limits` and return the folders' names; whatever resists is a warning, no failure.

    The last good deployment, the one whose files are installed and the one unpacked last always stay.
    """
    history = History(journal)
    try:
        protected = frozenset(_protected(layout, group_id, history))
        folders = _folders(layout.group(group_id), history, group_id, measured=limits.max_bytes or limits.max_inodes)
    except OSError as exc:  # who cannot tell what must stay deletes nothing
        listener(Warned(message=f"old revisions not deleted: {exc}", hint="mend that path; the next deployment tries"))
        return ()
    removed = []
    for name in choose_removals(folders, protected, limits):
        path = layout.group(group_id) / name
        try:
            shutil.rmtree(path)
        except OSError as exc:
            listener(Warned(message=f"{path}: old revision not deleted: {exc}", hint="delete it by hand"))
            continue
        forget_archive(journal, DeploymentId(name))
        removed.append(name)
    return tuple(removed)


def _protected(layout: Layout, group_id: GroupId, history: History) -> Iterator[str]:
    if good := history.group_state(group_id).last_good_deployment_id:
        yield good
    for pointer in (layout.last_successful_install(group_id), layout.most_recent_install(group_id)):
        if folder := read_pointer(pointer):
            yield folder.name


def read_pointer(pointer: Path) -> Path | None:
    """Return the deployment folder a pointer file names, None when there is no such file or it is empty."""
    try:
        text = os.fsdecode(pointer.read_bytes()).removesuffix("\n")
    except FileNotFoundError:
        return None
    return Path(text) if text else None


def _folders(group: Path, history: History, group_id: GroupId, *, measured: int | None) -> list[Kept]:
    """The group's deployment folders, oldest first: by the journal where it knows them, by mtime before that."""
    order = {row.deployment_id: row.seq for row in history.deployments(group_id=group_id)}
    try:
        entries = [entry for entry in os.scandir(group) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    entries.sort(key=lambda entry: (order.get(DeploymentId(entry.name), 0), entry.stat().st_mtime_ns))
    return [_measure(entry.path, entry.name) if measured else Kept(name=entry.name, size_bytes=0, inodes=0)
            for entry in entries]  # fmt: skip


def _measure(path: str, name: str) -> Kept:
    size_bytes = inodes = 0
    for folder, folders, files in os.walk(path):
        inodes += 1 + len(files)
        del folders
        for file in files:
            size_bytes += os.lstat(os.path.join(folder, file)).st_blocks * 512
    return Kept(name=name, size_bytes=size_bytes, inodes=inodes)
