"""Which paths a `permissions` entry means: the matching rule of `pattern` and `except`. Linear in the path's length.

The rule is the official agent's (docs/appspec.md, "pattern and except"); its own matcher takes exponential time.
Whether an object is a file or a folder, and which types the entry wants, is the install planner's business.
"""

import posixpath
from collections.abc import Iterable

EVERYTHING_BELOW = "**"


class Matcher:
    """Tell for absolute, normalised paths whether one entry means them. The object itself is never meant.

    `object_path` is absolute. As with the official agent one that begins with exactly two slashes means nothing.
    """

    __slots__ = ("_any_depth", "_base", "_except", "_glob")

    def __init__(self, object_path: bytes, pattern: str = EVERYTHING_BELOW, except_: Iterable[str] = ()) -> None:
        self._base = posixpath.normpath(object_path).rstrip(b"/") + b"/"
        self._any_depth = pattern == EVERYTHING_BELOW
        self._glob = _Glob(pattern)
        self._except = tuple(_Glob(item) for item in except_)

    def __call__(self, path: bytes) -> bool:
        """True when the entry means `path`; one slash at its end is ignored."""
        path = path.removesuffix(b"/")
        if not path.startswith(self._base):
            return False
        name = path[len(self._base) :]
        if not name:
            return False
        if b"/" in name:  # neither a pattern nor an except item ever reaches below the first level
            return self._any_depth
        return (self._any_depth or self._glob.matches(name)) and not any(item.matches(name) for item in self._except)


class _Glob:
    """A whole file name, where `*` stands for any run of bytes and nothing else is special."""

    __slots__ = ("_head", "_inner", "_is_literal", "_tail")

    def __init__(self, text: str) -> None:
        head, *rest = text.encode("utf-8", "surrogateescape").split(b"*")
        self._is_literal = not rest
        self._head = head
        self._tail = rest.pop() if rest else b""
        self._inner = tuple(part for part in rest if part)

    def matches(self, name: bytes) -> bool:
        if self._is_literal:
            return name == self._head
        start, end = len(self._head), len(name) - len(self._tail)
        if start > end or not name.startswith(self._head) or not name.endswith(self._tail):
            return False
        for part in self._inner:  # the leftmost place is always right: it leaves the most for what follows
            found = name.find(part, start, end)
            if found < 0:
                return False
            start = found + len(part)
        return True
