"""The table of legal changes of states is the one that users read (doc:language/states)."""

from __future__ import annotations

import re
from pathlib import Path

from mistral.workflow import states

PAGE = Path(__file__).resolve().parents[3] / "doc" / "source" / "language" / "states.rst"


def test_the_documentation_has_the_same_table() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("Which changes there are\n")[2]
    table = re.findall(r"^(``[A-Z]+``.*)$", text.partition("To stay")[0], re.M)
    rows = [re.findall(r"``([A-Z]+)``", line) for line in table]
    assert {old: frozenset(new) for old, *new in rows} == states.TRANSITIONS
