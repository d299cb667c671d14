"""A small host below a temporary folder: a bundle, a destination, and what was recorded of them."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.core.appspec.model import AppSpec, FileMapping, PermissionEntry, Position
from agent.core.deployment import FileExistsBehavior
from agent.core.install_facts import HostFacts, InstallRequest
from agent.core.install_model import InstallPlan, Kind, Recorded
from agent.core.install_plan import plan_install
from agent.host.facts import gather_facts

TEST_TIME_NS = 1_600_000_000_000_000_000


@dataclass
class Host:
    """`bundle` and `root` are real folders. A name that ends in a slash is a directory, content may be `-> target`."""

    bundle: Path
    root: Path
    recorded: dict[bytes, Recorded] = field(default_factory=dict)
    behavior: FileExistsBehavior = FileExistsBehavior.DISALLOW
    keep_special_bits: bool = False

    def path(self, name: str = "") -> bytes:
        return os.fsencode(self.root / name) if name else os.fsencode(self.root)

    def pack(self, *names: str, content: str | None = None) -> None:
        """Put things into the bundle, each with `content` or its own name as content."""
        for name in names:
            put(self.bundle, name, name if content is None else content)

    def put(self, name: str, content: str = "there before") -> Path:
        return put(self.root, name, content)

    def record(self, name: str, group: str = "blog", **changes: object) -> None:
        """Record what is at `name` now as installed by `group`; `changes` make the record differ."""
        path = self.path(name)
        status = os.lstat(path)
        values: dict[str, object] = {
            "path": path,
            "group_id": group,
            "deployment_id": "d-1",
            "kind": kind_of(path),
            "mode": status.st_mode & 0o7777,
            "uid": status.st_uid,
            "gid": status.st_gid,
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "ino": status.st_ino,
            "ctime_ns": status.st_ctime_ns,
            "sha256": digest(path),
            "acl": None,
            "context": None,
        }
        self.recorded[path] = Recorded(**{**values, **changes})  # type: ignore[arg-type]  # a table of overrides

    def install(self, *names: str) -> None:
        """Put bundle content at the root and record it, as an Install of `/ -> root` would have."""
        for name in names:
            source = self.bundle / name
            if source.is_symlink():
                self.put(name, f"-> {os.readlink(source)}")
            elif source.is_dir():
                self.put(name + "/")
            else:
                self.put(name, source.read_text()).chmod(source.stat().st_mode & 0o7777)
            self.record(name)

    def request(self, *files: tuple[str, str], permissions: tuple[PermissionEntry, ...] = ()) -> InstallRequest:
        mappings = files or (("/", ""),)
        return InstallRequest(
            appspec=AppSpec(
                files=tuple(
                    FileMapping(
                        source=source,
                        destination=to if to.startswith(("/", "~")) else str(self.root / to),
                        position=Position(line=number, column=1),
                    )
                    for number, (source, to) in enumerate(mappings, start=4)
                ),
                permissions=permissions,
            ),
            behavior=self.behavior,
            group_id="blog",
            deployment_id="d-2",
            archive=os.fsencode(self.bundle),
            cwd=self.path(),
            recorded=self.recorded,
            keep_special_bits=self.keep_special_bits,
        )

    def facts(self, *files: tuple[str, str], permissions: tuple[PermissionEntry, ...] = ()) -> HostFacts:
        return gather_facts(self.request(*files, permissions=permissions))

    def plan(self, *files: tuple[str, str], permissions: tuple[PermissionEntry, ...] = ()) -> InstallPlan:
        request = self.request(*files, permissions=permissions)
        return plan_install(request, gather_facts(request))

    def entry(self, name: str = "", **values: object) -> PermissionEntry:
        """A `permissions` entry whose object is below the root."""
        target = str(self.root / name) if name else str(self.root)
        return PermissionEntry(object=target, position=Position(line=9, column=5), **values)  # type: ignore[arg-type]

    def names(self, paths: object) -> list[str]:
        """Paths, or plan items that have one, as sorted names below the root."""
        assert isinstance(paths, (tuple, frozenset, list))
        found = [path if isinstance(path, bytes) else path.path for path in paths]
        return sorted(os.fsdecode(os.path.relpath(path, self.path())) for path in found)


def put(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith("/"):
        path.mkdir(exist_ok=True)
    elif content.startswith("-> "):
        path.unlink(missing_ok=True)
        path.symlink_to(content.removeprefix("-> "))
    else:
        path.write_text(content)
        os.utime(path, ns=(TEST_TIME_NS, TEST_TIME_NS))
    return path


def kind_of(path: bytes) -> Kind:
    if os.path.islink(path):
        return Kind.SYMLINK
    return Kind.DIRECTORY if os.path.isdir(path) else Kind.FILE


def digest(path: bytes) -> bytes | None:
    kind = kind_of(path)
    if kind is Kind.DIRECTORY:
        return None
    if kind is Kind.SYMLINK:
        return hashlib.sha256(os.readlink(path)).digest()
    return hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).digest()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    bundle, root = tmp_path / "archive", tmp_path / "srv"
    bundle.mkdir()
    root.mkdir()
    return Host(bundle=bundle.resolve(), root=root.resolve())
