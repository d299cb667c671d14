"""Decides what an Install does: a pure function of the AppSpec, the archive, the host and what was installed before."""

from agent.core.install_facts import HostFacts, InstallRequest
from agent.core.install_model import InstallPlan


def plan_install(request: InstallRequest, facts: HostFacts) -> InstallPlan:
    """The plan that makes the host hold what the AppSpec says.

    Raises:
        DestinationExistsError, PermissionsError, InstallError: everything that stands in the way, listed at once.
    """
    raise NotImplementedError


def summarize_plan(plan: InstallPlan) -> str:
    """One line for people: `12 to write, 3 to remove, 985 unchanged, 2 retained`."""
    raise NotImplementedError
