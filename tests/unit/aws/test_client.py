"""Which endpoint a client speaks to, and as whom."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.aws.client import s3_client
from agent.aws.credentials import FileCredentials
from agent.aws.session import AwsSettings, InstanceProfile, SessionFile, StaticKeys
from agent.core.network import NetworkSettings
from agent.core.secret import Secret
from agent.errors import ConfigError, CredentialsError

KEYS = StaticKeys(access_key_id="A", secret_access_key=Secret("S"))


class Sent(Exception):  # noqa: N818 - carries what would have been sent
    """Ends a request where it would leave this host."""


def request_of(settings: AwsSettings) -> tuple[str, str]:
    """Return the URL and the signature of a GetObject that is not sent."""
    client = s3_client(settings, NetworkSettings(), ca=True)

    def keep(request: Any, **_: object) -> None:
        raise Sent(request.url, str(request.headers["Authorization"]))

    client.meta.events.register("before-send.s3.GetObject", keep)
    with pytest.raises(Sent) as caught:
        client.get_object(Bucket="builds", Key="k")
    url, signature = caught.value.args
    return url, signature


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"region": "eu-west-3"}, "https://builds.s3.eu-west-3.amazonaws.com/k"),
        ({"region": "us-gov-west-1", "use_fips": True}, "https://builds.s3-fips.us-gov-west-1.amazonaws.com/k"),
        ({"region": "eu-west-3", "use_dualstack": True}, "https://builds.s3.dualstack.eu-west-3.amazonaws.com/k"),
        (
            {"region": "us-east-2", "use_fips": True, "use_dualstack": True},
            "https://builds.s3-fips.dualstack.us-east-2.amazonaws.com/k",
        ),
        ({"region": "eu-west-3", "path_style": True}, "https://s3.eu-west-3.amazonaws.com/builds/k"),
        ({"region": "cn-north-1"}, "https://builds.s3.cn-north-1.amazonaws.com.cn/k"),
        ({"region": "us-iso-east-1"}, "https://builds.s3.us-iso-east-1.c2s.ic.gov/k"),
        ({"region": "us-isob-east-1"}, "https://builds.s3.us-isob-east-1.sc2s.sgov.gov/k"),
        ({"region": "eu-isoe-west-1"}, "https://builds.s3.eu-isoe-west-1.cloud.adc-e.uk/k"),
        ({"region": "us-isof-south-1"}, "https://builds.s3.us-isof-south-1.csp.hci.ic.gov/k"),
        ({"region": "eusc-de-east-1"}, "https://builds.s3.eusc-de-east-1.amazonaws.eu/k"),
        (
            {"region": "eu-west-3", "s3_endpoint_override": "https://store.example:9000", "use_fips": True},
            "https://store.example:9000/builds/k",
        ),
        (
            {"region": "eu-west-3", "s3_endpoint_override": "https://store.example", "path_style": False},
            "https://builds.store.example/k",
        ),
    ],
)
def test_the_endpoint_follows_region_partition_and_options(settings: dict[str, Any], expected: str) -> None:
    url, signature = request_of(AwsSettings(credentials=KEYS, **settings))
    assert url == expected
    assert f"/{settings['region']}/s3/" in signature


def test_an_unusable_endpoint_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError, match="AWS settings: ") as caught:
        request_of(AwsSettings(credentials=KEYS, s3_endpoint_override="not an address"))
    assert "endpoint override" in caught.value.hint


# --- a session file ---

INI = "[default]\naws_access_key_id = {0}\naws_secret_access_key = S\naws_session_token = T\n"


def test_a_session_file_is_read_again_after_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "session"
    file.write_text(INI.format("OLD"))
    credentials = FileCredentials(SessionFile(path=file))
    assert credentials.get_frozen_credentials().access_key == "OLD"
    file.write_text(INI.format("RENEWED"))
    frozen = credentials.get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("RENEWED", "S", "T")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[other]\n", r"has no section \[default\]"),
        ("[default]\naws_access_key_id = hunter2\n", "lacks aws_secret_access_key, aws_session_token"),
        ("hunter2", "is not an INI file"),
    ],
)
def test_a_useless_session_file_is_reported_without_its_content(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "session"
    file.write_text(text)
    with pytest.raises(CredentialsError, match=problem) as caught:
        FileCredentials(SessionFile(path=file)).get_frozen_credentials()
    assert "hunter2" not in caught.value.message + caught.value.hint


# --- the metadata service ---


class Metadata(http.server.BaseHTTPRequestHandler):
    """Answers as the service does for an instance with a role."""

    has_tokens = True

    def do_PUT(self) -> None:
        if self.has_tokens:
            self._send("a-token")
        else:
            self.send_error(403)

    def do_GET(self) -> None:
        if self.has_tokens and self.headers.get("X-aws-ec2-metadata-token") != "a-token":
            self.send_error(401)
            return
        keys = (
            '{"Code":"Success","AccessKeyId":"FROMROLE","SecretAccessKey":"S","Token":"T",'
            '"Expiration":"2100-01-01T00:00:00Z"}'
        )
        self._send(
            {
                "/latest/meta-data/iam/security-credentials/": "web-role",
                "/latest/meta-data/iam/security-credentials/web-role": keys,
                "/latest/meta-data/placement/region": "ap-south-2\n",
            }[self.path]
        )

    def _send(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        pass


class OldMetadata(Metadata):
    """Knows version 1 only."""

    has_tokens = False


@pytest.fixture
def metadata() -> Iterator[InstanceProfile]:
    yield from serve(Metadata)


@pytest.fixture
def old_metadata() -> Iterator[InstanceProfile]:
    yield from serve(OldMetadata)


def serve(handler: type[Metadata]) -> Iterator[InstanceProfile]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield InstanceProfile(endpoint=f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
        thread.join()


def test_an_instance_profile_gives_keys_and_region_whatever_the_environment_says(
    metadata: InstanceProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "STRAY",
        "AWS_SECRET_ACCESS_KEY": "STRAY",
        "AWS_PROFILE": "stray",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    url, signature = request_of(AwsSettings(credentials=metadata))
    assert "Credential=FROMROLE/" in signature
    assert url == "https://builds.s3.ap-south-2.amazonaws.com/k"


def test_version_1_of_the_metadata_service_is_asked_unless_that_is_switched_off(old_metadata: InstanceProfile) -> None:
    _, signature = request_of(AwsSettings(credentials=old_metadata))
    assert "Credential=FROMROLE/" in signature
    with pytest.raises(ConfigError, match="IMDSv1 has been disabled"):
        request_of(AwsSettings(credentials=old_metadata, allow_imds_v1=False))


def test_the_chain_is_told_to_leave_version_1_alone(old_metadata: InstanceProfile, monkeypatch: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", old_metadata.endpoint)
    _, signature = request_of(AwsSettings(region="eu-west-1"))
    assert "Credential=FROMROLE/" in signature
    with pytest.raises(ConfigError, match="IMDSv1 has been disabled"):
        request_of(AwsSettings(region="eu-west-1", allow_imds_v1=False))
