"""Reads what the planner needs to know of this host and of an unpacked archive. Changes nothing, decides nothing.

Here are the accounts, ACLs and labels, and what became of recorded paths; agent.host.facts_tree walks the two trees.
"""

import errno
import grp
import os
import pwd
from collections.abc import Callable, Iterable, Iterator

from agent.core.appspec.model import AclEntry
from agent.core.install_facts import Found, HostFacts, InstallRequest, MappedTree
from agent.core.install_paths import BadPathError, absolute_path, home_user, show_path
from agent.errors import InstallError
from agent.host.facts_tree import TreeReader
from agent.host.file_facts import look

_SELINUX_STATUS = "/sys/fs/selinux/status"
_ACCESS, _DEFAULT, _LABEL = "system.posix_acl_access", "system.posix_acl_default", "security.selinux"


def gather_facts(request: InstallRequest) -> HostFacts:
    """The archive and the host as they are now. Raises: InstallError when something cannot be read."""
    try:
        return _gather(request)
    except OSError as exc:
        where = exc.filename if isinstance(exc.filename, bytes) else os.fsencode(str(exc.filename))
        raise InstallError(
            f"{show_path(where)}: cannot be read: {exc.strerror}",
            hint="nothing was changed; check that the agent's user may read and search this path",
        ) from exc


def _gather(request: InstallRequest) -> HostFacts:
    euid = os.geteuid()
    homes = _homes(request)
    reader = TreeReader(request, euid, homes)
    trees = tuple(tree for mapping in request.appspec.files if (tree := reader.read(mapping)) is not None)
    present = reader.present
    unreachable = _read_recorded(request, present)
    acls, labels = _read_metadata(request, trees, present, homes)
    users, groups = _ids(request)
    return HostFacts(
        trees=trees,
        problems=tuple(reader.problems),
        present=present,
        contents=reader.contents,
        unreachable=unreachable,
        digests=reader.digests,
        acls=acls,
        labels=labels,
        users=users,
        groups=groups,
        user_names=_user_names({found.uid for found in present.values()}),
        homes=homes,
        euid=euid,
        umask=_umask(),
        has_selinux=os.path.exists(_SELINUX_STATUS),
        warnings=tuple(reader.warnings),
    )


def _read_recorded(request: InstallRequest, present: dict[bytes, Found]) -> frozenset[bytes]:
    """Add this group's recorded paths to `present`; return those that can only be reached through a symbolic link.

    Looking through a link that took a directory's place would find, and later remove, somebody else's file.
    """
    parents: dict[bytes, str] = {}
    unreachable = []
    for path, record in request.recorded.items():
        if record.group_id != request.group_id or path in present:
            continue
        parent = os.path.dirname(path)
        state = parents.get(parent)
        if state is None:
            state = parents[parent] = _parent_state(parent)
        if state == "linked":
            unreachable.append(path)
        elif state == "there" and (found := look(path)) is not None:
            present[path] = found
    return frozenset(unreachable)


def _parent_state(parent: bytes) -> str:
    if os.path.realpath(parent) != parent:
        return "linked"
    return "there" if os.path.isdir(parent) else "gone"


def _read_metadata(
    request: InstallRequest, trees: Iterable[MappedTree], present: dict[bytes, Found], homes: dict[str, bytes]
) -> tuple[dict[bytes, tuple[bytes, bytes]], dict[bytes, str]]:
    """ACLs and labels of the paths whose AppSpec entries or records speak of any."""
    entries = request.appspec.permissions
    with_acl = _objects((entry.object for entry in entries if entry.acls is not None), request.cwd, homes)
    with_label = _objects((entry.object for entry in entries if entry.context is not None), request.cwd, homes)
    own = [record for record in request.recorded.values() if record.group_id == request.group_id]
    acl_paths = {record.path for record in own if record.acl is not None}
    label_paths = {record.path for record in own if record.context is not None}
    if with_acl or with_label:
        for path, named in _names(trees):
            below = named + b"/"
            if below.startswith(with_acl):
                acl_paths.add(path)
            if below.startswith(with_label):
                label_paths.add(path)
    acls = {path: (_attribute(path, _ACCESS), _attribute(path, _DEFAULT)) for path in acl_paths if path in present}
    labels = {path: _attribute(path, _LABEL).rstrip(b"\0").decode() for path in label_paths if path in present}
    return acls, {path: label for path, label in labels.items() if label}


def _objects(texts: Iterable[str], cwd: bytes, homes: dict[str, bytes]) -> tuple[bytes, ...]:
    """Prefixes of all that these objects may mean; what is no path is left for the planner to refuse."""
    prefixes = []
    for text in texts:
        try:
            prefixes.append(absolute_path(text, cwd, homes).rstrip(b"/") + b"/")
        except BadPathError:
            continue
    return tuple(prefixes)


def _names(trees: Iterable[MappedTree]) -> Iterator[tuple[bytes, bytes]]:
    for tree in trees:
        yield from tree.folders
        for entry in tree.entries:
            yield entry.path, entry.named


def _attribute(path: bytes, name: str) -> bytes:
    try:
        return os.getxattr(path, name, follow_symlinks=False)
    except OSError as exc:
        if exc.errno in {errno.ENODATA, errno.ENOTSUP}:
            return b""
        raise


def _ids(request: InstallRequest) -> tuple[dict[str, int], dict[str, int]]:
    entries = request.appspec.permissions
    acls: list[AclEntry] = [acl for entry in entries for acl in entry.acls or ()]
    users = {entry.owner for entry in entries} | {acl.name for acl in acls if acl.kind == "user"}
    groups = {entry.group for entry in entries} | {acl.name for acl in acls if acl.kind == "group"}
    return (
        _known(users, lambda name: pwd.getpwnam(name).pw_uid),
        _known(groups, lambda name: grp.getgrnam(name).gr_gid),
    )


def _known(names: Iterable[str | None], look_up: Callable[[str], int]) -> dict[str, int]:
    found = {}
    for name in names:
        if name:
            try:
                found[name] = look_up(name)
            except (KeyError, ValueError):  # ValueError: no account can have such a name
                continue
    return found


def _user_names(uids: Iterable[int]) -> dict[int, str]:
    names = {}
    for uid in uids:
        try:
            names[uid] = pwd.getpwuid(uid).pw_name
        except KeyError:
            continue
    return names


def _homes(request: InstallRequest) -> dict[str, bytes]:
    """Home directories of the users whose `~` the AppSpec writes; "" is the agent's own."""
    texts = [mapping.destination for mapping in request.appspec.files]
    texts += [entry.object for entry in request.appspec.permissions]
    homes = {}
    for user in {user for text in texts if (user := home_user(text)) is not None}:
        try:
            account = pwd.getpwnam(user) if user else pwd.getpwuid(os.geteuid())
        except (KeyError, ValueError):
            continue
        homes[user] = os.fsencode(account.pw_dir)
    return homes


def _umask() -> int:
    """The umask, read without setting it: another thread may be making files."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"Umask:"):
                return int(line.split()[1], 8)
    return 0o022
