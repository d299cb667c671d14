"""Brings a revision's bundle to this host: one entrance, the kinds of source behind it.

Heavy libraries are loaded by the source that needs them; a local bundle needs none.
"""

from pathlib import Path

from agent.core.revision import (
    GitHubRevision,
    HttpsRevision,
    LocalDirectoryRevision,
    LocalFileRevision,
    Revision,
    S3Revision,
)
from agent.errors import SpecificationError
from agent.sources.local import link_bundle
from agent.sources.options import FetchedBundle, FetchLimits, FetchOptions, Watcher

__all__ = ["FetchLimits", "FetchOptions", "FetchedBundle", "Watcher", "fetch"]


def fetch(revision: Revision, into: Path, options: FetchOptions, progress: Watcher | None = None) -> FetchedBundle:
    """Put the bundle of `revision` at `into` (whose folder exists), whole and verified or not at all. Repeatable.

    Raises:
        BundleNotFoundError: nothing is there; final.
        BundleError: refused, changed meanwhile, damaged, too large, or no room for it.
        CredentialsError, ThrottledError, RemoteError: may work later, or after mending what the hint says.
        CancelledDeploymentError: `options.stop` was set.
    """
    match revision:
        case S3Revision():
            from agent.sources.s3 import fetch_s3

            return fetch_s3(revision, into, options, progress)
        case GitHubRevision():
            from agent.sources.github import fetch_github

            return fetch_github(revision, into, options, progress)
        case HttpsRevision():
            from agent.sources.https import fetch_https

            return fetch_https(revision, into, options, progress)
        case LocalFileRevision():
            size = link_bundle(revision, into)
            return FetchedBundle(path=into, size_bytes=size)
        case LocalDirectoryRevision():
            raise SpecificationError(
                f"{str(revision.path)!r} is a folder and has no bundle to fetch", hint="copy it as the archive instead"
            )
