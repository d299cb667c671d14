"""Where symbolic links of a tree lead, worked out on names alone. Touches no disk."""

from collections.abc import Mapping

HOPS_MAX = 40
"""Links the kernel follows in one path (path_resolution(7)); past them it opens nothing, so nothing is reached."""


def leaves_tree(link: bytes, links: Mapping[bytes, bytes]) -> bool:
    """True when following `link`, by way of every other link of the tree, steps out of it at any point.

    Names are relative to the tree's root; `links` maps each link's name to its target.
    """
    todo = link.split(b"/")[::-1]
    at: list[bytes] = []
    hops = 0
    while todo:
        part = todo.pop()
        if part == b"..":
            if not at:
                return True
            at.pop()
        elif part not in (b"", b"."):
            at.append(part)
            target = links.get(b"/".join(at))
            if target is not None:
                hops += 1
                if target.startswith(b"/"):
                    return True
                if hops > HOPS_MAX:
                    return False
                at.pop()
                todo += target.split(b"/")[::-1]
    return False
