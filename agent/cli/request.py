"""Turns the command line of `run-local` into a deployment: its rules, in the official tool's order. Reads no disk."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.core.deployment import Deployment, DeploymentId, FileExistsBehavior, parse_group_id
from agent.core.lifecycle import DEFAULT_EVENTS, LOCAL_ORDER, order_local_events
from agent.core.revision import HttpsRevision, Revision, S3Revision
from agent.errors import SpecificationError

DEFAULT_GROUP = "default-local-deployment-group"
DEFAULT_GROUP_NAME = "LocalFleet"
_ID_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_ID_LENGTH = 9
ID_ENTROPY_BYTES = 16
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRequest:
    """What the operator asked for, as written."""

    location: str
    bundle_type: str
    file_exists_behavior: str = "DISALLOW"
    group_id: str = DEFAULT_GROUP
    group_name: str = DEFAULT_GROUP_NAME
    application: str | None = None
    events: str | None = None
    appspec_filename: str = "appspec.yml"
    sha256: str | None = None


def local_deployment_id(entropy: bytes) -> DeploymentId:
    """Return `d-` + nine characters + `-local` made from `ID_ENTROPY_BYTES` random bytes."""
    assert len(entropy) == ID_ENTROPY_BYTES
    number = int.from_bytes(entropy, "big")
    letters = []
    for _ in range(_ID_LENGTH):
        number, digit = divmod(number, len(_ID_ALPHABET))
        letters.append(_ID_ALPHABET[digit])
    return DeploymentId(f"d-{''.join(letters)}-local")


def local_events(text: str | None) -> tuple[str, ...]:
    """Return the events of `--events` in the order they run; all of them when none were named.

    Raises:
        SpecificationError: one stands where it cannot run.
    """
    return order_local_events(LOCAL_ORDER if text is None else _names(text))


def local_deployment(request: LocalRequest, revision: Revision, deployment_id: DeploymentId) -> Deployment:
    """Return the deployment of `revision` that `request` describes.

    Raises:
        SpecificationError: the group cannot be a folder's name, or the behavior is none.
    """
    requested = () if request.events is None else _names(request.events)
    own = dict.fromkeys(name for name in requested if name not in DEFAULT_EVENTS)
    return Deployment(
        deployment_id=deployment_id,
        group_id=parse_group_id(request.group_id),
        group_name=request.group_name,
        application=request.location if request.application is None else request.application,
        revision=revision,
        appspec_filename=request.appspec_filename,
        file_exists_behavior=parse_behavior(request.file_exists_behavior),
        all_events=(*LOCAL_ORDER, *own),
    )


def parse_behavior(text: str) -> FileExistsBehavior:
    """Return the behavior that `text` names in any case. Raises: SpecificationError."""
    try:
        return FileExistsBehavior(text.upper())
    except ValueError:
        raise SpecificationError(
            f"--file-exists-behavior {text!r} is unknown", hint=f"use one of {', '.join(FileExistsBehavior)}"
        ) from None


def with_sha256(revision: Revision, sha256: str) -> Revision:
    """Return `revision` held to a digest.

    Raises:
        SpecificationError: not a digest, one that contradicts the location's, or a revision that cannot be held to one.
    """
    digest = sha256.strip().lower()
    if len(digest) != 64 or not _HEX.issuperset(digest):
        raise SpecificationError(
            f"--sha256 {sha256!r} is not 64 hexadecimal digits", hint="take it from `sha256sum FILE`"
        )
    if not isinstance(revision, (S3Revision, HttpsRevision)):
        raise SpecificationError(
            "--sha256 cannot be checked for this bundle location",
            hint="it is for s3:// and https:// files; GitHub names its archives by commit, local ones are yours",
        )
    if revision.sha256 not in (None, digest):
        raise SpecificationError(
            f"--sha256 {digest} contradicts the bundle location, which says {revision.sha256}", hint="give one of them"
        )
    return replace(revision, sha256=digest)


def _names(text: str) -> Sequence[str]:
    return [name for part in text.split(",") if (name := part.strip())]
