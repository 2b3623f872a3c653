"""The REST reference names what there is: paths, verbs, attributes, commands, statuses."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.api import errors
from mistral.api.app import create_app
from mistral.api.dependencies import ApiDependencies
from mistral.api.resources.base import Resource
from mistral.api.resources.definitions import ACTION, ENVIRONMENT, WORKBOOK, WORKFLOW
from mistral.api.resources.executions import ACTION_EXECUTION, EXECUTION, TASK

VERBS_OF_ENGINE = {
    "resume": "resume_workflow",
    "pause": "pause_workflow",
    "stop": "stop_workflow",
    "undo": "rollback_workflow",
}
PAGES = Path(__file__).resolve().parents[2] / "doc" / "source" / "rest"
VERBS = ("GET", "POST", "PUT", "DELETE")
RESOURCES = (ACTION, ENVIRONMENT, WORKBOOK, WORKFLOW, ACTION_EXECUTION, EXECUTION, TASK)


def _page(name: str) -> str:
    return (PAGES / f"{name}.rst").read_text(encoding="utf-8")


def _without_names(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)


def _told() -> set[tuple[str, str]]:
    """The table of all paths, as (path, verb)."""
    lines = _page("index").partition("What is not there")[0].splitlines()
    heading = next(line for line in lines if line.startswith("Path "))
    starts = [heading.index(verb) for verb in VERBS]
    told = set()
    for line in lines:
        if not line.startswith("``/"):
            continue
        paths = re.findall(r"``(/[^`]*)``", line[: starts[0]])
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        told |= {
            (path, verb) for path in paths for verb, cell in zip(VERBS, cells, strict=True) if cell
        }
    return {(_without_names(path), verb) for path, verb in told}


def test_every_path_and_verb_is_told(dependencies: ApiDependencies) -> None:
    there = {
        (_without_names(route.path.removeprefix("/v2") or "/v2"), route.verb)
        for route in create_app(dependencies).routes.all
        if not route.handler.__qualname__.startswith("not_built")
    }
    assert _told() == there


def test_what_is_not_built_is_told(dependencies: ApiDependencies) -> None:
    tops = {
        re.sub(r"/{(identifier|project)}$|(?<=triggers)/{id}$", "", route.path)
        for route in create_app(dependencies).routes.all
        if route.handler.__qualname__.startswith("not_built")
    }
    text = _page("index").partition("What is not there")[2]
    assert set(re.findall(r"``(/v2[^`]*)``", text)) == tops


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.collection)
def test_every_attribute_is_told(resource: Resource) -> None:
    table = re.findall(
        r"^=+ =+\n(.*?)^=+ =+\n(.*?)^=+ =+$", _page(resource.collection), re.S | re.M
    )
    rows = [line for line in table[0][1].splitlines() if line.startswith("``")]
    cells = [re.sub(r"^((?:``\w+``(?:, )?)+).*", r"\1", row) for row in rows]
    told = [name for cell in cells for name in re.findall(r"\w+", cell)]
    assert sorted(told) == sorted(resource.attributes)


def _commands() -> list[tuple[str, str, str]]:
    """The table of commands, as (asked for, present state, what happens)."""
    lines = _page("executions").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("asked for"))
    states = lines[start].split()[2:]
    rows = [line.split() for line in lines[start + 2 : lines.index(lines[start + 1], start + 2)]]
    return [
        (row[0].strip("`"), state, cell)
        for row in rows
        for state, cell in zip(states, row[1:], strict=True)
    ]


@pytest.mark.parametrize(("target", "current", "told"), _commands())
def test_commands_do_what_the_table_says(
    api: Any, engine: Any, stored: Any, target: str, current: str, told: str
) -> None:
    execution = stored.execution(state=current)
    response = api("PUT", f"/v2/executions/{execution.id}", {"state": target})
    assert response.status_int == (400 if told == "400" else 200)
    assert engine.methods() == ([VERBS_OF_ENGINE[told]] if told in VERBS_OF_ENGINE else [])


def test_every_status_of_an_error_is_told() -> None:
    classes = [
        c for module in (exc, errors) for _, c in inspect.getmembers(module, inspect.isclass)
    ]
    raised = {str(c.http_code) for c in classes if issubclass(c, exc.MistralError)}
    table = _page("conventions").partition("Status When")[2]
    assert raised <= set(re.findall(r"^(\d{3}) ", table, re.M))
