"""The texts of the official agent's instruction and cleanup files, made from a plan (docs/compatibility.md, "On disk").

They are for other tools, and for the official agent should it come back; ours never reads its own.
"""

from collections.abc import Iterable, Iterator
from json.encoder import encode_basestring_ascii as quoted

from agent.core.install_model import Attributes, InstallPlan, MakeDirectory, Recorded, WriteFile

_SEMANAGE = b"semanage\0"


def instructions_text(plan: InstallPlan) -> bytes:
    """`<group>-install.json`: what this Install makes and copies, and the permissions it sets on what was there."""
    items = (*_directories(plan), *_copies(plan), *_permissions(plan))
    return b'{"instructions":[%s]}' % ",".join(items).encode()


def _directories(plan: InstallPlan) -> Iterator[str]:
    for directory in plan.directories:
        yield f'{{"type":"mkdir","directory":{_text(directory.path)}}}'


def _copies(plan: InstallPlan) -> Iterator[str]:
    for file in plan.files:
        yield f'{{"type":"copy","source":{_text(file.source)},"destination":{_text(file.path)}}}'
    for link in plan.links:
        yield f'{{"type":"copy","source":{_text(link.target)},"destination":{_text(link.path)}}}'


def _permissions(plan: InstallPlan) -> Iterator[str]:
    for item in plan.changed:
        yield from _attributes(_text(item.path), item.new, with_mode=True)
    written_items: tuple[MakeDirectory | WriteFile, ...] = (*plan.directories, *plan.files)
    for written in written_items:
        if written.attributes.acl or written.attributes.context:
            yield from _attributes(_text(written.path), written.attributes, with_mode=False)


def _attributes(file: str, wanted: Attributes, *, with_mode: bool) -> Iterator[str]:
    if with_mode and wanted.mode is not None:
        yield f'{{"type":"chmod","mode":"{wanted.mode:o}","file":{file}}}'
    if wanted.acl:
        entries = ",".join(quoted(str(entry)) for entry in (*wanted.acl, *(wanted.default_acl or ())))
        yield f'{{"type":"setfacl","acl":[{entries}],"file":{file}}}'
    if wanted.context:
        user, _, rest = wanted.context.partition(":")
        _, _, rest = rest.partition(":")
        label_type, _, label_range = rest.partition(":")
        context = f'{{"user":{quoted(user)},"role":null,"type":{quoted(label_type)},"range":{quoted(label_range)}}}'
        yield f'{{"type":"semanage","context":{context},"file":{file}}}'


def _text(path: bytes) -> str:
    """A path as a JSON string; what is not UTF-8 is shown escaped."""
    return quoted(path.decode("utf-8", "backslashreplace"))


def owned_paths(plan: InstallPlan, recorded: Iterable[Recorded], group_id: str) -> frozenset[bytes]:
    """Every path that is the group's once `plan` is carried out."""
    owned = {record.path for record in recorded if record.group_id == group_id}
    owned.difference_update(item.path for item in plan.removals)
    owned.difference_update(plan.forgotten)
    for tree in plan.replaced_trees:
        below = tree + b"/"
        owned.difference_update([path for path in owned if path.startswith(below)])
    owned.update(record.path for record in plan.refreshed)
    for written in (plan.directories, plan.files, plan.links):
        owned.update(item.path for item in written)
    return frozenset(owned)


def cleanup_text(paths: Iterable[bytes], labelled: Iterable[bytes]) -> tuple[bytes, tuple[bytes, ...]]:
    """`<group>-cleanup` for what is installed, and the paths it cannot express.

    A reader takes a line for a path, strips white space around it and goes through the lines backwards, so folders
    stand before what is in them.
    """
    lines: list[bytes] = []
    left_out: list[bytes] = []
    for path in sorted(paths):
        if _fits_a_line(path):
            lines.append(path)
        else:
            left_out.append(path)
    lines.extend(_SEMANAGE + path for path in sorted(labelled) if _fits_a_line(path))
    return b"".join(line + b"\n" for line in lines), tuple(left_out)


def _fits_a_line(path: bytes) -> bool:
    if b"\n" in path or b"\r" in path or path != path.strip():
        return False
    try:
        path.decode()
    except UnicodeDecodeError:  # the official agent reads the file as UTF-8
        return False
    return True


def parse_cleanup(text: bytes) -> tuple[bytes, ...]:
    """The absolute paths in a `<group>-cleanup` file, in its order; a last line that was cut short is left out."""
    lines = text.split(b"\n")[:-1]
    paths = (line.strip() for line in lines if not line.startswith(_SEMANAGE))
    return tuple(path for path in paths if path.startswith(b"/") and b"\0" not in path)
