"""Imports go one way: the table of docs/architecture.md, checked on every module's source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GROUND = {"errors", "compat", "version"}
MAY_IMPORT = {
    "errors": {"compat"},
    "compat": set[str](),
    "version": set[str](),
    "core": {"core"},
    "journal": {"journal", "core"},
    "host": {"host", "core"},
    "aws": {"aws", "core"},
    "sources": {"sources", "core", "host", "aws"},
    "deploy": {"deploy", "sources", "core", "journal", "host", "aws", "logs"},
    "config": {"core", "host", "aws", "sources", "deploy"},
    "logs": {"core"},
    "cli": {"cli", "config", "logs", "deploy", "sources", "core", "journal", "host", "aws"},
}
"""Package or module below `agent` -> what it may import from `agent`, besides errors, compat and version."""

IMPURE = {"os", "pathlib", "socket", "subprocess", "time", "random", "shutil", "tempfile", "sqlite3", "threading"}
PURE_NAMES = {"os": {"fsencode", "fsdecode", "path"}, "pathlib": {"Path", "PurePosixPath", "PurePath"}}
"""What core may take from a module of effects: names that only compute."""

MODULES = sorted((ROOT / "agent").rglob("*.py"))


def imports_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno


def area(path: Path) -> str:
    return path.relative_to(ROOT / "agent").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_stands_below_it(path: Path) -> None:
    if area(path) == "__init__":
        return
    allowed = MAY_IMPORT[area(path)] | GROUND
    for name, line in imports_of(path):
        parts = name.split(".")
        if parts[0] == "agent" and len(parts) > 1:
            assert parts[1] in allowed, f"{path}:{line}: {area(path)} may not import {name}"


@pytest.mark.parametrize("path", [p for p in MODULES if area(p) == "core"], ids=lambda p: str(p.relative_to(ROOT)))
def test_core_takes_nothing_that_acts(path: Path) -> None:
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (module := node.module or "") in IMPURE:
            extra = {alias.name for alias in node.names} - PURE_NAMES.get(module, set())
            assert not extra, f"{path}:{node.lineno}: core may not use {module}.{extra}"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in IMPURE:
            assert node.attr in PURE_NAMES.get(node.value.id, set()), f"{path}:{node.lineno}: core may not act"
