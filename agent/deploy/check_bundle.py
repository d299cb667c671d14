"""Checks an unpacked bundle against its AppSpec, before anybody deploys it. Changes nothing; knows no destination host.

What depends on the host (conflicts with files that are there, users, owners) is the install planner's to say.
"""

from pathlib import Path

from agent.core.appspec.model import AppSpec, Problem
from agent.core.appspec.report import Report
from agent.deploy.check_scripts import check_script
from agent.deploy.check_sources import check_sources


def check_bundle(root: Path, appspec: AppSpec) -> tuple[Problem, ...]:
    """Return what is wrong or doubtful about the bundle below `root`, at the places of the AppSpec that are concerned.

    Raises:
        OSError: the bundle cannot be read.
    """
    report = Report()
    check_sources(report, root, appspec.files)
    for event, scripts in appspec.hooks.items():
        for index, script in enumerate(scripts):
            check_script(report, root, event, index, script)
    return report.problems()
