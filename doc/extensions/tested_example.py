"""The directive ``tested-example``: a definition, and what running it shows.

``examples/NAME.yaml`` beside the page is the definition as a user would send it;
``examples/NAME.run.yaml`` says how it is run and what comes out.
``tests/functional/test_documentation_examples.py`` reads the same two files and runs them, so that
no page can promise what the service does not do.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class TestedExample(SphinxDirective):
    """Shows both files of an example."""

    __test__ = False  # not a test case, whatever its name says
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The definition as a block, the rest as a list of fields."""
        name = self.arguments[0]
        folder = Path(self.env.doc2path(self.env.docname)).parent / "examples"
        definition, story = folder / f"{name}.yaml", folder / f"{name}.run.yaml"
        for path in (definition, story):
            self.env.note_dependency(str(path))
        told = yaml.safe_load(story.read_text(encoding="utf-8")) or {}
        text = "\n".join(
            [
                f".. literalinclude:: examples/{definition.name}",
                f"   :language: {told.get('shown_as', 'yaml')}",
                "",
                *(f":{title}: {value}" for title, value in _fields(told)),
                "",
            ]
        )
        return self.parse_text_to_nodes(text)


def _fields(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "environment" in told:
        yield (
            "Environment",
            f"{told['environment']['name']}: " + _code(told["environment"]["variables"]),
        )
    if "refused" in told:
        yield "Refused", f"400, ``{told['refused'].strip()}``"
        return
    if told.get("start") and told.get("start_shown", True):
        yield "Starts", f"``{told['start']}``"
    if told.get("input"):
        yield "Input", _code(told["input"])
    if told.get("params"):
        yield "Parameters", _code(told["params"])
    if "start_refused" in told:
        yield "Start refused", f"400, ``{told['start_refused']}``"
        return
    steps = [step["says"] for step in told.get("then", ()) if "says" in step]
    if steps:
        yield "Then", "; ".join(steps)
    yield "Ends in", f"``{told.get('ends', 'SUCCESS')}``"
    if "output" in told:
        yield "Output", _code(told["output"])
    if "info" in told:
        yield "``state_info``", f"contains ``{told['info']}``"
    yield from ((f"Task {name}", text) for name, text in _tasks(told.get("tasks", {})))


def _tasks(tasks: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, wanted in tasks.items():
        facts = wanted if isinstance(wanted, dict) else {"state": wanted}
        parts = [f"``{facts['state']}``"] if "state" in facts else []
        parts += [f"{key} {_code(facts[key])}" for key in facts if key != "state"]
        yield name, ", ".join(parts)


def _code(value: Any) -> str:
    return f"``{json.dumps(value, ensure_ascii=False)}``"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("tested-example", TestedExample)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
