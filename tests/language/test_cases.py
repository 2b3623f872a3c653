"""The workflow language, one behaviour a file: ``cases/*.yaml``."""

from __future__ import annotations

from pathlib import Path

import language_checks
import pytest
import yaml
from language_cases import CaseFile, Runs

KEYS = {
    *("area", "summary", "rows", "environments", "definitions"),
    *("workflow", "namespace", "input", "params", "description", "start"),
    *("steps", "timeout", "expect", "expect_if_started"),
}
HERE = Path(__file__).parent
FILES = CaseFile.all_in(HERE / "cases")


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
    assert file.rows, "a case names the rows that it pins"
    assert set(file.rows) <= set(yaml.safe_load((HERE / "rows.yaml").read_text(encoding="utf-8")))
