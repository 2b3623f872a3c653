"""The map of the API against the application: paths, verbs, permissions, maintenance."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.api.app import create_app
from mistral.api.dependencies import ApiDependencies
from mistral.api.routes import AUTHENTICATED, OPEN, Exemption, Route, Routes
from mistral.context import RequestContext
from mistral.db.core.database import Database
from mistral.db.operations import maintenance
from mistral.utils import clock, ids
from tests.functional.conftest import Api, Rows

_CRUD = "create delete get list update"
#: The rules of policy files, but for publicize and list:all_projects, which depend on what a
#: request asks for and are checked where it is read.
RULES = {
    f"{resource}:{verb}"
    for resource, verbs in {
        "actions": _CRUD,
        "action_executions": _CRUD,
        "code_sources": _CRUD,
        "cron_triggers": "create delete get list",
        "dynamic_actions": _CRUD,
        "environments": _CRUD,
        "event_triggers": _CRUD,
        "executions": _CRUD,
        "members": _CRUD,
        "services": "list",
        "tasks": "get list update",
        "workbooks": _CRUD,
        "workflows": _CRUD,
    }.items()
    for verb in verbs.split()
}
VERBS = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"}
ROW = {
    "id": "11111111-1111-1111-1111-111111111111",
    "name": "x",
    "input": "",
    "created_at": dt.datetime(2026, 1, 2),
}


@pytest.fixture
def definitions(definitions: Any) -> Any:
    """There is one object of each kind."""
    for kind in ("workflow", "action"):
        for verb in ("create", "update"):
            getattr(definitions, f"{verb}_{kind}s").return_value = [ROW]
    for kind in ("workbook", "environment"):
        for verb in ("create", "update"):
            getattr(definitions, f"{verb}_{kind}").return_value = ROW
    for kind in ("workflow", "action", "workbook", "environment"):
        getattr(definitions, f"find_{kind}").return_value = ROW
    for kinds in ("workflows", "actions", "workbook"):
        getattr(definitions, f"validate_{kinds}").return_value = True, None
    return definitions


@pytest.fixture
def routes(dependencies: ApiDependencies) -> Routes:
    return create_app(dependencies).routes


def _addressed(route: Route, stored: Rows) -> str:
    """The path of something that exists."""
    execution = stored.execution()
    task = stored.task(execution)
    action = stored.action(task)
    found = {"executions": execution.id, "tasks": task.id, "action_executions": action.id}
    path, before = [], ""
    for segment in route.path.split("/"):
        path.append(found.get(before, ids.new_id()) if segment.startswith("{") else segment)
        before = segment
    return "/".join(path)


def test_every_path_leads_somewhere(api: Api, routes: Routes, stored: Rows) -> None:
    for route in routes.all:
        status = api(route.verb, _addressed(route, stored), {}).status_int
        # not built; nor is there an engine that could be ready
        assert status < 500 or status in (501, 503), (route, status)
        assert status not in (404, 405), (route, status)


def test_other_verbs_are_refused_and_these_are_named(api: Api, routes: Routes) -> None:
    paths: dict[str, set[str]] = {}
    for route in routes.all:
        paths.setdefault(route.path, set()).add(route.verb)
    for path, verbs in paths.items():
        for verb in VERBS - verbs:
            response = api(verb, path)
            assert response.status_int == 405, (verb, path)
            assert response.headers["Allow"] == ", ".join(sorted(verbs)), path
        assert api("OPTIONS", path).status_int == 200


def test_all_spellings_mean_the_same_route(routes: Routes) -> None:
    for route in routes.all:
        fixed = [s if s.startswith("{") else s.replace("_", "-") for s in route.path.split("/")]
        for path in (route.path, "/".join(fixed)):
            for spelling in (path, f"{path.rstrip('/')}/"):
                assert routes.match(route.verb, spelling)[0] is route
    # what a user has named is never spelled otherwise
    assert routes.match("GET", "/v2/actions/a_b-c/d_e")[1] == ("a_b-c", "d_e")


@pytest.mark.parametrize("prefix", ["", "/proxy/of/ours"])
def test_only_callbacks_may_follow_themselves(routes: Routes, prefix: str) -> None:
    for verb in ("PUT", "POST"):
        path = f"{prefix}/v2/action_executions/1/v2/action-executions/1"
        assert routes.match(verb, path) == routes.match(verb, "/v2/action_executions/1")
    for other in (
        "/v2/action_executions/1/v2/action-executions/2",
        "/v2/executions/1/v2/executions/1",
    ):
        with pytest.raises(exc.NotFoundException):
            routes.match("PUT", prefix + other)


def test_a_verb_of_a_path_is_there_once(routes: Routes) -> None:
    with pytest.raises(ValueError, match=r"PUT /maintenance is there twice"):
        Routes([*routes.all, *[route for route in routes.all if route.path == "/maintenance"][1:]])


def test_every_route_has_a_permission(routes: Routes) -> None:
    ruled = [route for route in routes.all if route.permission not in (OPEN, AUTHENTICATED)]
    assert {route.permission for route in ruled} == RULES
    assert {route.path for route in routes.all if route.open} == {
        "/",
        "/v2",
        "/info",
        "/healthcheck",
        "/healthcheck/ready",
    }
    without_rule = {route.path for route in routes.all if route.permission == AUTHENTICATED}
    assert without_rule == {
        "/maintenance",
        "/v2/workflows/validate",
        "/v2/workbooks/validate",
        "/v2/actions/validate",
    }


def test_credentials_are_asked_for_where_a_route_is_not_open(
    dependencies: ApiDependencies, routes: Routes
) -> None:
    def refuse(_environ: Any) -> RequestContext:
        raise exc.UnauthorizedException("Token validation failed: authentication required")

    api = Api(create_app(dataclasses.replace(dependencies, authenticate=refuse)))
    for route in routes.all:
        assert (api(route.verb, route.path).status_int == 401) is not route.open, route


def test_what_is_no_get_writes(routes: Routes) -> None:
    for route in routes.all:
        assert route.writes == (route.verb != "GET"), route
        assert route.writes or not (route.callback or route.exempt), route


@pytest.mark.parametrize("status", [maintenance.PAUSING, maintenance.PAUSED])
def test_maintenance_refuses_what_writes_and_nothing_else(
    api: Api, routes: Routes, database: Database, stored: Rows, status: str
) -> None:
    now = clock.utc_now()
    database.write(lambda conn: maintenance.ask(conn, maintenance.PAUSED, now))
    if status == maintenance.PAUSED:
        database.write(lambda conn: maintenance.paused(conn, now))
    for route in routes.all:
        passes = (
            not route.writes
            or route.exempt is Exemption.MODE
            or (route.callback and status == maintenance.PAUSING)
        )
        refused = api(route.verb, _addressed(route, stored), {}).status_int == 423
        assert refused is not passes, route
    cancelling = [route for route in routes.all if route.exempt is Exemption.CANCELLATIONS]
    assert [(route.verb, route.path) for route in cancelling] == [("PUT", "/v2/executions/{id}")]
