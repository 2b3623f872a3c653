"""The directive ``rows``: which rows of ``tests/language/rows.yaml`` a section tells about.

A row is one fact of the language; the cases in ``tests/language/cases`` name the rows that they
pin. ``9.3..9.5`` stands for all rows from one to the other, in the order of the file. That every
row has its section is tested by ``tests/language/test_cases.py``.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Rows(SphinxDirective):
    """A note in the margin with the numbers of rows."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """One paragraph, which the style sheet moves into the margin."""
        told = ", ".join(self.arguments[0].replace("..", "\u2013").split())
        return [nodes.paragraph(told, f"rows {told}", classes=["rows"])]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("rows", Rows)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
