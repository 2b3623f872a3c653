"""Workflows, workbooks, actions and environments: the HTTP side (doc:rest/index)."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from mistral import exceptions as exc
from mistral.actions.descriptors import PythonActionDescriptor
from mistral.api.app import create_app
from mistral.api.dependencies import ApiDependencies
from mistral.context import RequestContext
from mistral.db.core import tables
from mistral.utils import ids
from mistral_lib.actions import Action

ROW = {
    "id": "11111111-1111-1111-1111-111111111111",
    "name": "wf",
    "namespace": "",
    "input": "a, b=1",
    "interface": {"input": ["a", {"b": 1}], "output": []},
    "definition": "text",
    "spec_hash": "h",
    "checksum": "c",
    "tags": ["t"],
    "scope": "private",
    "project_id": "<default-project>",
    "workbook_name": None,
    "is_system": False,
    "created_at": dt.datetime(2026, 1, 2, 3, 4, 5, 6),
    "updated_at": None,
}


def _insert(stored: Any, table: sa.Table, **values: Any) -> str:
    row = {
        "id": ids.new_id(),
        "scope": "private",
        "project_id": "<default-project>",
        "created_at": dt.datetime(2026, 1, 2, 3, 4, 5),
        "definition": "text",
        **values,
    }
    row = {name: value for name, value in row.items() if name in table.c}
    stored.database.write(lambda conn: conn.execute(table.insert(), row))
    return str(row["id"])


def test_documents_are_taken_verbatim(api: Any, definitions: Any) -> None:
    definitions.create_workflows.return_value = [ROW]
    text = "version: '2.0'\nwf: {tasks: {ä: }}\n"
    for kind in ("text/plain", "application/json", "application/x-www-form-urlencoded", ""):
        response = api("POST", "/v2/workflows?unknown=1&namespace=", text, Content_Type=kind)
        assert response.status_int == 201
        assert response.headers["Content-Type"] == "application/json;charset=utf-8"
        args, options = definitions.create_workflows.call_args
        assert args[0] == text
        assert args[2:] == ("private", "")
        assert options == {"validate": True}
    (shown,) = response.json["workflows"]
    assert shown["interface"] == ROW["interface"]
    assert shown["created_at"] == "2026-01-02 03:04:05"
    assert "spec_hash" not in shown


def test_the_scope_none_is_none(api: Any, definitions: Any) -> None:
    """openstacksdk sends it when its caller has not given any."""
    definitions.create_workflows.return_value = [ROW]
    assert api("POST", "/v2/workflows?scope=None", "x").status_int == 201
    assert definitions.create_workflows.call_args[0][2] == "private"
    assert api("GET", "/v2/workflows?scope=None&limit=1").status_int == 200
    assert api("POST", "/v2/workflows?scope=none", "x").status_int == 400


def test_a_bad_document_is_a_plain_fault(api: Any, definitions: Any) -> None:
    definitions.create_workflows.side_effect = exc.DSLParsingException("line 1: bad")
    response = api("POST", "/v2/workflows", "x")
    assert (response.status_int, response.json) == (400, {"faultstring": "line 1: bad"})
    assert api("POST", "/v2/workflows", b"\xff").status_int == 400
    assert api("POST", "/v2/workflows?scope=secret", "x").status_int == 400


def test_updating_answers_with_a_list_or_the_object(api: Any, definitions: Any) -> None:
    definitions.update_workflows.return_value = [ROW]
    assert api("PUT", "/v2/workflows", "x").json["workflows"][0]["id"] == ROW["id"]
    assert api("PUT", "/v2/workflows/wf?scope=public&namespace=n", "x").json["id"] == ROW["id"]
    args, options = definitions.update_workflows.call_args
    assert (args[0], *args[2:]) == ("x", "public", "n")
    assert options["identifier"] == "wf"


def test_one_workflow(api: Any, definitions: Any) -> None:
    definitions.find_workflow.return_value = ROW
    shown = api.get("/v2/workflows/wb.wf/?namespace=n")
    assert definitions.find_workflow.call_args[0][:2] == ("wb.wf", "n")
    assert shown["interface"] == '{"input": ["a", {"b": 1}], "output": []}'
    fields = api.get("/v2/workflows/wf?fields=input,interface")
    assert list(fields) == ["id", "input", "interface"]
    definitions.find_workflow.side_effect = exc.DBEntityNotFoundError("Workflow not found [id=w]")
    assert "w" in api.get("/v2/workflows/w", status=404)["faultstring"]
    api.get("/v2/workflows/w?nothing=1", status=400)
    assert api("DELETE", "/v2/workflows/w?namespace=n").status_int == 204
    assert definitions.delete_workflow.call_args[0][:2] == ("w", "n")


@pytest.mark.parametrize("kind", ["workflows", "workbooks", "actions"])
def test_validation_is_never_an_error(api: Any, definitions: Any, kind: str) -> None:
    name = "validate_workbook" if kind == "workbooks" else f"validate_{kind}"
    getattr(definitions, name).return_value = (True, None)
    assert api("POST", f"/v2/{kind}/validate", "x").json == {"valid": True}
    getattr(definitions, name).return_value = (False, "bad")
    response = api("POST", f"/v2/{kind}/validate", "x")
    assert (response.status_int, response.json) == (200, {"valid": False, "error": "bad"})
    response = api("POST", f"/v2/{kind}/validate", b"\xff")
    assert (response.status_int, response.json["valid"]) == (200, False)
    assert "UTF-8" in response.json["error"]


@pytest.mark.parametrize(
    ("mode", "query", "validate"),
    [
        ("mandatory", "?skip_validation", True),
        ("enabled", "", True),
        ("enabled", "?skip_validation=", False),
        ("disabled", "", False),
    ],
)
def test_who_decides_on_validation(
    make_api: Callable[..., Any], definitions: Any, mode: str, query: str, validate: bool
) -> None:
    definitions.create_workflows.return_value = [ROW]
    make_api(validation_mode=mode)("POST", f"/v2/workflows{query}", "x")
    assert definitions.create_workflows.call_args[1] == {"validate": validate}


def test_publishing_needs_the_right(make_api: Callable[..., Any], definitions: Any) -> None:
    api = make_api(RequestContext(project_id="p"))
    assert api("POST", "/v2/workflows?scope=public", "x").status_int == 403
    assert api("POST", "/v2/workbooks?scope=public", "x").status_int == 403
    environment = {"name": "e", "scope": "public"}
    assert api("POST", "/v2/environments", environment).status_int == 403
    assert definitions.mock_calls == []


def test_lists_of_workflows(make_api: Callable[..., Any], stored: Any) -> None:
    table = tables.workflow_definitions
    common = {"spec_hash": "h", "interface": {"input": [], "output": []}}
    mine = _insert(stored, table, name="b", tags=["x", "y"], input="a", **common)
    other = _insert(stored, table, name="a", namespace="n", project_id="p", **common)
    public = _insert(stored, table, name="c", scope="public", project_id="q", **common)
    api = make_api()
    found = api.get("/v2/workflows?sort_keys=name")["workflows"]
    assert [w["id"] for w in found] == [other, mine, public]
    assert (found[1]["tags"], found[1]["input"]) == (["x", "y"], "a")
    assert found[1]["interface"] == '{"input": [], "output": []}'
    for query, expected in (
        ("tags=x", [mine]),
        ("tags=X", []),
        ("namespace=n", [other]),
        ("namespace=", [mine, public]),
        ("input=a", [mine]),
        ("name=in:a,c", [other, public]),
    ):
        found = api.get(f"/v2/workflows?{query}&fields=id&sort_keys=id")["workflows"]
        assert sorted(w["id"] for w in found) == sorted(expected), query
    caller = make_api(RequestContext(project_id="p"))
    found = caller.get("/v2/workflows?fields=id")["workflows"]
    assert sorted(w["id"] for w in found) == sorted([other, public])


def test_workbooks(api: Any, definitions: Any) -> None:
    row = {k: v for k, v in ROW.items() if k not in ("input", "interface", "checksum")}
    definitions.create_workbook.return_value = row
    definitions.update_workbook.return_value = row
    definitions.find_workbook.return_value = row
    created = api("POST", "/v2/workbooks?namespace=n&scope=public", "x")
    assert (created.status_int, created.json["name"]) == (201, "wf")
    assert definitions.create_workbook.call_args[0][2:] == ("public", "n")
    assert api("PUT", "/v2/workbooks", "x").status_int == 200
    assert api.get("/v2/workbooks/wf?fields=tags") == {"id": ROW["id"], "tags": ["t"]}
    assert api("DELETE", "/v2/workbooks/wf").status_int == 204
    assert api.get("/v2/workbooks?name=wf") == {"workbooks": []}


def test_environments(api: Any, definitions: Any) -> None:
    row = {**ROW, "variables": {"a": 1}, "description": None}
    definitions.create_environment.return_value = row
    definitions.update_environment.return_value = row
    definitions.find_environment.return_value = row
    response = api("POST", "/v2/environments", {"name": "e", "variables": '{"a": 1}'})
    assert (response.status_int, response.json["variables"]) == (201, '{"a": 1}')
    assert response.json.keys().isdisjoint({"description", "updated_at"})
    assert definitions.create_environment.call_args[0][0] == {
        "name": "e",
        "variables": {"a": 1},
        "scope": "private",
    }
    changed = api("PUT", "/v2/environments", {"name": "e", "description": "d"}).json
    shown = api.get("/v2/environments/e")
    assert changed["updated_at"] is shown["description"] is None
    assert definitions.update_environment.call_args[0][0] == {"name": "e", "description": "d"}
    for body in (
        {"variables": {}},
        {"name": ""},
        {"name": "e", "id": "x"},
        {"name": "e", "scope": "secret"},
        {"name": "e", "variables": "[1]"},
        {"name": "e", "nothing": 1},
    ):
        assert api("POST", "/v2/environments", body).status_int == 400, body
    assert api.get("/v2/environments/e?fields=scope") == {"id": ROW["id"], "scope": "private"}
    assert api("DELETE", "/v2/environments/e").status_int == 204


class _Echo(Action):  # type: ignore[misc]
    """Says it again."""

    def __init__(self, output: Any, delay: int = 0) -> None:
        self.output = output

    def run(self, context: Any) -> Any:
        return self.output


@pytest.fixture
def with_actions(dependencies: ApiDependencies, api: Any, stored: Any) -> Any:
    """An API that knows two actions of the service; three of users are stored."""
    descriptors = [
        PythonActionDescriptor(f"std.{name}", _Echo, is_system=True) for name in ("echo", "noop")
    ]
    table = tables.action_definitions
    for name, namespace, tags in (("mine", "", ["x"]), ("other", "", []), ("far", "n", None)):
        _insert(stored, table, name=name, namespace=namespace, tags=tags, spec={}, input="a")
    changed = dataclasses.replace(dependencies, system_actions=lambda: descriptors)
    return type(api)(create_app(changed))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["mine", "other", "std.echo", "std.noop"]),
        ("?namespace=", ["mine", "other", "std.echo", "std.noop"]),
        ("?namespace=n", ["far"]),
        ("?is_system=true", ["std.echo", "std.noop"]),
        ("?is_system=False", ["mine", "other"]),
        ("?tags=x", ["mine"]),
        ("?input=a", ["mine", "other"]),
        ("?name=has:o", ["other", "std.echo", "std.noop"]),
        ("?name=neq:mine&sort_dirs=desc", ["std.noop", "std.echo", "other"]),
        ("?sort_keys=created_at,name&sort_dirs=desc", ["mine", "other", "std.echo", "std.noop"]),
        ("?created_at=gt:2026", ["mine", "other"]),
        ("?created_at=2026-01-02T03:04:05Z", ["mine", "other"]),
        ("?created_at=in:2026-01-02 03:04:05,2027", ["mine", "other"]),
        ("?created_at=neq:2026-01-02 03:04:05", []),
        ("?created_at=lte:2026-01-02 03:04:05", ["mine", "other"]),
        ("?created_at=gt:2026-01-02 03:04:05", []),
        ("?created_at=has:03:04", ["mine", "other"]),
        ("?limit=1&marker=mine", ["other"]),
        ("?marker=std.echo", ["std.noop"]),
    ],
)
def test_lists_of_actions(with_actions: Any, query: str, expected: list[str]) -> None:
    found = with_actions.get(f"/v2/actions{query}")
    assert [action["name"] for action in found["actions"]] == expected
    assert ("next" in found) == ("limit" in query)


def test_actions_are_refused_what_makes_no_sense(with_actions: Any) -> None:
    for query in (
        "is_system%3CFalse",
        "is_system=maybe",
        "fields=nothing",
        "limit=0",
        "created_at=gt:yesterday",
        "updated_at=2026-13",
    ):
        with_actions.get(f"/v2/actions?{query}", status=400)
    with_actions.get("/v2/actions?marker=nothing", status=404)


def test_one_action(with_actions: Any, definitions: Any) -> None:
    for path in ("/v2/actions/std.echo", "/v2/actions/std.echo/", "/v2/actions/std.echo/n"):
        shown = with_actions.get(path)
        assert shown["is_system"] is True
        assert (shown["input"], shown["scope"], shown["definition"]) == (
            "output, delay=0",
            "public",
            "",
        )
    definitions.find_action.return_value = {**ROW, "description": "d"}
    assert with_actions.get("/v2/actions/mine/n")["is_system"] is False
    assert definitions.find_action.call_args[0][:2] == ("mine", "n")
    for row, shown in (({"input": ""}, None), ({"input": "a"}, "a")):
        definitions.find_action.return_value = {**ROW, **row}
        assert with_actions.get("/v2/actions/mine")["input"] == shown
    for method in ("PUT", "DELETE"):
        assert with_actions(method, "/v2/actions/std.echo", "x").status_int == 400
    assert with_actions("DELETE", "/v2/actions/mine/n").status_int == 204
    assert definitions.delete_action.call_args[0][:2] == ("mine", "n")
    definitions.update_actions.return_value = [ROW]
    assert list(with_actions("PUT", "/v2/actions/mine", "x").json) == ["actions"]


@pytest.mark.parametrize("kind", ["workflow", "workbook", "action"])
def test_what_is_doubtful_is_told_beside_the_answer(api: Any, definitions: Any, kind: str) -> None:
    many = "" if kind == "workbook" else "s"
    for verb in ("create", "update"):
        rows = [{**ROW, "description": None}]
        getattr(definitions, f"{verb}_{kind}{many}").return_value = rows if many else rows[0]
    getattr(definitions, f"validate_{kind}{many}").return_value = (True, None)
    requests = [("POST", ""), ("PUT", ""), ("POST", "/validate")]
    for told in ([], ["It is doubtful."]):
        definitions.advise.return_value = told
        for verb, path in requests:
            response = api(verb, f"/v2/{kind}s{path}?namespace=n", "text")
            assert response.status_int in (200, 201)
            assert response.json.get("warnings", []) == told
            assert ("warnings" in response.json) == bool(told)
            assert definitions.advise.call_args[0][:2] == (kind, "text")
            assert definitions.advise.call_args[0][3] == "n"
    getattr(definitions, f"validate_{kind}{many}").return_value = (False, "no")
    assert api("POST", f"/v2/{kind}s/validate", "text").json == {"valid": False, "error": "no"}
