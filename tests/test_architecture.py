"""The house stands: imports only go down, modules stay small, and the command line stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ALLOWED = {
    "atomistic": {"atomistic"},
    "continuum": {"continuum"},
    "coupling": {"coupling", "atomistic", "continuum"},
    "multiscale": {"multiscale", "coupling", "atomistic", "continuum"},
}
MODULES = sorted(path for package in ALLOWED for path in (ROOT / package).rglob("*.py"))


def imported_packages(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_only_go_down(path):
    package = path.relative_to(ROOT).parts[0]
    upward = (imported_packages(path) & set(ALLOWED)) - ALLOWED[package]
    assert not upward, f"{path.relative_to(ROOT)} imports {upward}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_stay_small(path):
    assert len(path.read_text().splitlines()) <= 420


def test_the_command_line_imports_nothing_heavy():
    heavy = "torch", "dolfinx", "matplotlib", "ase", "scipy"
    code = f"import sys, multiscale.cli; print([m for m in {heavy} if m in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert printed.strip() == "[]"
