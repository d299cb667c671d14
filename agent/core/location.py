"""How an operator writes where a bundle is (`run-local --bundle-location`). Computes a Revision, looks at no disk.

Whether a local path exists and is of the right kind is `agent.sources.local.check_local`.
"""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from agent.core.revision import (
    BundleType,
    GitHubRevision,
    HttpsRevision,
    LocalDirectoryRevision,
    LocalFileRevision,
    Revision,
    S3Revision,
)
from agent.errors import SpecificationError

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}|arn:[^/]+(/[^/]+)*")
_GITHUB_HOSTS = {"github.com", "www.github.com"}
_GITHUB_API_HOST = "api.github.com"
_GITHUB_FORMATS = {"tarball": BundleType.TAR, "zipball": BundleType.ZIP}
_GITHUB_PART = re.compile(r"[A-Za-z0-9._-]+")
_S3_PARAMETERS = {"versionId": "version", "etag": "etag", "sha256": "sha256"}
_FORMS = "a path, s3://BUCKET/KEY, https://github.com/OWNER/REPOSITORY or https://HOST/FILE"
_EXTENSIONS = {
    ".tar.gz": BundleType.TGZ, ".tgz": BundleType.TGZ, ".tar.zst": BundleType.ZST, ".tar.bz2": BundleType.BZ2,
    ".tar.xz": BundleType.XZ, ".tar": BundleType.TAR, ".zip": BundleType.ZIP,
}  # fmt: skip


def parse_location(text: str, bundle_type: str, *, cwd: Path) -> Revision:
    """Return the revision that `text` names; `bundle_type` is the operator's --type, `cwd` makes paths absolute.

    Raises:
        SpecificationError: unknown type, unreadable location, plain http, or a type that cannot be had from there.
    """
    kind = parse_bundle_type(bundle_type)
    if not text or "\0" in text:
        raise _bad(text, "is empty or holds a NUL", f"give {_FORMS}")
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _local(cwd / text, kind)
    if _CONTROL.search(text):
        raise _bad(text, "holds control characters", f"give {_FORMS}")
    match scheme[1].lower():
        case "s3":
            return _s3(text, kind)
        case "https":
            return _web(text, _split(text), kind)
        case "file":
            return _local(_file_url_path(text, _split(text)), kind)
        case "http":
            raise _bad(text, "is plain http, which anybody on the way could change", "use https://")
        case other:
            raise _bad(text, f"has the unknown scheme {other!r}", f"give {_FORMS}")


def parse_bundle_type(text: str) -> BundleType:
    """Return the type an operator named. Raises: SpecificationError."""
    try:
        return BundleType(text)
    except ValueError:
        known = ", ".join(BundleType)
        raise SpecificationError(f"--type {text!r} is not a bundle type", hint=f"use one of {known}") from None


def guess_bundle_type(name: str) -> BundleType | None:
    """Return the type that an archive's name speaks of, None when it says nothing."""
    lower = name.partition("?")[0].lower() if "://" in name else name.lower()
    return next((found for end, found in _EXTENSIONS.items() if lower.endswith(end)), None)


def _local(path: Path, kind: BundleType) -> Revision:
    if kind is BundleType.DIRECTORY:
        return LocalDirectoryRevision(path=path)
    return LocalFileRevision(path=path, bundle_type=kind)


def _file_url_path(text: str, parts: SplitResult) -> Path:
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc not in {"", "localhost"} or not path or _CONTROL.search(path):
        raise _bad(text, "does not name a file of this host", "write file:///absolute/path, or just the path")
    return Path(path)


def _s3(text: str, kind: BundleType) -> Revision:
    """The key is taken as it stands, nothing decoded; a query starts at the last `?`."""
    place, question, query = text[len("s3://") :].rpartition("?")
    if not question:
        place, query = query, ""
    bucket, _, key = _split_bucket(place)
    if not _BUCKET.fullmatch(bucket) or not key:
        raise _bad(text, "names no bucket and key", "write s3://BUCKET/KEY?versionId=VERSION&etag=ETAG")
    _refuse_directory(text, kind, key)
    checks = _s3_parameters(text, query)
    return S3Revision(bucket=bucket, key=key, bundle_type=kind, **checks)


def _split_bucket(place: str) -> tuple[str, str, str]:
    """An access point's ARN holds one slash of its own: arn:...:accesspoint/NAME/KEY."""
    if not place.startswith("arn:"):
        return place.partition("/")
    head, slash, rest = place.partition("/")
    name, slash, key = rest.partition("/")
    return f"{head}/{name}", slash, key


def _s3_parameters(text: str, query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        if name not in _S3_PARAMETERS or _S3_PARAMETERS[name] in found:
            raise _bad(
                text,
                f"has the unknown or repeated parameter {name!r}",
                f"known: {', '.join(_S3_PARAMETERS)}; if the '?' belongs to the key, put one more '?' at the end",
            )
        if value := unquote(value):
            found[_S3_PARAMETERS[name]] = value
    if "etag" in found:
        found["etag"] = found["etag"].replace('"', "")
    if "sha256" in found:
        found["sha256"] = _sha256(text, found["sha256"])
    return found


def _web(text: str, parts: SplitResult, kind: BundleType) -> Revision:
    host = (parts.hostname or "").rstrip(".")
    if parts.username is not None or parts.password is not None:
        raise SpecificationError(
            f"bundle location on {host!r} holds a user name or password, which would be kept in journal and logs",
            hint="put them into a netrc file, or use a location that needs none",
        )
    if host in _GITHUB_HOSTS or host == _GITHUB_API_HOST:
        github = _github(text, host, [unquote(part) for part in parts.path.split("/") if part], kind)
        if github is not None:
            return github
    _refuse_directory(text, kind, parts.path)
    return HttpsRevision(
        url=parts._replace(fragment="").geturl(), bundle_type=kind, sha256=_fragment_sha256(text, parts.fragment)
    )


def _github(text: str, host: str, path: list[str], kind: BundleType) -> GitHubRevision | None:
    """Return the revision of a browser or API address, None for a file on github.com like any other web file."""
    chosen: BundleType = kind if kind in {BundleType.TAR, BundleType.ZIP} else BundleType.ZIP
    if host == _GITHUB_API_HOST:
        path = path[1:] if path[:1] == ["repos"] else []
    match path:
        case [account, repository] if host != _GITHUB_API_HOST:
            ref = "HEAD"
        case [account, repository, "tree" | "commit", first, *rest] if host != _GITHUB_API_HOST:
            ref = "/".join([first, *rest])
        case [account, repository, ("tarball" | "zipball") as packed, *rest]:
            ref, chosen = "/".join(rest) or "HEAD", _GITHUB_FORMATS[packed]
        case [_, _, "archive" | "releases" | "raw", _, *_]:
            return None
        case _:
            raise _bad(
                text, "is not a repository of GitHub",
                "use https://github.com/OWNER/REPOSITORY, .../tree/REF, .../commit/SHA or "
                "https://api.github.com/repos/OWNER/REPOSITORY/tarball/REF",
            )  # fmt: skip
    repository = repository.removesuffix(".git")
    if not all(_GITHUB_PART.fullmatch(part) and part.strip(".") for part in (account, repository)):
        raise _bad(text, f"has the impossible repository name {account}/{repository}", "check it in a browser")
    return GitHubRevision(account=account, repository=repository, commit=ref, bundle_type=chosen)


def _fragment_sha256(text: str, fragment: str) -> str | None:
    if not fragment:
        return None
    name, _, value = fragment.partition("=")
    if name != "sha256":
        raise _bad(text, f"has the unknown part #{name}", "only #sha256=64-HEX-DIGITS may follow")
    return _sha256(text, value)


def _sha256(text: str, value: str) -> str:
    if not _SHA256.fullmatch(value.lower()):
        raise _bad(text, f"has the sha256 {value!r}, not 64 hexadecimal digits", "take it from sha256sum FILE")
    return value.lower()


def _refuse_directory(text: str, kind: BundleType, path: str) -> None:
    if kind is not BundleType.DIRECTORY:
        return
    guess = guess_bundle_type(path) or BundleType.TGZ
    raise _bad(text, "is a remote file, so --type directory cannot be meant", f"add --type {guess}")


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        if parts.port is not None and parts.port < 1:
            raise ValueError("port 0")
    except ValueError as exc:
        raise _bad(text, f"is not a valid URL ({exc})", f"give {_FORMS}") from None
    if parts.scheme.lower() == "https" and (not parts.hostname or " " in text):
        raise _bad(text, "is not a valid URL", "write spaces as %20 and name a host")
    return parts


def _bad(text: str, problem: str, hint: str) -> SpecificationError:
    return SpecificationError(f"bundle location {text!r} {problem}", hint=hint)
