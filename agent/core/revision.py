"""What to deploy: the kinds of revision and how an operator writes one as a location. Fetches nothing."""

from dataclasses import dataclass
from pathlib import Path

from agent.compat import StrEnum


class BundleType(StrEnum):
    """How a bundle is packed. `directory` is a folder taken as it is; the first three are the official agent's."""

    TAR = "tar"
    TGZ = "tgz"
    ZIP = "zip"
    ZST = "zst"
    BZ2 = "bz2"
    XZ = "xz"
    DIRECTORY = "directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Revision:
    """An object in S3. `version` and `etag` (without quotes) are checked against what is downloaded when given."""

    bucket: str
    key: str
    bundle_type: BundleType
    version: str | None = None
    etag: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GitHubRevision:
    """A commit of a GitHub repository; `commit` is any ref GitHub takes. `bundle_type` is `tar` or `zip`."""

    account: str
    repository: str
    commit: str
    bundle_type: BundleType


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsRevision:
    """A bundle on a web server. `sha256` is 64 lower-case hexadecimal digits."""

    url: str
    bundle_type: BundleType
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFileRevision:
    """An archive on this host, by absolute path."""

    path: Path
    bundle_type: BundleType


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalDirectoryRevision:
    """A folder on this host, by absolute path, taken as if it had just been unpacked."""

    path: Path


Revision = S3Revision | GitHubRevision | HttpsRevision | LocalFileRevision | LocalDirectoryRevision
