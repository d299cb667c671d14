"""Bundles on any web server, over https, with a SHA-256 where the operator names one."""

import netrc
from pathlib import Path
from urllib.parse import urlsplit

from agent.core.revision import HttpsRevision
from agent.errors import ConfigError
from agent.sources.options import FetchedBundle, FetchOptions, Watcher
from agent.sources.transfer import transfer
from agent.sources.trust import trusted_authorities
from agent.sources.web import WebRemote, open_session


def fetch_https(revision: HttpsRevision, into: Path, options: FetchOptions, progress: Watcher | None) -> FetchedBundle:
    """Put the file at `into`. Raises: as `agent.sources.fetch.fetch`."""
    with trusted_authorities(options.network.ca_bundle) as ca, open_session(options.network, ca) as session:
        parts = urlsplit(revision.url)
        if options.netrc is not None:
            session.auth = _login(options.netrc, parts.hostname or "")
        remote = WebRemote(
            session=session,
            network=options.network,
            url=revision.url,
            what=parts._replace(query="", fragment="").geturl(),
        )
        return transfer(remote, into, options, sha256=revision.sha256, progress=progress)


def _login(path: Path, host: str) -> tuple[str, str] | None:
    try:
        found = netrc.netrc(path).authenticators(host)
    except OSError as exc:
        raise ConfigError(
            f"netrc file {str(path)!r}: {exc.strerror}", hint="the agent must be able to read it"
        ) from exc
    except netrc.NetrcParseError as exc:
        raise ConfigError(f"netrc file {str(path)!r}, line {exc.lineno}: not understood", hint="mend it") from None
    return None if found is None else (found[0], found[2] or "")
