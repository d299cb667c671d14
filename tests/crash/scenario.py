"""An Install of a few dozen operations from one revision to the next, in a scratch folder, and what it leaves.

The scratch folder holds all of it: the deployment root with its journal, the two revisions, the destinations.
"""

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.core.appspec.model import AclEntry, AppSpec, FileMapping, ObjectType, PermissionEntry, Position
from agent.core.deployment import Deployment, DeploymentId, FileExistsBehavior, GroupId
from agent.core.layout import Layout
from agent.core.progress import ignore_progress
from agent.core.revision import LocalDirectoryRevision
from agent.deploy.install import InstallRequest, InstallResult, install_revision
from agent.deploy.recovery import recover_installs
from agent.journal.archives import record_archive
from agent.journal.history import History
from agent.journal.journal import Journal
from agent.journal.rows import Owner

HERE = Position(line=1, column=1)
LONG_AGO_NS = 1_600_000_000_123_456_789
GROUP = GroupId("blog")

Tree = dict[bytes, bytes | tuple[bytes, int] | None]
"""Name -> content of a file, (link target, -1), (content, mode), or None for an empty directory."""

OLD: Tree = {
    b"keep.txt": b"same in both\n",
    b"change.txt": b"old content\n",
    b"empty": b"",
    b"run.sh": (b"#!/bin/sh\necho hello\n", 0o755),
    b"gone.txt": b"only in the old revision\n",
    b"folder-to-file/one": b"1",
    b"folder-to-file/sub/two": b"2" * 5000,
    b"folder-to-link/x": b"x",
    b"file-to-folder": b"a file for now\n",
    b"link-to-folder": (b"keep.txt", -1),
    b"link": (b"keep.txt", -1),
    b"link-to-file": (b"change.txt", -1),
    b"file-to-link": b"will be a link\n",
    b"gone-folder/x": b"x",
    b"gone-folder/deep/y": b"y",
    b"shared-folder/ours": b"ours\n",
    b"assets/app.js": b"old();\n" * 2000,
    b"assets/same.css": b"body{}\n",
    b"old name with space": b"space\n",
    b"old\nline": b"newline\n",
    b"secret": (b"old secret\n", 0o600),
}
NEW: Tree = {
    b"keep.txt": b"same in both\n",
    b"change.txt": b"new content, and longer\n",
    b"empty": b"not empty any more",
    b"run.sh": (b"#!/bin/sh\necho hello\n", 0o700),
    b"folder-to-file": b"a file now\n",
    b"folder-to-link": (b"assets", -1),
    b"file-to-folder/inside/three": b"3",
    b"link-to-folder/four": b"4",
    b"link": (b"change.txt", -1),
    b"link-to-file": b"a file now\n",
    b"file-to-link": (b"run.sh", -1),
    b"assets/app.js": b"new();\n" * 3000,
    b"assets/same.css": b"body{}\n",
    b"assets/fresh.js": b"fresh();\n",
    b"new-tree/a/b/c": b"c\n",
    b"new-tree/a/d": (b"executable", 0o755),
    b"new-tree/link": (b"a/d", -1),
    b"new-tree/hollow": None,
    b"new file": b"space\n",
    b"new\nline": b"newline\n",
    b"-rf": b"dash\n",
    b"quote'\"": b"quotes\n",
    b"\xff\xfebytes": b"not UTF-8\n",
    b"secret": (b"new secret\n", 0o640),
}
FOREIGN: Tree = {b"foreign.txt": b"not ours\n", b"shared-folder/theirs": b"theirs\n"}

Digests = Sequence[tuple[bytes, int, int, int, bytes]]
"""Path in the archive, size, inode number, ctime, SHA-256."""

Snapshot = dict[bytes, tuple[object, ...]]
"""Path below the scratch folder -> kind, mode, owner and group, content or target, mtime of files, ACL."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """One scratch folder. `more_files` new files take the Install past the number that is synced one by one."""

    path: Path
    more_files: int = 0

    @property
    def layout(self) -> Layout:
        return Layout(self.path / "root")

    def archive(self, name: str) -> Path:
        return self.path / "revisions" / name

    def open_journal(self) -> Journal:
        return Journal.open(self.layout.journal)

    def request(self, deployment_id: str, revision: str) -> InstallRequest:
        deployment = Deployment(
            deployment_id=DeploymentId(deployment_id),
            group_id=GROUP,
            group_name="blog",
            application="site",
            revision=LocalDirectoryRevision(path=self.archive(revision)),
            file_exists_behavior=FileExistsBehavior.DISALLOW,
        )
        return InstallRequest(
            deployment=deployment,
            deployment_dir=self.layout.deployment(GROUP, deployment.deployment_id),
            archive=self.archive(revision),
            appspec=self.appspec(),
            layout=self.layout,
        )

    def appspec(self) -> AppSpec:
        site, etc = str(self.path / "site"), str(self.path / "etc")
        return AppSpec(
            files=(
                FileMapping(source="site", destination=site, position=HERE),
                FileMapping(source="etc/site.conf", destination=etc, position=HERE),
            ),
            permissions=(
                PermissionEntry(
                    object=f"{site}/assets",
                    types=frozenset({ObjectType.FILE}),
                    mode=0o640,
                    acls=(AclEntry(default=False, kind="user", name="daemon", perms="r--"),),
                    position=HERE,
                ),
            ),
        )

    def install(self, deployment_id: str, revision: str, digests: Digests = ()) -> InstallResult:
        request = self.request(deployment_id, revision)
        with self.open_journal() as journal:
            owner = Owner(pid=os.getpid(), started=0.0)
            folder = str(request.deployment_dir.path)
            History(journal).begin_deployment(request.deployment, folder=folder, owner=owner, at=time.time())
            record_archive(journal, request.deployment.deployment_id, digests)
            return install_revision(request, journal, ignore_progress)

    def digests(self, revision: str) -> Digests:
        """Some of a revision's files as unpacking records them, so that both ways of copying are taken."""
        archive = self.archive(revision)
        return [
            (
                os.fsencode(path.relative_to(archive)), status.st_size, status.st_ino, status.st_ctime_ns,
                hashlib.sha256(path.read_bytes()).digest(),
            )
            for path in (archive / "site" / "assets").iterdir()
            for status in [path.stat()]
        ]  # fmt: skip

    def recover(self) -> tuple[str, ...]:
        with self.open_journal() as journal:
            return recover_installs(journal)

    def prepare(self) -> None:
        """Empty the scratch folder, write all revisions and install the old one."""
        for entry in os.listdir(self.path):
            if entry != "lost+found":
                shutil.rmtree(self.path / entry)
        more: Tree = {b"many/%d" % number: b"content %d" % number for number in range(self.more_files)}
        for name, tree in (("old", OLD), ("new", {**NEW, **more})):
            write_tree(os.fsencode(self.archive(name) / "site"), tree)
            conf = f"# {name}\n".encode()
            write_tree(os.fsencode(self.archive(name) / "etc"), {b"site.conf": conf})
        write_tree(os.fsencode(self.path / "site"), FOREIGN)
        (self.path / "etc").mkdir()
        self.install("d-old", "old")

    def snapshot(self) -> Snapshot:
        """Everything but the revisions and the journal; times only of installed and foreign files."""
        root = os.fsencode(self.path)
        state = os.fsencode(self.layout.state)
        found: Snapshot = {}
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in (b"revisions", b"lost+found")]
            if os.path.join(folder, b"") == os.path.join(state, b""):
                folders.clear()
                continue
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                found[path[len(root) + 1 :]] = _describe(path)
        return found


def write_tree(root: bytes, tree: Tree) -> None:
    """Write a tree with fixed times."""
    os.makedirs(root, exist_ok=True)
    for name, content in tree.items():
        path = os.path.join(root, name)
        if content is None:
            os.makedirs(path)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        data, mode = content if isinstance(content, tuple) else (content, 0o644)
        if mode == -1:
            os.symlink(data, path)
            continue
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def _describe(path: bytes) -> tuple[object, ...]:
    status = os.lstat(path)
    owner = (status.st_uid, status.st_gid)
    if stat.S_ISLNK(status.st_mode):
        return ("link", owner, os.readlink(path))
    acl = tuple(
        (name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)) if name.startswith("system.posix_acl")
    )
    if stat.S_ISDIR(status.st_mode):
        return ("directory", oct(status.st_mode), owner, acl)
    with open(path, "rb") as file:
        content = file.read()
    mtime = 0 if b"/root/deployment-instructions/" in path else status.st_mtime_ns
    return ("file", oct(status.st_mode), owner, content, mtime, acl)
