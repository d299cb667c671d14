"""What went wrong with S3, in our own errors: the real code, what it means here, how to mend it, and may it pass."""

from dataclasses import dataclass
from typing import Any

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError

from agent.aws.session import (
    Anonymous,
    AwsSettings,
    CredentialChain,
    CredentialSource,
    InstanceProfile,
    NamedProfile,
    SessionFile,
    StaticKeys,
)
from agent.errors import AgentError, BundleError, BundleNotFoundError, CredentialsError, RemoteError, ThrottledError
from agent.sources.remote import TemporaryFault, is_untrusted, reason

OTHER_REGION = "the bucket is in another region: set the region, or remove the endpoint override"

_NOT_FOUND = {
    "NoSuchKey": "check the key's spelling; keys are case-sensitive and taken as written, nothing is decoded",
    "404": "check the key's spelling; keys are case-sensitive and taken as written, nothing is decoded",
    "NoSuchBucket": "check the bucket's name, and the endpoint override if there is one",
    "NoSuchVersion": "the version id is not one of this object's: list them with aws s3api list-object-versions",
    "MethodNotAllowed": "this version is a delete marker: name an older version id",
}
_WRONG_KEYS = {
    "InvalidAccessKeyId": "the access key does not exist (or belongs to another partition): see which keys are used",
    "SignatureDoesNotMatch": "the secret key does not belong to the access key, or a proxy alters requests",
    "InvalidSecurity": "the credentials are not valid: see which are used",
    "NotSignedUp": "the account may not use S3",
    "RequestTimeTooSkewed": "this host's clock is wrong: let chrony or systemd-timesyncd set it",
}
_STALE_KEYS = {
    "ExpiredToken": "the session has ended: whatever renews it must do so",
    "ExpiredTokenException": "the session has ended: whatever renews it must do so",
    "InvalidToken": "the session token does not belong to the keys, or has ended",
    "TokenRefreshRequired": "the session has ended: whatever renews it must do so",
}
_REFUSED = {
    "AccessDenied": "allow s3:GetObject on this key (s3:GetObjectVersion when a version is named, kms:Decrypt when the "
    "object is encrypted with a key); without s3:ListBucket a missing key is refused like this too",
    "AllAccessDisabled": "the owner has switched access to this object off",
    "InvalidObjectState": "the object is archived (Glacier): restore it, or keep bundles in another storage class",
    "PermanentRedirect": OTHER_REGION,
    "AuthorizationHeaderMalformed": OTHER_REGION,
    "IllegalLocationConstraintException": OTHER_REGION,
    "PreconditionFailed": "upload each bundle once, under a key of its own, or name its version id",
    "InvalidRange": "upload each bundle once, under a key of its own, or name its version id",
    "InvalidArgument": "check version id, and that this host signs with SigV4 of the right region",
}
_CHANGED = {"PreconditionFailed", "412", "InvalidRange"}
_THROTTLED = {"SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException",
              "BandwidthLimitExceeded", "ServiceUnavailable", "503"}  # fmt: skip
_PASSING = {"InternalError", "RequestTimeout", "OperationAborted", "ServerBusy"}
_NO_KEYS = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError,
            boto.ProfileNotFound, boto.TokenRetrievalError, boto.SSOError)  # fmt: skip
_CONNECTION = (boto.HTTPClientError, boto.ConnectionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, and as whom."""

    what: str
    aws: AwsSettings


def explain(asked: Asked, exc: ClientError | BotoCoreError) -> Exception:
    """Return what to raise: an AgentError when trying again is no use, a TemporaryFault when it may be."""
    if isinstance(exc, ClientError):
        return _explain_answer(asked, exc)
    if isinstance(exc, _NO_KEYS):
        return CredentialsError(f"{asked.what}: {exc}", hint=_credentials_hint(asked.aws.credentials))
    if is_untrusted(exc):
        return RemoteError(
            f"{asked.what}: no trusted connection to {_host(exc)}: {reason(exc)}",
            hint="if a proxy or endpoint has a certificate of your own authority, name it as the CA bundle",
        )
    if isinstance(exc, _CONNECTION):
        return TemporaryFault(
            RemoteError(f"{asked.what}: cannot reach S3: {reason(exc)}", hint=_unreachable_hint(asked.aws))
        )
    return BundleError(f"{asked.what}: {exc}", hint="check bucket, key, region and endpoint")


def _host(exc: BotoCoreError) -> str:
    """Return the endpoint a connection error names, without a path."""
    url = str(exc.kwargs.get("endpoint_url", "S3"))
    return "/".join(url.split("/")[:3])


def _explain_answer(asked: Asked, exc: ClientError) -> Exception:
    error: dict[str, Any] = exc.response.get("Error", {})
    about: dict[str, Any] = exc.response.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "")), int(about.get("HTTPStatusCode", 0))
    text = f"{asked.what}: S3 answered {code or status}: {error.get('Message') or 'no message'}"
    if request_id := about.get("RequestId"):
        text += f" (request {request_id})"
    if code in _STALE_KEYS:
        return TemporaryFault(CredentialsError(text, hint=_STALE_KEYS[code]))
    if code in _THROTTLED or status in {429, 503}:
        asked_s = _retry_after(about)
        final = ThrottledError(text, hint="too many requests to this bucket at once: try again", retry_after_s=asked_s)
        return TemporaryFault(final, asked_s=asked_s)
    if code in _PASSING or status >= 500:
        return TemporaryFault(RemoteError(text, hint="S3 itself failed: try again"))
    return _final(code, status, text)


def _final(code: str, status: int, text: str) -> AgentError:
    if code in _CHANGED:
        return BundleError(f"{text}: the object changed while it was fetched", hint=_REFUSED["PreconditionFailed"])
    if code in _NOT_FOUND or status == 404:
        return BundleNotFoundError(text, hint=_NOT_FOUND.get(code, _NOT_FOUND["404"]))
    if code in _WRONG_KEYS:
        return CredentialsError(text, hint=_WRONG_KEYS[code])
    if code.startswith("KMS."):
        return BundleError(text, hint="the key that encrypts the object is disabled, deleted or not yours: see KMS")
    fallback = _REFUSED["AccessDenied"] if status == 403 else "see the code in the S3 API reference"
    return BundleError(text, hint=_REFUSED.get(code, fallback))


def _retry_after(about: dict[str, Any]) -> float | None:
    text = str(about.get("HTTPHeaders", {}).get("retry-after", ""))
    return float(text) if text.isdigit() else None


def _credentials_hint(source: CredentialSource) -> str:
    match source:
        case InstanceProfile():
            return "attach an IAM role to this instance, and see that its metadata service is on"
        case StaticKeys():
            return "check the configured keys"
        case SessionFile(path=path):
            return f"whatever renews the session must write {str(path)!r}"
        case NamedProfile(name=name):
            return f"check profile {name!r} in ~/.aws/config and ~/.aws/credentials"
        case CredentialChain():
            return "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, write ~/.aws, or attach a role to the instance"
        case Anonymous():
            return "choose a source of credentials"


def _unreachable_hint(aws: AwsSettings) -> str:
    if aws.s3_endpoint_override:
        return f"is {aws.s3_endpoint_override} right, and reachable from here?"
    if aws.use_fips:
        return "not every region has a FIPS endpoint for S3: check the region, or set s3_endpoint_override"
    return "check region, DNS, proxy and firewall between this host and S3"
