"""The REST reference names what there is: every path with its verbs, every attribute."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mistral.api.controllers.root import all_routes
from mistral.api.dependencies import ApiDependencies
from mistral.api.resources.base import Resource
from mistral.api.resources.definitions import ACTION, ENVIRONMENT, WORKBOOK, WORKFLOW
from mistral.api.resources.executions import ACTION_EXECUTION, EXECUTION, TASK

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
        (_without_names(route.path.removeprefix("/v2") or "/v2"), verb)
        for route in all_routes(dependencies)
        for verb, handler in route.handlers.items()
        if not handler.__qualname__.startswith("not_built")
    }
    assert _told() == there


def test_what_is_not_built_is_told(dependencies: ApiDependencies) -> None:
    tops = {
        re.sub(r"/{(identifier|project)}$|(?<=triggers)/{id}$", "", route.path)
        for route in all_routes(dependencies)
        if all(h.__qualname__.startswith("not_built") for h in route.handlers.values())
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
