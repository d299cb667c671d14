"""Installs one revision: facts, plan, transaction. Knows the order; each part of the work is someone else's.

The caller holds the locks of the deployment group and of the destinations, and has let `recover_installs` finish
what an earlier process left.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.core import install_facts
from agent.core.appspec.model import AppSpec
from agent.core.deployment import Deployment, FileExistsBehavior
from agent.core.install_facts import Found
from agent.core.install_model import InstallPlan, Kind, Remove
from agent.core.install_plan import plan_install
from agent.core.layout import DeploymentDir, Layout, pointer_content
from agent.core.official_files import cleanup_text, instructions_text, owned_paths
from agent.core.progress import Listener
from agent.core.staging_plan import InstallInput, WriteText
from agent.deploy.takeover import read_official, take_over
from agent.deploy.transaction import run_transaction
from agent.errors import InstallError
from agent.host.facts import gather_facts
from agent.host.failures import install_error
from agent.host.file_facts import look
from agent.journal.archives import archive_digests
from agent.journal.installs import Installs
from agent.journal.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallRequest:
    """One Install event. `archive` is the unpacked revision's root, absolute.

    `keep_special_bits` carries setuid, setgid and sticky bits over from the archive.
    """

    deployment: Deployment
    deployment_dir: DeploymentDir
    archive: Path
    appspec: AppSpec
    layout: Layout
    keep_special_bits: bool = False

    @property
    def file_exists_behavior(self) -> FileExistsBehavior:
        """The AppSpec's key wins over the deployment's option."""
        return self.appspec.file_exists_behavior or self.deployment.file_exists_behavior


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallResult:
    """What an Install did, in numbers of paths; `retained` are files RETAIN left alone."""

    written: int
    removed: int
    unchanged: int
    retained: int
    warnings: tuple[str, ...] = ()


def install_revision(request: InstallRequest, journal: Journal, listener: Listener) -> InstallResult:
    """Put a revision on this host, wholly or not at all.

    Raises:
        InstallError: the plan cannot be made or carried out; the host is as it was, unless the hint names
            `agentctl recover`.
        AgentFault: the journal cannot be written; recovery decides when it can be.
    """
    warnings = list(take_over(request.layout, request.deployment.group_id, journal))
    asked = _plan_request(request, journal)
    facts = gather_facts(asked)
    plan = plan_install(asked, facts)
    texts, left_out = _records_on_disk(request, plan, asked)
    work = InstallInput(
        plan=plan,
        texts=texts,
        present={**facts.present, **_found(text.path for text in texts)},
        recorded={path: record for path, record in asked.recorded.items() if asked.ours(path)},
    )
    warnings += (*plan.warnings, *left_out)
    deployment = request.deployment
    warnings += run_transaction(work, deployment.deployment_id, deployment.group_id, journal=journal, listener=listener)
    return _result(plan, tuple(warnings))


def plan_only(request: InstallRequest, journal: Journal) -> InstallPlan:
    """Return what `install_revision` would do now; changes nothing. Raises: InstallError."""
    asked = _plan_request(request, journal)
    return plan_install(asked, gather_facts(asked))


def _plan_request(request: InstallRequest, journal: Journal) -> install_facts.InstallRequest:
    deployment, installs = request.deployment, Installs(journal)
    recorded = installs.recorded_everywhere()
    if not installs.is_taken_over(deployment.group_id):
        official, _ = read_official(request.layout, deployment.group_id)
        recorded = {**official, **recorded}
    return install_facts.InstallRequest(
        appspec=request.appspec,
        behavior=request.file_exists_behavior,
        group_id=deployment.group_id,
        deployment_id=deployment.deployment_id,
        archive=os.fsencode(request.archive),
        cwd=os.getcwdb(),
        recorded=recorded,
        archive_digests=archive_digests(journal, deployment.deployment_id),
        keep_special_bits=request.keep_special_bits,
        reserved=tuple(os.path.realpath(os.fsencode(path)) for path in _own_folders(request)),
    )


def _own_folders(request: InstallRequest) -> tuple[Path, ...]:
    layout = request.layout
    return layout.state, layout.instructions, layout.group(request.deployment.group_id)


def _records_on_disk(
    request: InstallRequest, plan: InstallPlan, asked: install_facts.InstallRequest
) -> tuple[tuple[WriteText, ...], tuple[str, ...]]:
    """The deployment root's own files that change, and what they cannot express.

    They are written in the same transaction: no moment shows the new pointer with the old files.
    """
    layout, group_id = request.layout, request.deployment.group_id
    owned = owned_paths(plan, asked.recorded.values(), group_id)
    labelled = {path for path, record in asked.recorded.items() if record.context} | dict(plan.selinux_rules).keys()
    cleanup, left_out = cleanup_text(owned, labelled & owned)
    contents = {
        layout.install_instructions(group_id): instructions_text(plan),
        layout.cleanup(group_id): cleanup,
        layout.last_successful_install(group_id): pointer_content(request.deployment_dir),
    }
    layout.instructions.mkdir(parents=True, exist_ok=True)
    texts = tuple(
        WriteText(path=os.fsencode(path), content=content)
        for path, content in contents.items()
        if not _holds(path, content)
    )
    return texts, _left_out(layout.cleanup(group_id), left_out)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return not path.is_symlink() and path.read_bytes() == content
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise install_error("reading", os.fsencode(path), exc) from exc


def _left_out(path: Path, names: tuple[bytes, ...]) -> tuple[str, ...]:
    if not names:
        return ()
    return (
        f"{path}: {len(names)} names do not fit the official agent's cleanup format and are left out of it, the first:"
        f" {os.fsdecode(names[0])!r}; this agent removes them all the same",
    )


def _found(paths: Iterable[bytes]) -> dict[bytes, Found]:
    found: dict[bytes, Found] = {}
    for path in paths:
        there = look(path)
        if there is None:
            continue
        if there.kind is Kind.DIRECTORY:
            raise InstallError(
                f"{os.fsdecode(path)!r}: a folder stands where the deployment root keeps a file",
                hint="move the folder away",
            )
        found[path] = there
    return found


def _stayed(removal: Remove) -> bool:
    """Say whether a directory was left, since it holds something that nobody recorded."""
    return removal.kind is Kind.DIRECTORY and os.path.lexists(removal.path)


def _result(plan: InstallPlan, warnings: tuple[str, ...]) -> InstallResult:
    return InstallResult(
        written=len(plan.files) + len(plan.links) + len(plan.directories) + len(plan.changed),
        removed=sum(not _stayed(removal) for removal in plan.removals),
        unchanged=len(plan.unchanged),
        retained=len(plan.retained),
        warnings=warnings,
    )
