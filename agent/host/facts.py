"""Reads what the planner needs to know of this host and of an unpacked archive. Changes nothing, decides nothing."""

from agent.core.install_facts import HostFacts, InstallRequest


def gather_facts(request: InstallRequest) -> HostFacts:
    """The archive and the host as they are now. Raises: InstallError when something cannot be read."""
    raise NotImplementedError
