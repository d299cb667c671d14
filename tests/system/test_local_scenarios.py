"""The local deployments that the official agent's own users rely on, through the real program, behave the same here."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

AGENTCTL = Path(sys.executable).with_name("agentctl")
TRACE = "trace.txt"

Run = Callable[..., "subprocess.CompletedProcess[str]"]

ALL_HOOKS = (
    "BeforeBlockTraffic", "AfterBlockTraffic", "ApplicationStop", "BeforeInstall", "AfterInstall", "ApplicationStart",
    "ValidateService", "BeforeAllowTraffic", "AfterAllowTraffic",
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `agentctl run-local` with the given arguments and a deployment root of its own."""
    config = tmp_path / "agent.yml"
    config.write_text(f":root_dir: {tmp_path / 'root'}\nhook_environment: {{TRACE: {tmp_path / TRACE}}}\n")

    def run_local(*arguments: str, cwd: Path = tmp_path) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [AGENTCTL, "run-local", "-c", str(config), *arguments],
            cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run_local


def write_bundle(
    folder: Path,
    site: Path,
    *,
    version: str = "1",
    hooks: Sequence[str] = ALL_HOOKS,
    appspec: str = "appspec.yml",
    extra: str = "",
) -> Path:
    """A bundle whose scripts write their event and the version they belong to into the trace."""
    folder.mkdir(parents=True)
    (folder / "index.html").write_text(f"version {version}")
    script = folder / "trace.sh"
    script.write_text(f'#!/bin/sh\necho "$LIFECYCLE_EVENT v{version}" >> "$TRACE"\n')
    script.chmod(0o755)
    lines = "".join(f"  {event}:\n    - location: trace.sh\n" for event in hooks)
    (folder / appspec).write_text(
        f"version: 0.0\nos: linux\n{extra}files:\n  - source: index.html\n    destination: {site}\n"
        + (f"hooks:\n{lines}" if lines else "")
    )
    return folder


def trace(tmp_path: Path) -> list[str]:
    file = tmp_path / TRACE
    return file.read_text().splitlines() if file.exists() else []


FIRST = [f"{event} v1" for event in ALL_HOOKS[3:]]
"""A first deployment has no earlier revision to run the first three events of."""


def check(result: "subprocess.CompletedProcess[str]", site: Path, version: str = "1") -> None:
    assert result.returncode == 0, result.stdout + result.stderr
    assert (site / "index.html").read_text() == f"version {version}"


def test_a_directory(tmp_path: Path, site: Path, run: Run) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    check(run("-l", str(bundle)), site)
    assert trace(tmp_path) == FIRST


def test_a_relative_directory(tmp_path: Path, site: Path, run: Run) -> None:
    write_bundle(tmp_path / "bundle", site)
    check(run("--bundle-location", "bundle", "--type", "directory"), site)


def test_the_current_directory_is_the_default(tmp_path: Path, site: Path, run: Run) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    check(run(cwd=bundle), site)


@pytest.mark.parametrize(("kind", "mode"), [("tar", "w"), ("tgz", "w:gz"), ("bz2", "w:bz2"), ("xz", "w:xz")])
@pytest.mark.parametrize("nested", [False, True])
def test_a_tar_archive(tmp_path: Path, site: Path, run: Run, kind: str, mode: str, nested: bool) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    archive = tmp_path / f"bundle.{kind}"
    with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]  # the mode is one of its literals
        tar.add(bundle, arcname="project" if nested else ".")
    check(run("-l", str(archive), "-t", kind), site)
    assert trace(tmp_path) == FIRST


@pytest.mark.parametrize("nested", [False, True])
def test_a_zip_archive(tmp_path: Path, site: Path, run: Run, nested: bool) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in sorted(bundle.iterdir()):
            zipped.write(path, f"project/{path.name}" if nested else path.name)
    check(run("-l", str(archive), "-t", "zip"), site)
    assert trace(tmp_path) == FIRST


def test_an_object_in_s3(tmp_path: Path, site: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    bundle = write_bundle(tmp_path / "bundle", site)
    archive = tmp_path / "bundle.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(bundle, arcname=".")
    for name, value in {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="bundles")
        client.upload_file(str(archive), "bundles", "site/1.tgz")
        client.close()
        with (tmp_path / "agent.yml").open("a") as config:
            config.write(f"s3_endpoint_override: {endpoint}\n")
        check(run("-l", "s3://bundles/site/1.tgz", "-t", "tgz"), site)
    finally:
        server.stop()


def test_a_custom_event_runs_where_it_was_asked_for(tmp_path: Path, site: Path, run: Run) -> None:
    bundle = write_bundle(tmp_path / "bundle", site, hooks=["BeforeInstall", "Warm"])
    check(run("-l", str(bundle), "-e", "DownloadBundle,BeforeInstall,Install,Warm"), site)
    assert trace(tmp_path) == ["BeforeInstall v1", "Warm v1"]


def test_a_custom_event_that_the_appspec_lacks_fails_before_anything_is_installed(
    tmp_path: Path, site: Path, run: Run
) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    result = run("-l", str(bundle), "-e", "DownloadBundle,Install,Warm")
    assert result.returncode == 1
    assert "Warm" in result.stdout + result.stderr
    assert not site.exists()


def test_a_subset_of_events_gets_download_and_install(tmp_path: Path, site: Path, run: Run) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    check(run("-l", str(bundle), "-e", "AfterInstall"), site)
    assert trace(tmp_path) == ["AfterInstall v1"]


@pytest.mark.parametrize("name", ["appspec.yaml", "deploy/spec.yml"])
def test_an_appspec_by_another_name(tmp_path: Path, site: Path, run: Run, name: str) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    (bundle / name).parent.mkdir(exist_ok=True)
    (bundle / "appspec.yml").rename(bundle / name)
    check(run("-l", str(bundle), "-A", name), site)
    assert trace(tmp_path) == FIRST


def test_disallow_leaves_what_is_there(tmp_path: Path, site: Path, run: Run) -> None:
    bundle = write_bundle(tmp_path / "bundle", site)
    site.mkdir()
    (site / "index.html").write_text("mine")
    result = run("-l", str(bundle))
    assert result.returncode == 1
    assert str(site / "index.html") in result.stdout + result.stderr
    assert (site / "index.html").read_text() == "mine"


@pytest.mark.parametrize(("behavior", "content"), [("OVERWRITE", "version 1"), ("RETAIN", "mine")])
@pytest.mark.parametrize("place", ["option", "appspec"])
def test_other_behaviors(tmp_path: Path, site: Path, run: Run, behavior: str, content: str, place: str) -> None:
    extra = f"file_exists_behavior: {behavior}\n" if place == "appspec" else ""
    bundle = write_bundle(tmp_path / "bundle", site, extra=extra)
    site.mkdir()
    (site / "index.html").write_text("mine")
    option = [] if place == "appspec" else ["-b", behavior]
    result = run("-l", str(bundle), *option)
    assert result.returncode == 0, result.stdout + result.stderr
    assert (site / "index.html").read_text() == content


def test_the_second_deployment_runs_the_first_one_s_stop_hooks(tmp_path: Path, site: Path, run: Run) -> None:
    check(run("-l", str(write_bundle(tmp_path / "one", site))), site)
    check(run("-l", str(write_bundle(tmp_path / "two", site, version="2"))), site, version="2")
    stop = [f"{event} v1" for event in ALL_HOOKS[:3]]
    assert trace(tmp_path) == [*FIRST, *stop, *(line.replace("v1", "v2") for line in FIRST)]


def test_a_file_that_the_second_revision_lacks_is_removed(tmp_path: Path, site: Path, run: Run) -> None:
    one = write_bundle(tmp_path / "one", site, hooks=())
    (one / "appspec.yml").write_text((one / "appspec.yml").read_text().replace("index.html", "/"))
    check(run("-l", str(one)), site)
    assert (site / "trace.sh").exists()
    (site / "upload.txt").write_text("the users' own")
    check(run("-l", str(write_bundle(tmp_path / "two", site, version="2", hooks=()))), site, version="2")
    assert sorted(os.listdir(site)) == ["index.html", "upload.txt"]


def test_the_official_layout_is_kept(tmp_path: Path, site: Path, run: Run) -> None:
    check(run("-l", str(write_bundle(tmp_path / "bundle", site)), "-g", "fleet"), site)
    root = tmp_path / "root"
    instructions = root / "deployment-instructions"
    pointer = Path((instructions / "fleet_last_successful_install").read_text().removesuffix("\n"))
    assert pointer == Path((instructions / "fleet_most_recent_install").read_text().removesuffix("\n"))
    assert pointer.parent == root / "fleet"
    assert (pointer / "deployment-archive" / "appspec.yml").is_file()
    assert "LifecycleEvent - BeforeInstall\n" in (pointer / "logs" / "scripts.log").read_text()
    assert (instructions / "fleet-cleanup").read_text().splitlines() == [str(site), str(site / "index.html")]
    assert (instructions / "fleet-install.json").is_file()


def test_a_failing_script_ends_the_deployment_and_names_itself(tmp_path: Path, site: Path, run: Run) -> None:
    bundle = write_bundle(tmp_path / "bundle", site, hooks=["AfterInstall", "ApplicationStart"])
    (bundle / "trace.sh").write_text('#!/bin/sh\necho $LIFECYCLE_EVENT >> "$TRACE"\necho cannot bind >&2\nexit 3\n')
    result = run("-l", str(bundle))
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "trace.sh: failed with exit code 3" in output
    assert "cannot bind" in output
    assert trace(tmp_path) == ["AfterInstall"]
