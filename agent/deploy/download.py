"""DownloadBundle: fetches the bundle, unpacks it, and writes down what its AppSpec asks for."""

from collections.abc import Callable
from dataclasses import replace

from agent.core.appspec.parse import ParsedAppSpec
from agent.core.deployment import Deployment
from agent.core.layout import pointer_content
from agent.core.progress import BytesDone, Warned, Work
from agent.core.revision import LocalDirectoryRevision
from agent.deploy.archive_appspec import read_appspec
from agent.deploy.bundle import UnpackedBundle, open_bundle
from agent.deploy.context import Host
from agent.host.durable import write_file
from agent.journal.archives import record_archive
from agent.journal.history import History
from agent.sources.fetch import FetchedBundle, fetch

WARNINGS_SHOWN = 10


def download_bundle(deployment: Deployment, host: Host) -> str:
    """Carry the event out; returns one line about it for people. May be repeated: it begins again from nothing.

    Raises:
        BundleError, RemoteError, AppSpecError, CancelledDeploymentError: nothing half-unpacked is left behind.
    """
    folder = host.folder(deployment)
    folder.path.mkdir(parents=True, exist_ok=True)
    fetched = None
    if not isinstance(deployment.revision, LocalDirectoryRevision):
        options = replace(host.settings.fetch, stop=host.stop)
        fetched = fetch(deployment.revision, folder.bundle, options, progress=_reporter(host, Work.DOWNLOAD))
    unpacked = open_bundle(
        deployment.revision,
        folder,
        options=replace(host.settings.unpack, appspec_filename=deployment.appspec_filename),
        progress=_reporter(host, Work.UNPACK),
    )
    _record(deployment, host, fetched, unpacked)
    parsed = read_appspec(folder.archive, deployment.appspec_filename)
    assert parsed.appspec is not None
    _warn(parsed, host)
    History(host.journal).record_hooks(deployment.deployment_id, parsed.appspec.hooks)
    layout = host.settings.layout
    layout.instructions.mkdir(parents=True, exist_ok=True)
    write_file(layout.most_recent_install(deployment.group_id), pointer_content(folder))
    size_bytes = sum(file.size for file in unpacked.files)
    return f"{len(unpacked.files)} files, {size_bytes} bytes"


def _warn(parsed: ParsedAppSpec, host: Host) -> None:
    """Tell what in the AppSpec does nothing, or something else than it seems to, before it is deployed."""
    for problem in parsed.warnings[:WARNINGS_SHOWN]:
        line = f"line {problem.position.line}: " if problem.position else ""
        host.listener(Warned(message=f"AppSpec: {line}{problem.key}: {problem.message}", hint=problem.hint))
    more = len(parsed.warnings) - WARNINGS_SHOWN
    if more > 0:
        host.listener(Warned(message=f"AppSpec: {more} more warnings", hint="agentctl validate lists them all"))


def _record(deployment: Deployment, host: Host, fetched: FetchedBundle | None, unpacked: UnpackedBundle) -> None:
    record_archive(host.journal, deployment.deployment_id, unpacked.files)
    facts: dict[str, object] = {"type": str(unpacked.bundle_type)}
    if fetched is not None:
        facts |= {
            "size_bytes": fetched.size_bytes,
            "sha256": fetched.sha256,
            "etag": fetched.etag,
            "version": fetched.version,
            "commit": fetched.commit,
        }
    History(host.journal).record_bundle(deployment.deployment_id, facts)


def _reporter(host: Host, work: Work) -> Callable[[int, int | None], None]:
    """Return a progress callback that passes on how far `work` is, and ends it when the operator says stop."""

    def report(done: int, total: int | None) -> None:
        host.check_stop()
        host.listener(BytesDone(work=work, done=done, total=total))

    return report
