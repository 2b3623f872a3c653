"""Every row of the failure matrix names tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MATRIX = ROOT / "doc" / "source" / "failure_matrix.rst"
HEADER = "What happens"


def rows() -> dict[str, list[str]]:
    """The tests of each row, by its first cell."""
    text = MATRIX.read_text(encoding="utf-8")
    found = {}
    for row in re.split(r"^   \* - ", text, flags=re.M)[1:]:
        cells = re.split(r"^     - ", row, flags=re.M)
        assert len(cells) == 4, row
        title = " ".join(cells[0].split())
        if title != HEADER:
            assert title not in found
            found[title] = re.findall(r"``(\S+)``", cells[3])
    return found


def test_every_row_names_a_test_that_exists() -> None:
    missing = []
    for title, names in rows().items():
        assert names, f"no test proves: {title}"
        for name in names:
            path, _, function = name.partition("::")
            file = ROOT / path
            tree = ast.parse(file.read_text(encoding="utf-8")) if file.exists() else ast.Module([])
            functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
            if not function.startswith("test_") or function not in functions:
                missing.append(name)
    assert missing == []


def test_every_fault_test_is_in_a_row() -> None:
    """What is worth a fault test is worth telling operators."""
    named = {name.partition("::")[0] for names in rows().values() for name in names}
    kept = {"tests/faults/test_audit.py"}  # proves the other tests
    files = {str(path.relative_to(ROOT)) for path in (ROOT / "tests/faults").glob("test_*.py")}
    assert files - named - kept == set()
