"""A script's environment and identity."""

from pathlib import Path

import pytest

from agent.core.appspec.model import HookScript, Position
from agent.core.deployment import Deployment, DeploymentId, GroupId
from agent.core.hook_script import (
    Account,
    BundleFacts,
    FailedEvent,
    Identity,
    Surroundings,
    build_environment,
    choose_identity,
    deployment_variables,
)
from agent.core.revision import (
    BundleType,
    GitHubRevision,
    HttpsRevision,
    LocalDirectoryRevision,
    Revision,
    S3Revision,
)
from agent.errors import DiagnosticsCode, HookFailedError

WWW = Account(name="www-data", home="/var/www", shell="/usr/sbin/nologin")


def deployment(revision: Revision) -> Deployment:
    return Deployment(
        deployment_id=DeploymentId("d-1"),
        group_id=GroupId("group-id"),
        group_name="group name",
        application="shop",
        revision=revision,
    )


LOCAL = deployment(LocalDirectoryRevision(path=Path("/b")))
S3 = deployment(S3Revision(bucket="b", key="k/x.tgz", bundle_type=BundleType.TGZ, etag="asked", version="v-asked"))


def script(*, runas: str | None = None, sudo: bool = False) -> HookScript:
    return HookScript(location="a.sh", runas=runas, sudo=sudo, position=Position(line=1, column=1))


def test_a_local_revision_has_the_five_common_variables_only() -> None:
    assert deployment_variables(LOCAL, "AfterInstall", BundleFacts(etag="e")) == {
        "LIFECYCLE_EVENT": "AfterInstall",
        "DEPLOYMENT_ID": "d-1",
        "APPLICATION_NAME": "shop",
        "DEPLOYMENT_GROUP_NAME": "group name",
        "DEPLOYMENT_GROUP_ID": "group-id",
    }


def bundle_variables(of: Deployment, facts: BundleFacts) -> dict[str, str]:
    variables = deployment_variables(of, "AfterInstall", facts)
    return {name: value for name, value in variables.items() if name.startswith("BUNDLE_")}


def test_what_was_observed_of_a_bundle_wins_over_what_was_asked_for() -> None:
    assert bundle_variables(S3, BundleFacts(etag="seen", version="v-seen")) == {
        "BUNDLE_BUCKET": "b",
        "BUNDLE_KEY": "k/x.tgz",
        "BUNDLE_ETAG": "seen",
        "BUNDLE_VERSION": "v-seen",
    }


def test_what_was_asked_for_stands_while_nothing_was_observed() -> None:
    variables = bundle_variables(S3, BundleFacts())
    assert (variables["BUNDLE_ETAG"], variables["BUNDLE_VERSION"]) == ("asked", "v-asked")


def test_unknown_bundle_facts_are_left_out() -> None:
    plain = deployment(S3Revision(bucket="b", key="k", bundle_type=BundleType.ZIP))
    assert bundle_variables(plain, BundleFacts()) == {"BUNDLE_BUCKET": "b", "BUNDLE_KEY": "k"}


def test_a_github_revision_has_its_commit() -> None:
    github = deployment(GitHubRevision(account="o", repository="r", commit="HEAD", bundle_type=BundleType.ZIP))
    assert bundle_variables(github, BundleFacts()) == {"BUNDLE_COMMIT": "HEAD"}
    assert bundle_variables(github, BundleFacts(commit="0a1b")) == {"BUNDLE_COMMIT": "0a1b"}


def test_an_https_revision_has_its_etag_but_not_its_address() -> None:
    https = deployment(HttpsRevision(url="https://x/y?signature=secret", bundle_type=BundleType.TGZ))
    assert bundle_variables(https, BundleFacts(etag="e")) == {"BUNDLE_ETAG": "e"}


def test_on_failure_learns_what_failed() -> None:
    failed = FailedEvent(
        event="AfterInstall",
        code=DiagnosticsCode.SCRIPT_FAILED,
        message="it\0 failed " + "x" * 10_000,
        script="a.sh",
        exit_code=3,
    )
    variables = deployment_variables(LOCAL, "OnFailure", BundleFacts(), failed)
    assert variables["LIFECYCLE_EVENT"] == "OnFailure"
    assert variables["FAILED_LIFECYCLE_EVENT"] == "AfterInstall"
    assert variables["FAILED_SCRIPT"] == "a.sh"
    assert variables["FAILED_ERROR_CODE"] == "4"
    assert variables["FAILED_EXIT_CODE"] == "3"
    assert variables["FAILED_MESSAGE"].startswith("it failed x")
    assert len(variables["FAILED_MESSAGE"]) < 5000


def test_a_failure_without_an_exit_code_has_no_such_variable() -> None:
    failed = FailedEvent(event="Install", code=DiagnosticsCode.UNKNOWN_ERROR, message="m")
    variables = deployment_variables(LOCAL, "OnFailure", BundleFacts(), failed)
    assert variables["FAILED_SCRIPT"] == ""
    assert "FAILED_EXIT_CODE" not in variables


def environment(
    inherited: dict[str, str], *, passed: tuple[str, ...] = (), extra: dict[str, str] | None = None
) -> dict[str, str]:
    surroundings = Surroundings(inherited=inherited, passed=passed, extra=extra or {})
    return build_environment(surroundings, WWW, {"DEPLOYMENT_ID": "d-1"})


def test_little_of_the_agents_environment_is_handed_on() -> None:
    built = environment({"PATH": "/usr/bin:/bin", "LANG": "C", "LC_TIME": "C", "TZ": "UTC", "HOME": "/root", "X": "1"})
    assert built == {
        "PATH": "/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin",
        "LANG": "C",
        "LC_TIME": "C",
        "TZ": "UTC",
        "HOME": "/var/www",
        "USER": "www-data",
        "LOGNAME": "www-data",
        "SHELL": "/bin/sh",
        "DEPLOYMENT_ID": "d-1",
    }


def test_relative_folders_leave_the_path() -> None:
    assert environment({"PATH": ".::/opt/bin:bin"})["PATH"].startswith("/opt/bin:/usr/local/sbin:")


def test_configured_names_are_passed_but_never_credentials() -> None:
    inherited = {
        "AWS_REGION": "eu-west-1",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_ACCESS_KEY": "a",
        "AWS_SECRET_KEY": "s",
        "AWS_SESSION_TOKEN": "t",
        "GITHUB_TOKEN": "g",
        "AGENTCTL_GITHUB_TOKEN": "g",
        "CODEDEPLOY_GITHUB_TOKEN": "g",
        "http_proxy": "p",
    }
    built = environment(inherited, passed=("*",))
    assert {name for name in built if name in inherited} == {"AWS_REGION", "http_proxy"}


def test_configured_values_replace_ours_but_not_the_deployments() -> None:
    built = environment({}, extra={"HOME": "/srv", "COLOUR": "blue", "DEPLOYMENT_ID": "forged"})
    assert (built["HOME"], built["COLOUR"], built["DEPLOYMENT_ID"]) == ("/srv", "blue", "d-1")


@pytest.mark.parametrize(("value", "settable"), [("a\0b", "ab"), ("\udcff", "\udcff"), ("\ud800", "?")])
def test_values_become_what_the_kernel_takes(value: str, settable: str) -> None:
    assert environment({}, extra={"X": value})["X"] == settable


@pytest.mark.parametrize(
    ("asked", "is_root", "expected"),
    [
        (script(), True, Identity(user=None)),
        (script(sudo=True), True, Identity(user=None)),
        (script(runas="app"), True, Identity(user="app")),
        (script(runas="app", sudo=True), True, Identity(user="app")),
        (script(), False, Identity(user=None)),
        (script(runas="me"), False, Identity(user=None)),
        (script(sudo=True), False, Identity(user=None, prefix=("sudo", "-n", "--preserve-env=A,B", "--"))),
        (
            script(runas="app", sudo=True),
            False,
            Identity(user=None, prefix=("sudo", "-n", "-u", "app", "--preserve-env=A,B", "--")),
        ),
    ],
)
def test_identity(asked: HookScript, is_root: bool, expected: Identity) -> None:
    assert choose_identity(asked, own_name="me", is_root=is_root, variables=("A", "B")) == expected


def test_another_user_without_root_or_sudo_is_refused() -> None:
    with pytest.raises(HookFailedError, match="runas 'app' needs root, and the agent runs as 'me'") as caught:
        choose_identity(script(runas="app"), own_name="me", is_root=False)
    assert "sudo: true" in caught.value.hint
    assert caught.value.script == "a.sh"
