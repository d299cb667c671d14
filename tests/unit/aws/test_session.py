"""Where settings for AWS come from."""

from pathlib import Path

import pytest

from agent.aws.session import (
    Anonymous,
    CredentialChain,
    CredentialSource,
    InstanceProfile,
    NamedProfile,
    SessionFile,
    StaticKeys,
    credentials_from,
    keys_from_environment,
    region_from,
)
from agent.core.secret import Secret
from agent.errors import ConfigError


@pytest.mark.parametrize(
    ("explicit", "environ", "region"),
    [
        ("eu-west-1", {"AWS_REGION": "us-west-2"}, "eu-west-1"),
        (None, {"AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-east-2"}, "us-west-2"),
        (None, {"AWS_DEFAULT_REGION": "us-east-2"}, "us-east-2"),
        (None, {"AWS_REGION": ""}, None),
    ],
)
def test_the_explicit_region_wins_over_the_environments(
    explicit: str | None, environ: dict[str, str], region: str | None
) -> None:
    assert region_from(explicit, environ) == region


def test_keys_of_an_environment_are_taken_with_their_token() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S", "AWS_SESSION_TOKEN": "T"}
    expected = StaticKeys(access_key_id="A", secret_access_key=Secret("S"), session_token=Secret("T"))
    assert keys_from_environment(environ) == expected


def test_half_a_pair_of_keys_is_refused() -> None:
    with pytest.raises(ConfigError, match="AWS_SECRET_ACCESS_KEY not set") as caught:
        keys_from_environment({"AWS_ACCESS_KEY_ID": "A"})
    assert "export the missing variable" in caught.value.hint


def test_keys_do_not_show() -> None:
    environ = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": "hunter3"}
    assert "hunter" not in repr(keys_from_environment(environ))


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("chain", CredentialChain()),
        ("instance", InstanceProfile()),
        ("environment", StaticKeys(access_key_id="A", secret_access_key=Secret("S"))),
        ("anonymous", Anonymous()),
        ("profile:two:parts", NamedProfile(name="two:parts")),
        ("file:/run/session", SessionFile(path=Path("/run/session"))),
    ],
)
def test_a_configuration_names_the_source_of_credentials(text: str, source: CredentialSource) -> None:
    assert credentials_from(text, {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"}) == source


@pytest.mark.parametrize("text", ["", "role", "profile:", "profile", "file:session", "instance:x"])
def test_an_unknown_source_of_credentials_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="chain, instance, environment, anonymous, profile:NAME or file:/PATH"):
        credentials_from(text, {})
