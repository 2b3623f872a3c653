"""Every example of the language reference does what its page says.

An example is two files in ``doc/source/language/examples``: ``NAME.yaml``, the definition, and
``NAME.run.yaml``, the story that the page tells about it (keys in :class:`Story`). In values that
are compared, the text ``...`` stands for anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lib.flows import Execution, Flows

PAGES = Path(__file__).parents[2] / "doc" / "source" / "language"
EXAMPLES = PAGES / "examples"
ANYTHING = "..."
KEYS = {
    "kind",  # workflows (when it is left out), actions or workbooks
    "needs",  # other examples that are stored before
    "environment",  # stored before
    "refused",  # storing fails with this text
    "start",  # the workflow to start, the first one when it is left out; null: none is started
    "start_shown",  # false: the page does not repeat it
    "shown_as",  # the language in which the page shows the definition
    "input",
    "params",
    "start_refused",  # starting fails with this text
    "then",  # what happens until the end
    "ends",  # the state at the end, SUCCESS when it is left out
    "output",
    "info",  # part of state_info
    "tasks",  # the newest task of each name: its state, or attributes and the number of runs
}


def names() -> list[str]:
    """All examples."""
    return sorted(p.name.removesuffix(".run.yaml") for p in EXAMPLES.glob("*.run.yaml"))


def story_of(name: str) -> dict[str, Any]:
    """What is told about an example."""
    return yaml.safe_load((EXAMPLES / f"{name}.run.yaml").read_text(encoding="utf-8")) or {}


def definition_of(name: str) -> str:
    """An example as users send it."""
    return (EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8")


def assert_like(actual: Any, wanted: Any, what: str) -> None:
    """Equal, but for the places that may hold anything."""
    if wanted == ANYTHING:
        return
    if isinstance(wanted, dict) and isinstance(actual, dict):
        assert actual.keys() == wanted.keys(), (what, actual)
        for key, value in wanted.items():
            assert_like(actual[key], value, f"{what}.{key}")
    elif isinstance(wanted, list) and isinstance(actual, list):
        assert len(actual) == len(wanted), (what, actual)
        for index, value in enumerate(wanted):
            assert_like(actual[index], value, f"{what}[{index}]")
    elif isinstance(wanted, str) and wanted.endswith(ANYTHING):
        assert str(actual).startswith(wanted.removesuffix(ANYTHING)), (what, actual)
    else:
        assert actual == wanted, (what, actual)


class Story:
    """One example, run on a service."""

    def __init__(self, flows: Flows, name: str) -> None:
        self.flows = flows
        self.name = name
        self.told = story_of(name)

    def store(self) -> None:
        """Store the example and what it needs, or see it refused."""
        for needed in self.told.get("needs", ()):
            self._post(needed)
        if "refused" not in self.told:
            self._post(self.name)
            return
        kind = self.told.get("kind", "workflows")
        path = f"/{kind}?namespace={self.flows.namespace}"
        status, fault = self.flows.request("POST", path, definition_of(self.name))
        assert status == 400, fault
        assert self.told["refused"] in fault["faultstring"], fault

    def _post(self, name: str) -> None:
        kind = story_of(name).get("kind", "workflows")
        self.flows.ok("POST", f"/{kind}?namespace={self.flows.namespace}", definition_of(name))

    def play(self) -> None:
        """Start it, let happen what is told, and look at the end."""
        told = self.told
        body = {
            "workflow_name": told.get("start") or self._first(),
            "workflow_namespace": self.flows.namespace,
            "input": self._with_url(told.get("input", {})),
            "params": told.get("params", {}),
        }
        status, answer = self.flows.request("POST", "/executions", body)
        if "start_refused" in told:
            assert status == 400, answer
            assert told["start_refused"] in answer["faultstring"], answer
            return
        assert status == 201, answer
        execution = Execution(self.flows, answer["id"])
        for step in told.get("then", ()):
            self._step(execution, step)
        execution.wait(told.get("ends", "SUCCESS"))
        self._check(execution)

    def _first(self) -> str:
        body = yaml.safe_load(definition_of(self.name))
        first: str = next(key for key in body if key != "version")
        return first

    def _with_url(self, value: dict[str, Any]) -> dict[str, Any]:
        return {k: self.flows.url if v == "$SERVICE" else v for k, v in value.items()}

    def _step(self, execution: Execution, step: dict[str, Any]) -> None:
        if "execution" in step:
            status, answer = execution.put(**step["execution"])
            assert status == step.get("status", 200), answer
        elif "task" in step:
            status, answer = execution.put_task(step["task"], **step["put"])
            assert status == step.get("status", 200), answer
        elif "finish" in step:
            execution.finish(step["finish"], step.get("output"), step.get("state", "SUCCESS"))
        elif "wait_task" in step:
            execution.wait_task(step["wait_task"], step["state"])
        else:
            execution.wait(step["wait"])

    def _check(self, execution: Execution) -> None:
        told = self.told
        if "output" in told:
            assert_like(execution.output, told["output"], "output")
        if "info" in told:
            assert told["info"] in execution.info
        for name, wanted in told.get("tasks", {}).items():
            newest = execution.tasks(name)[-1]
            task = self.flows.ok("GET", f"/tasks/{newest['id']}")
            facts = wanted if isinstance(wanted, dict) else {"state": wanted}
            found = execution_facts(task)
            if "runs" in facts:
                found["runs"] = len(execution.actions(name))
            assert_like({key: found.get(key) for key in facts}, facts, name)


def execution_facts(task: dict[str, Any]) -> dict[str, Any]:
    """A task's attributes with decoded values."""
    decoded = ("result", "published", "published_global", "runtime_context")
    return {
        key: yaml.safe_load(value) if key in decoded and isinstance(value, str) else value
        for key, value in task.items()
    }


@pytest.fixture
def environment(flows: Flows, request: pytest.FixtureRequest) -> Iterator[None]:
    """The stored environment of an example; it has no namespace, so it is taken away again."""
    told = story_of(request.getfixturevalue("name")).get("environment")
    if told:
        flows.ok("POST", "/environments", told)
    yield
    if told:
        flows.ok("DELETE", f"/environments/{told['name']}")


@pytest.mark.parametrize("name", names())
def test_an_example_does_what_its_page_says(flows: Flows, environment: None, name: str) -> None:
    story = Story(flows, name)
    assert set(story.told) <= KEYS
    story.store()
    if "refused" not in story.told and story.told.get("start", "") is not None:
        story.play()


def test_every_definition_on_the_pages_is_an_example() -> None:
    """No YAML is shown that no test runs, no example is left unused."""
    shown: list[str] = []
    for page in sorted(PAGES.glob("*.rst")):
        text = page.read_text(encoding="utf-8")
        assert not re.search(r"code-block::\s*ya?ml", text), page.name
        shown += re.findall(r"^\.\. tested-example:: (\S+)", text, re.M)
    first_steps = (PAGES.parent / "getting_started.rst").read_text(encoding="utf-8")
    shown += re.findall(r"language/examples/(\S+)\.yaml", first_steps)
    assert sorted(shown) == names()
    assert sorted(p.name for p in EXAMPLES.iterdir()) == sorted(
        file for name in names() for file in (f"{name}.yaml", f"{name}.run.yaml")
    )
