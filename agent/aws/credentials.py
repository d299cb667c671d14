"""Sources of credentials that botocore does not bring in the form we need: one each, no chain behind it."""

import configparser
import threading
from collections.abc import Mapping

from botocore.credentials import CredentialProvider, Credentials, InstanceMetadataProvider, ReadOnlyCredentials
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import IMDSFetcher, InstanceMetadataFetcher

from agent.aws.session import InstanceProfile, SessionFile, StaticKeys
from agent.errors import CredentialsError

_METADATA_TIMEOUT_S = 1
_METADATA_TRIES = 3
_LARGEST_FILE = 1 << 20


def provider_for(source: InstanceProfile | StaticKeys | SessionFile, *, allow_imds_v1: bool) -> CredentialProvider:
    """Return the one provider that stands for `source`."""
    match source:
        case InstanceProfile():
            return InstanceMetadataProvider(iam_role_fetcher=_RoleFetcher(source, allow_v1=allow_imds_v1))
        case StaticKeys():
            return _Fixed(_keys(source))
        case SessionFile():
            return _Fixed(FileCredentials(source))


def instance_region(source: InstanceProfile, *, allow_imds_v1: bool) -> str | None:
    """Return the region the metadata service names, None when it does not answer."""
    try:
        return _RegionFetcher(source, allow_v1=allow_imds_v1).region()
    except BotoCoreError:
        return None


class _Fixed(CredentialProvider):  # type: ignore[misc]  # botocore has no types
    """Gives what it was given."""

    METHOD = "deploy-agent"

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> Credentials:
        return self._credentials


class _Straight(IMDSFetcher):  # type: ignore[misc]  # botocore has no types
    """Asks the metadata service, which is link-local, without the proxy an environment may name."""

    def __init__(self, source: InstanceProfile, *, allow_v1: bool) -> None:
        super().__init__(
            timeout=_METADATA_TIMEOUT_S,
            num_attempts=_METADATA_TRIES,
            base_url=source.endpoint,
            env=_NO_ENVIRONMENT,
            config={"ec2_metadata_v1_disabled": not allow_v1},
        )
        self._session = URLLib3Session(timeout=_METADATA_TIMEOUT_S)


_NO_ENVIRONMENT: Mapping[str, str] = {}


class _RoleFetcher(_Straight, InstanceMetadataFetcher):  # type: ignore[misc]
    """The role's keys."""


class _RegionFetcher(_Straight):
    """The instance's region, from the item that is right in local zones too."""

    def region(self) -> str | None:
        try:
            token = self._fetch_metadata_token()
            answer = self._get_request("latest/meta-data/placement/region", self._default_retry, token=token)
        except self._RETRIES_EXCEEDED_ERROR_CLS:
            return None
        text: str = answer.text
        return text.strip() or None


class FileCredentials(Credentials):  # type: ignore[misc]  # botocore has no types
    """Keys of a file, read again before a request is signed whenever the file has changed."""

    def __init__(self, source: SessionFile) -> None:
        self._source = source
        self._stamp: tuple[int, int, int] | None = None
        self._guard = threading.Lock()
        super().__init__("", "", None, method="session-file")

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        with self._guard:
            self._read_if_changed()
            return super().get_frozen_credentials()

    def _read_if_changed(self) -> None:
        try:
            status = self._source.path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                found = _parse(self._source, self._source.path.read_bytes()[:_LARGEST_FILE])
                self.access_key, self.secret_key, self.token = found
                self._stamp = stamp
        except OSError as exc:
            raise CredentialsError(
                f"credentials file {str(self._source.path)!r}: {exc.strerror}",
                hint="whatever renews the session must write this file, readable for the agent",
            ) from exc


def _keys(source: StaticKeys) -> Credentials:
    token = source.session_token.reveal() if source.session_token else None
    return Credentials(source.access_key_id, source.secret_access_key.reveal(), token, method="static")


def _parse(source: SessionFile, content: bytes) -> tuple[str, str, str]:
    """Return the three values of the profile. Messages never quote the file: it holds secrets."""
    where = f"credentials file {str(source.path)!r}"
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(content.decode())
    except (configparser.Error, UnicodeDecodeError):
        raise CredentialsError(f"{where} is not an INI file", hint="write it as the AWS tools do") from None
    if not parser.has_section(source.profile):
        raise CredentialsError(
            f"{where} has no section [{source.profile}]", hint=f"put the keys below [{source.profile}]"
        )
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    missing = [name for name in names if not parser.get(source.profile, name, fallback="")]
    if missing:
        raise CredentialsError(f"{where}: [{source.profile}] lacks {', '.join(missing)}", hint="write all three keys")
    key, secret, token = (parser.get(source.profile, name) for name in names)
    return key, secret, token
