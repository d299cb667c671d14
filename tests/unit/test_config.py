"""Every key that `agentctl` reads has an effect; the official agent's file is read as it is."""

import os
from pathlib import Path

import pytest

from agent.aws.session import InstanceProfile, NamedProfile
from agent.config import Config, load_config, read_token, with_root_dir
from agent.core.secret import Secret
from agent.errors import ConfigError

ENVIRONMENT = {"PATH": "/bin", "HOME": "/home/op"}


def load(tmp_path: Path, text: str, **environ: str) -> Config:
    file = tmp_path / "agent.yml"
    file.write_text(text)
    return load_config(file, {**ENVIRONMENT, **environ})


OFFICIAL = """\
---
:log_aws_wire: false
:log_dir: '/var/log/aws/codedeploy-agent/'
:pid_dir: '/opt/codedeploy-agent/state/.pid/'
:program_name: codedeploy-agent
:root_dir: '/srv/deployment-root'
:verbose: false
:wait_between_runs: 1
:proxy_uri:
:max_revisions: 3
"""


def test_the_official_file_is_read_as_it_is(tmp_path: Path) -> None:
    config = load(tmp_path, OFFICIAL)
    assert config.layout.root == Path("/srv/deployment-root")
    assert config.run.retention.max_revisions == 3
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("text", "expression", "value"),
    [
        ("root_dir: /r", "layout.root", Path("/r")),
        ("max_revisions: 2", "run.retention.max_revisions", 2),
        ("max_revisions_size: 2GB", "run.retention.max_bytes", 2_000_000_000),
        ("max_revisions_inodes: 9", "run.retention.max_inodes", 9),
        ("hook_pass_environment: [A_*]", "run.hooks.pass_env", ("A_*",)),
        ("hook_environment: {A: 1, B: x}", "run.hooks.extra_env", {"A": "1", "B": "x"}),
        ("hook_grace_seconds: 2.5", "run.hooks.grace_s", 2.5),
        ("hook_drain_seconds: 1", "run.hooks.drain_s", 1.0),
        ("fail_on_open_output: true", "run.hooks.output_open_is_failure", True),
        ("script_log_max_size: 1MiB", "run.hooks.log.max_bytes", 1 << 20),
        ("script_log_files: 3", "run.hooks.log.files", 3),
        ("enable_deployments_log: false", "run.hooks.deployments_log", None),
        (
            "{root_dir: /r, program_name: p}",
            "run.hooks.deployments_log",
            Path("/r/deployment-logs/p-deployments.log"),
        ),
        ("credentials: instance", "run.fetch.aws.credentials", InstanceProfile()),
        ("credentials: profile:deploy", "run.fetch.aws.credentials", NamedProfile(name="deploy")),
        ("disable_imds_v1: true", "run.fetch.aws.allow_imds_v1", False),
        ("netrc_file: /etc/netrc", "run.fetch.netrc", Path("/etc/netrc")),
        ("region: eu-west-1", "run.fetch.aws.region", "eu-west-1"),
        ("s3_endpoint_override: https://s3.local", "run.fetch.aws.s3_endpoint_override", "https://s3.local"),
        ("use_fips_mode: true", "run.fetch.aws.use_fips", True),
        ("use_dualstack: true", "run.fetch.aws.use_dualstack", True),
        ("s3_path_style: false", "run.fetch.aws.path_style", False),
        ("proxy_uri: http://p:1", "run.fetch.network.proxy.uri", Secret("http://p:1")),
        ("ca_bundle: /etc/ca.pem", "run.fetch.network.ca_bundle", Path("/etc/ca.pem")),
        ("github_api: https://ghe/api", "run.fetch.github_api", "https://ghe/api"),
        ("bundle_max_size: 1GiB", "run.fetch.limits.max_bytes", 1 << 30),
        ("archive_max_entries: 7", "run.unpack.max_entries", 7),
        ("archive_max_extraction_size: 4GB", "run.unpack.max_bytes", 4_000_000_000),
        ("archive_max_ratio: 10", "run.unpack.max_ratio", 10),
        ("keep_special_bits_in_bundle: true", "run.unpack.keep_special_bits", True),
        ("keep_outward_links_in_bundle: true", "run.unpack.keep_outward_links", True),
        ("restore_ownership_in_bundle: true", "run.unpack.restore_ownership", True),
        ("ignore_application_stop_failures: true", "run.ignore_stop_failures", True),
    ],
)
def test_a_key_reaches_its_setting(tmp_path: Path, text: str, expression: str, value: object) -> None:
    found: object = load(tmp_path, text)
    for name in expression.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_revisions: 0", "max_revisions: 0 is not a whole number from 1"),
        ("max_revisions: many", "'many' is not a whole number"),
        ("root_dir: relative", "root_dir: 'relative' is not an absolute path"),
        ("use_fips_mode: 'yes'", "use_fips_mode: 'yes' is not true or false"),
        ("hook_grace_seconds: -1", "-1 is not a number of seconds"),
        ("archive_max_extraction_size: 4 parsecs", "is not a size like 500MB or 4GiB"),
        ("hook_environment: [A]", "is not a mapping of variable names"),
        ("hook_pass_environment: A", "is not a list of texts"),
        ("[a]", "not a mapping of keys"),
        ("a: [", "not YAML"),
        ("github_token_file: /nonexistent", "/nonexistent: GitHub token not read"),
    ],
)
def test_an_unusable_value_names_file_key_and_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yml: No such file"):
        load_config(tmp_path / "gone.yml", ENVIRONMENT)


def test_an_unknown_key_warns_with_the_nearest_known_one(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, "max_revision: 3").warnings
    assert "unknown key 'max_revision', did you mean 'max_revisions" in warning


def test_a_protection_of_the_official_agent_that_is_lacking_here_is_told(tmp_path: Path) -> None:
    text = "reject_symlinks_in_bundle: {}\nreject_path_traversal_in_bundle: true\n"
    (warning,) = load(tmp_path, text.format("true")).warnings
    assert warning.endswith("reject_symlinks_in_bundle: this agent has no such protection")
    assert load(tmp_path, text.format("false")).warnings == ()


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "# nothing\n").run.retention.max_revisions == 5


def test_the_region_and_token_of_the_environment_are_taken(tmp_path: Path) -> None:
    config = load(tmp_path, "", AWS_DEFAULT_REGION="eu-north-1", GITHUB_TOKEN="t", AWS_CA_BUNDLE="/ca")
    assert config.run.fetch.aws.region == "eu-north-1"
    assert config.run.fetch.github_token == Secret("t")
    assert config.run.fetch.network.ca_bundle == Path("/ca")


def test_a_token_file_holds_one_line(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("abc\n")
    assert read_token(file) == Secret("abc")
    file.write_text("abc\ndef\n")
    with pytest.raises(ConfigError, match="not one line"):
        read_token(file)


def test_a_root_on_the_command_line_moves_everything(tmp_path: Path) -> None:
    config = with_root_dir(load(tmp_path, ""), tmp_path / "elsewhere")
    assert config.layout.root == config.run.layout.root == tmp_path / "elsewhere"


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which takes root")
def test_a_user_without_rights_gets_a_root_of_his_own() -> None:
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        root = load_config(None, {**ENVIRONMENT, "XDG_STATE_HOME": "/state"}).layout.root
        os._exit(0 if root == Path("/state/deploy-agent/deployment-root") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
