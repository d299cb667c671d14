"""One entry of `acls`, in the official agent's own grammar (docs/appspec.md, "acls"): not quite setfacl's."""

from agent.core.appspec.model import AclEntry
from agent.core.appspec.nodes import shown
from agent.errors import AppSpecError

_DEFAULT = frozenset({"d", "default"})
_KINDS = {
    "u": "user", "user": "user", "g": "group", "group": "group",
    "m": "mask", "mask": "mask", "o": "other", "other": "other",
}  # fmt: skip
_SPECIAL = {"m": "mask", "mask": "mask", "o": "other", "other": "other"}
_BITS = ((4, "r"), (2, "w"), (1, "x"))
_HINT = "write [default:][user|group|mask|other]:[name]:permissions, as in user:deploy:rwx or default:group:www:r-x"


def parse_acl_entry(text: str) -> AclEntry:
    """Return the entry that `text` writes.

    Raises:
        AppSpecError: not an entry.
    """
    *words, perms_text = text.split(":")
    if not 1 <= len(words) <= 3:
        raise _wrong(text, f"it has {len(words) + 1} parts between colons, not 2 to 4")
    default, kind, name = _subject(text, words)
    if name and kind in {"mask", "other"}:
        raise _wrong(text, f"{kind} takes no name")
    if not (default or name or kind == "mask"):
        raise AppSpecError(f"{shown(text)}: the base entry of {kind} cannot be set here", hint="use mode instead")
    return AclEntry(default=default, kind=kind, name=name, perms=_perms(text, perms_text))


def _subject(text: str, words: list[str]) -> tuple[bool, str, str]:
    match words:
        case [who]:
            return (False, *_two_parts(who))
        case [word, who] if word in _DEFAULT:
            return (True, *_two_parts(who))
        case [word, name]:
            return (False, _kind(text, word), _SPECIAL.get(name, name))
        case [first, word, name] if first in _DEFAULT:
            return (True, _kind(text, word), _SPECIAL.get(name, name))
    raise _wrong(text, f"in an entry of four parts the first must be default, not {shown(words[0])}")


def _two_parts(who: str) -> tuple[str, str]:
    """Read the word before the permissions when no kind stands before it: a user, unless it is mask or other."""
    return (_SPECIAL[who], "") if who in _SPECIAL else ("user", who)


def _kind(text: str, word: str) -> str:
    if word not in _KINDS:
        raise _wrong(text, f"{shown(word)} is not one of user, group, mask, other, default (or u, g, m, o, d)")
    return _KINDS[word]


def _perms(text: str, perms: str) -> str:
    if len(perms) == 1 and perms in "01234567":
        return "".join(letter if int(perms) & bit else "-" for bit, letter in _BITS)
    wrong = next((character for character in perms if character not in "rwx-"), None)
    if wrong is not None:
        message = f"{shown(text)}: {wrong!r} is not a permission"
        raise AppSpecError(message, hint="permissions are one digit 0 to 7, or letters of rwx-")
    return "".join(letter if letter in perms else "-" for _, letter in _BITS)


def _wrong(text: str, why: str) -> AppSpecError:
    return AppSpecError(f"{shown(text)} is not an ACL entry: {why}", hint=_HINT)
