"""Decides what an Install does: a pure function of the AppSpec, the archive, the host and what was installed before.

The parts: agent.core.install_layout says what shall be there, install_claims which of it we may touch, permissions and
install_attributes what is left to do, install_removals what goes. This module only joins them.
"""

from agent.core.install_attributes import Steps, decide_steps
from agent.core.install_claims import Claims, claim
from agent.core.install_conflicts import raise_conflicts
from agent.core.install_facts import HostFacts, InstallRequest
from agent.core.install_layout import WantedTree, lay_out
from agent.core.install_model import InstallPlan, Kind
from agent.core.install_removals import find_leftovers
from agent.core.permissions import Names, Permissions, Target, resolve_permissions


def plan_install(request: InstallRequest, facts: HostFacts) -> InstallPlan:
    """The plan that makes the host hold what the AppSpec says.

    Raises:
        DestinationExistsError, PermissionsError, InstallError: everything that stands in the way, listed at once.
    """
    wanted = lay_out(facts)
    claims = claim(wanted, request, facts)
    permissions = _permissions(wanted, claims, request, facts)
    raise_conflicts(claims.conflicts, permissions.problems)
    steps = decide_steps(claims, permissions.overrides, request, facts)
    return _join(claims, permissions, steps, request, facts)


def _permissions(wanted: WantedTree, claims: Claims, request: InstallRequest, facts: HostFacts) -> Permissions:
    if not request.appspec.permissions:
        return Permissions(overrides={}, problems=(), warnings=())
    targets = [Target(entry.path, entry.named, entry.found.kind) for entry in claims.copied]
    targets += [Target(path, wanted.folders[path], Kind.DIRECTORY) for path in (*claims.made, *claims.kept)]
    names = Names(
        users=facts.users, groups=facts.groups, homes=facts.homes, cwd=request.cwd, has_selinux=facts.has_selinux
    )
    return resolve_permissions(request.appspec.permissions, targets, names)


def _join(
    claims: Claims, permissions: Permissions, steps: Steps, request: InstallRequest, facts: HostFacts
) -> InstallPlan:
    held = {entry.path for entry in claims.copied}.union(claims.made, claims.kept)
    leftovers = find_leftovers(held, claims.replaced_trees, request, facts)
    rules = tuple(
        (path, override.context) for path, override in permissions.overrides.items() if override.context is not None
    )
    ruled = {path for path, _ in rules}
    return InstallPlan(
        directories=tuple(steps.directories),
        files=tuple(steps.files),
        links=tuple(steps.links),
        changed=tuple(steps.changed),
        removals=leftovers.removals,
        replaced_trees=frozenset(claims.replaced_trees),
        replaced_files=frozenset(claims.replaced_files),
        unchanged=tuple(steps.unchanged),
        kept_directories=tuple(claims.kept),
        retained=tuple(claims.retained),
        forgotten=leftovers.forgotten,
        refreshed=tuple(steps.refreshed),
        selinux_rules=rules,
        selinux_rules_removed=tuple(
            path
            for path, record in request.recorded.items()
            if record.context is not None and record.group_id == request.group_id and path not in ruled
        ),
        warnings=(*facts.warnings, *claims.warnings, *permissions.warnings, *leftovers.warnings),
    )
