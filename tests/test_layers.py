"""The table of folders, asserted on the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

PACKAGE = ROOT / "selfimprove"

# A folder imports only from rows above its own; files at the package's root are named as folders are.
ROWS: tuple[tuple[str, ...], ...] = (
    ("errors", "host"),
    ("escaping", "formatting"),
    ("recipe",),
    ("answer",),
    ("problem",),
    ("sampling",),
    ("events",),
    ("gate",),
    ("store",),
    ("round",),
    ("plan",),
    ("models",),
    ("training", "merging", "engines"),
    ("report", "runs"),
    ("view", "tracking"),
    ("compare",),
    ("export",),
    ("ask",),
    ("evaluate",),
    ("doctor", "init", "library"),
    ("cli",),
    ("__main__",),
)
HEAVY = {"torch", "transformers", "peft", "accelerate", "vllm", "ray"}
MODEL_MODULES = {"models", "training", "merging", "engines"}
# Who puts the real parts together, takes them away, or measures them.
WIRING = {"runs", "export", "ask", "evaluate", "cli", "doctor", "init"}
RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _row_name(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            base = node.module or ""
            found |= {f"{base}.{alias.name}" for alias in node.names} if base == "selfimprove" else {base}
    return found


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rows_above(path: Path) -> None:
    own = _row_name(path)
    assert own in RANK, f"{own} is not in the table of folders"
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] == "selfimprove" and len(parts) > 1 and parts[1] in RANK and parts[1] != own:
            same_row = own in MODEL_MODULES and parts[1] in MODEL_MODULES
            assert RANK[parts[1]] < RANK[own] or same_row, f"{own} imports {name}"
        if parts[0] in HEAVY:
            assert own in MODEL_MODULES | WIRING, f"{own} imports {name}"
        if own not in MODEL_MODULES | WIRING:
            assert not (parts[0] == "selfimprove" and set(parts[1:2]) & MODEL_MODULES), f"{own} imports {name}"


def test_help_and_import_load_nothing_heavy() -> None:
    script = (
        "import sys, selfimprove, selfimprove.cli.app;"
        f"loaded = {sorted(HEAVY | {'sympy', 'scipy', 'numpy', 'datasets', 'pydantic_core'})!r};"
        "print([name for name in loaded if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    # typer itself loads pydantic; what matters is that nothing of ours is loaded for --help.
    assert set(ast.literal_eval(done.stdout)) <= {"pydantic_core"}
