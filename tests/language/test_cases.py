"""The workflow language, one behaviour a file: ``cases/*.yaml``."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lib import language_checks
from tests.lib.language_cases import CaseFile, Runs, uncovered

KEYS = {
    *("area", "summary", "rows", "environments", "definitions"),
    *("workflow", "namespace", "input", "params", "description", "start"),
    *("steps", "timeout", "expect", "expect_if_started"),
}
HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "doc" / "source"
FILES = CaseFile.all_in(HERE / "cases")


def _read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HERE / name).read_text(encoding="utf-8"))
    return found


ROWS = _read("rows.yaml")
ELSEWHERE = _read("elsewhere.yaml")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("case", FILES, ids=[file.name for file in FILES])
def test_the_language(runs: Runs, case: CaseFile) -> None:
    runs.end_of(case.name)


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_a_case_asks_only_for_what_is_looked_at(file: CaseFile) -> None:
    told = file.told
    steps = [step["check"] for step in told.get("steps", ()) if "check" in step]
    for wanted in (told.get("expect"), told.get("expect_if_started"), *steps):
        assert not language_checks.unknown_keys(wanted or {})
    assert set(told) <= KEYS


@pytest.mark.parametrize("file", FILES, ids=[file.name for file in FILES])
def test_a_case_names_the_rows_that_it_pins(file: CaseFile) -> None:
    assert file.rows
    assert set(file.rows) <= ROWS.keys()


def _told() -> dict[str, list[str]]:
    """The rows that the pages of the documentation name, and where."""
    order, told = list(ROWS), dict[str, list[str]]()
    for page in sorted(DOCS.glob("**/*.rst")):
        for line in re.findall(r"^\.\. rows:: (.+)$", page.read_text(encoding="utf-8"), re.M):
            for part in line.split():
                first, _, last = part.partition("..")
                assert first in ROWS and (last or first) in ROWS, f"{page}: {part}"
                for row in order[order.index(first) : order.index(last or first) + 1]:
                    told.setdefault(row, []).append(page.stem)
    return told


def test_every_row_is_told_by_one_section() -> None:
    told = _told()
    assert not ROWS.keys() - told.keys(), "no section"
    assert not {row: pages for row, pages in told.items() if len(pages) > 1}


def test_every_row_is_pinned() -> None:
    pinned, unpinned = set(ELSEWHERE["pinned"]), set(ELSEWHERE["unpinned"])
    assert not pinned & unpinned
    assert set(uncovered(FILES, ROWS)) == pinned | unpinned, "no case, or in elsewhere.yaml as well"


@pytest.mark.parametrize("test", sorted(set(ELSEWHERE["pinned"].values())))
def test_what_pins_a_row_elsewhere_exists(test: str) -> None:
    path, _, name = test.partition("::")
    tree = ast.parse((HERE.parents[1] / path).read_text(encoding="utf-8"))
    assert name in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
