"""The examples of docs/appspec.md are right."""

import re
from pathlib import Path

import pytest

from agent.core.appspec.acl import parse_acl_entry
from agent.core.appspec.parse import parse_appspec

GUIDE = (Path(__file__).parents[4] / "docs" / "appspec.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
ACL_ROWS = re.findall(r"^\| (`[^|]*`) \|", GUIDE.partition("### acls")[2].partition("### context")[0], re.MULTILINE)
ACL_ENTRIES = [entry for row in ACL_ROWS for entry in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0])
def test_an_example_is_read_without_a_problem(block: str) -> None:
    text = block if block.startswith("version") else f"version: 0.0\nos: linux\n{block}"
    assert parse_appspec(text.encode(), filename="appspec.yml").problems == ()


@pytest.mark.parametrize("entry", ACL_ENTRIES)
def test_an_acl_example_is_an_entry(entry: str) -> None:
    parse_acl_entry(entry)
