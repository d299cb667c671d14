"""Fetching over HTTPS: connections, redirects, proxies, and continuing where a server lets us. Knows no site."""

import email.utils
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from agent.core.network import NetworkSettings, ProxyRules
from agent.errors import BundleError, BundleNotFoundError, RemoteError, ThrottledError
from agent.sources.remote import Identity, Opened, TemporaryFault, is_untrusted, reason
from agent.version import __version__

MAX_REDIRECTS = 5
_STRONG_ETAG = re.compile(r'"[^"]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_PASSING = {408, 425, 500, 502, 503, 504}

Explain = Callable[[requests.Response, str], Exception | None]
"""Given an answer that is no bundle and the message so far: what to raise, None for the common meaning."""


class _Adapter(HTTPAdapter):
    """Chooses the proxy for each request by its own host, so that NO_PROXY holds after a redirect too."""

    def __init__(self, rules: ProxyRules) -> None:
        self._rules = rules
        super().__init__()

    def send(  # type: ignore[override]  # same call, proxies not taken
        self, request: requests.PreparedRequest, **kwargs: object
    ) -> requests.Response:
        parts = urlsplit(request.url or "")
        proxy = self._rules.proxy_for(str(parts.hostname or ""), parts.port or 443)
        kwargs["proxies"] = {"https": proxy} if proxy else {}
        return super().send(request, **kwargs)  # type: ignore[arg-type]


def open_session(network: NetworkSettings, ca: str | bool) -> requests.Session:
    """Return a session that speaks https only, also after redirects, and takes nothing from the environment."""
    session = requests.Session()
    session.trust_env = False
    session.verify = ca
    session.max_redirects = MAX_REDIRECTS
    session.adapters.clear()
    session.mount("https://", _Adapter(network.proxy))
    session.headers.update({"User-Agent": f"deploy-agent/{__version__}", "Accept-Encoding": "identity"})
    return session


def retry_after_s(headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the server's wish, which is in seconds or a date, None when it names none. `now` is Unix time."""
    text = headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    with suppress(TypeError, ValueError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now)
    return None


@dataclass(slots=True)
class WebRemote:
    """One file of a web server. `what` names it without its query, which may hold a signature."""

    session: requests.Session
    network: NetworkSettings
    url: str
    what: str
    explain: Explain = field(default=lambda _answer, _text: None)

    def open(self, start: int, end: int | None, seen: Identity | None) -> Opened:
        headers = {}
        if seen is not None and seen.validator is not None and start:
            headers = {"Range": f"bytes={start}-{'' if end is None else end - 1}", "If-Range": seen.validator}
        answer = self._get(headers)
        try:
            return self._opened(answer, start)
        except BaseException:
            answer.close()
            raise

    def _get(self, headers: dict[str, str]) -> requests.Response:
        limits = (self.network.connect_timeout_s, self.network.read_timeout_s)
        try:
            return self.session.get(self.url, headers=headers, stream=True, timeout=limits)
        except requests.exceptions.InvalidSchema as exc:
            raise BundleError(
                f"{self.what}: the server redirects to an address that is not https",
                hint="anybody on the way could change what comes from there: name an https address",
            ) from exc
        except requests.TooManyRedirects as exc:
            raise BundleError(
                f"{self.what}: more than {MAX_REDIRECTS} redirects", hint="name the address they lead to"
            ) from exc
        except requests.exceptions.SSLError as exc:
            if is_untrusted(exc):
                raise RemoteError(
                    f"{self.what}: the server's certificate is not trusted: {reason(exc)}",
                    hint="if it is of your own authority, or a proxy opens TLS, name that authority as the CA bundle",
                ) from exc
            raise self._unreachable(exc) from exc
        except (requests.exceptions.InvalidURL, UnicodeError) as exc:
            raise BundleError(f"{self.what}: not a usable address", hint="check it in a browser") from exc
        except (requests.RequestException, urllib3.exceptions.HTTPError) as exc:
            raise self._unreachable(exc) from exc

    def _unreachable(self, exc: Exception) -> TemporaryFault:
        error = RemoteError(
            f"{self.what}: no answer: {reason(exc)}", hint="check name, DNS, proxy and firewall between here and there"
        )
        return TemporaryFault(error)

    def _opened(self, answer: requests.Response, start: int) -> Opened:
        if answer.status_code == 206:
            return _continued(answer, start, self.what)
        if answer.status_code != 200:
            raise self._refused(answer)
        size = _length(answer)
        etag = answer.headers.get("ETag", "")
        identity = Identity(
            size_bytes=size,
            validator=etag if _STRONG_ETAG.fullmatch(etag) and size is not None else None,
            etag=etag.removeprefix("W/").strip('"') or None,
        )
        return Opened(body=answer.raw, start=0, end=size, identity=identity)

    def _refused(self, answer: requests.Response) -> Exception:
        status = answer.status_code
        text = f"{self.what}: the server answered {status} {answer.reason or ''}".rstrip()
        special = self.explain(answer, text)
        if special is not None:
            return special
        asked_s = retry_after_s(answer.headers, now=time.time())
        if status == 429 or (status == 503 and asked_s is not None):
            error = ThrottledError(text, hint="the server is busy: try again later", retry_after_s=asked_s)
            return TemporaryFault(error, asked_s=asked_s)
        if status in _PASSING:
            return TemporaryFault(RemoteError(text, hint="the server itself failed: try again later"), asked_s=asked_s)
        if status in {404, 410}:
            return BundleNotFoundError(text, hint="check the address; some servers answer so to whom they do not know")
        if status in {401, 403}:
            return BundleError(text, hint="the server wants a user name and password (netrc file) or refuses this host")
        return BundleError(text, hint="open the address with curl -v from this host to see more")


def _continued(answer: requests.Response, start: int, what: str) -> Opened:
    match = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != start or match[3] == "*":
        error = BundleError(
            f"{what}: asked for the bytes from {start}, the server sent {answer.headers.get('Content-Range')!r}",
            hint="the server, or something before it, does not understand ranges: see the proxy",
        )
        raise TemporaryFault(error)
    identity = Identity(size_bytes=int(match[3]), validator=answer.headers.get("ETag"))
    return Opened(body=answer.raw, start=start, end=int(match[2]) + 1, identity=identity)


def _length(answer: requests.Response) -> int | None:
    text = answer.headers.get("Content-Length", "")
    return int(text) if text.isdigit() else None
