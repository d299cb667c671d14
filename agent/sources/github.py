"""Bundles that GitHub makes of a repository at a commit: address, token, rate limits."""

import gzip
import re
import time
import zlib
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import requests
from requests.auth import AuthBase

from agent.core.revision import BundleType, GitHubRevision
from agent.core.secret import Secret
from agent.errors import BundleError, BundleNotFoundError, CredentialsError, SpecificationError, ThrottledError
from agent.sources.options import FetchedBundle, FetchOptions, Watcher
from agent.sources.remote import TemporaryFault
from agent.sources.transfer import transfer
from agent.sources.trust import trusted_authorities
from agent.sources.web import WebRemote, open_session, retry_after_s

_COMMENT = re.compile(rb"\d+ comment=([0-9a-f]{40})\n")
_TAR_BLOCK = 512
_ZIP_END_BYTES = 22
_FORMATS = {BundleType.TAR: "tarball", BundleType.ZIP: "zipball"}


def fetch_github(
    revision: GitHubRevision, into: Path, options: FetchOptions, progress: Watcher | None
) -> FetchedBundle:
    """Put the repository's archive at `into`. Raises: as `agent.sources.fetch.fetch`."""
    url = archive_url(options.github_api, revision)
    with trusted_authorities(options.network.ca_bundle) as ca, open_session(options.network, ca) as session:
        if options.github_token is not None:
            session.auth = _TokenAuth(options.github_token)
        what = f"GitHub {revision.account}/{revision.repository} at {revision.commit}"
        remote = WebRemote(
            session=session,
            network=options.network,
            url=url,
            what=what,
            explain=_Explain(has_token=options.github_token is not None),
        )
        return replace(transfer(remote, into, options, progress=progress), commit=archived_commit(into))


def archive_url(api: str, revision: GitHubRevision) -> str:
    """Return where the API gives the archive. Raises: SpecificationError: a type GitHub does not make."""
    packed = _FORMATS.get(revision.bundle_type)
    if packed is None:
        raise SpecificationError(
            f"GitHub makes no {revision.bundle_type} archives", hint="use bundle type tar or zip for GitHub"
        )
    names = quote(revision.account, safe=""), quote(revision.repository, safe="")
    return f"{api.rstrip('/')}/repos/{names[0]}/{names[1]}/{packed}/{quote(revision.commit)}"


def archived_commit(bundle: Path) -> str | None:
    """Return the commit that `git archive` notes in what it makes; None when it is not there.

    In a tar it is the comment of a global header before the first member, in a zip the comment of the whole.
    """
    with open(bundle, "rb") as file:
        if file.read(2) == b"PK":
            size = file.seek(0, 2)
            file.seek(max(0, size - _ZIP_END_BYTES - 40))
            end = file.read()
            found = re.fullmatch(rb"PK\x05\x06.{18}([0-9a-f]{40})", end, re.DOTALL)
        else:
            found = _COMMENT.match(_first_blocks(bundle), _TAR_BLOCK)
    return found[1].decode() if found else None


def _first_blocks(bundle: Path) -> bytes:
    try:
        with gzip.open(bundle) as file:
            blocks = file.read(2 * _TAR_BLOCK)
    except (OSError, EOFError, zlib.error):  # unpacking says what is wrong with it
        return b""
    is_global_header = blocks[156:157] == b"g"
    return blocks if is_global_header else b""


class _TokenAuth(AuthBase):
    """Sends the token to the API; requests drops it again when redirected to another host."""

    def __init__(self, token: Secret) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"token {self._token.reveal()}"
        return request


class _Explain:
    """What GitHub means by its statuses."""

    def __init__(self, *, has_token: bool) -> None:
        self._has_token = has_token

    def __call__(self, answer: requests.Response, text: str) -> Exception | None:
        if answer.status_code == 404:
            return BundleNotFoundError(text, hint=self._not_found_hint())
        if answer.status_code == 401:
            return CredentialsError(text, hint="the token is wrong or has expired: make a new one")
        if answer.status_code in {403, 429}:
            return self._refused(answer, text)
        return None

    def _not_found_hint(self) -> str:
        if self._has_token:
            return "check owner, repository and commit; the token must be allowed to read the repository's contents"
        return "check owner, repository and commit; a private repository needs a GitHub token"

    def _refused(self, answer: requests.Response, text: str) -> Exception:
        asked_s = _wait_asked_for(answer, now=time.time())
        if asked_s is None and answer.status_code == 403:
            return BundleError(
                text, hint="the token may not read this repository: see its scopes and single sign-on authorisation"
            )
        hint = "GitHub's limit is used up: try again later" + ("" if self._has_token else ", or use a GitHub token")
        return TemporaryFault(ThrottledError(text, hint=hint, retry_after_s=asked_s), asked_s=asked_s)


def _wait_asked_for(answer: requests.Response, *, now: float) -> float | None:
    """Return seconds until the limit is lifted: Retry-After, else the reset time once nothing remains."""
    asked_s = retry_after_s(answer.headers, now=now)
    reset = answer.headers.get("X-RateLimit-Reset", "")
    if asked_s is None and answer.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
        return max(1.0, float(reset) - now)
    return asked_s
