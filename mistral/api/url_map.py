"""The map of the API: each verb of each path, what it needs and what it does.

One line tells the handler, the permission, whether it writes, whose workers serve it. Permissions
have the names that OpenStack's policy files use for this API.
"""

from __future__ import annotations

import functools
from typing import Final

from mistral.api.controllers.maintenance import MaintenanceController
from mistral.api.controllers.service import ServiceController
from mistral.api.controllers.v2.action_executions import ActionExecutionsController
from mistral.api.controllers.v2.actions import ActionsController
from mistral.api.controllers.v2.environments import EnvironmentsController
from mistral.api.controllers.v2.execution_trees import ExecutionTreesController
from mistral.api.controllers.v2.executions import ExecutionsController
from mistral.api.controllers.v2.not_built import not_built
from mistral.api.controllers.v2.tasks import TasksController
from mistral.api.controllers.v2.workbooks import WorkbooksController
from mistral.api.controllers.v2.workflows import WorkflowsController
from mistral.api.dependencies import ApiDependencies
from mistral.api.health import Health
from mistral.api.lanes import ACTIONS, COMMANDS, DOCUMENTS, RESULTS, STARTS
from mistral.api.maintenance import MaintenanceMode
from mistral.api.routes import AUTHENTICATED, OPEN, Exemption, Route
from mistral.api.waiting import Waiting

_get: Final = functools.partial(Route, "GET")
_write: Final = functools.partial(Route, writes=True)
_document: Final = functools.partial(Route, writes=True, text=True, lane=DOCUMENTS)
_command: Final = functools.partial(Route, writes=True, lane=COMMANDS)
_result: Final = functools.partial(Route, writes=True, lane=RESULTS, callback=True)


def all_routes(deps: ApiDependencies, mode: MaintenanceMode) -> list[Route]:
    """The whole URL map."""
    health = Health(deps)
    return [
        *_service(deps, health, mode),
        *_definitions(deps),
        *_executions(deps, Waiting(deps.database, health)),
        *_not_built(),
    ]


def _service(deps: ApiDependencies, health: Health, mode: MaintenanceMode) -> list[Route]:
    service = ServiceController(deps, health)
    maintenance = MaintenanceController(mode)
    return [
        _get("/", service.versions, OPEN),
        _get("/v2", service.version, OPEN),
        _get("/info", service.info, OPEN, text=True),
        _get("/healthcheck", service.health, OPEN),
        # may ask an engine whether it answers
        _get("/healthcheck/ready", service.readiness, OPEN, lane=COMMANDS),
        _get("/maintenance", maintenance.get, AUTHENTICATED),
        _write("PUT", "/maintenance", maintenance.put, AUTHENTICATED, exempt=Exemption.MODE),
    ]


def _definitions(deps: ApiDependencies) -> list[Route]:
    workflows = WorkflowsController(deps)
    workbooks = WorkbooksController(deps)
    actions = ActionsController(deps)
    environments = EnvironmentsController(deps)
    return [
        _get("/v2/workflows", workflows.get_all, "workflows:list"),
        _document("POST", "/v2/workflows", workflows.post, "workflows:create"),
        _document("PUT", "/v2/workflows", workflows.put, "workflows:update"),
        # validations write nothing, but in maintenance all waits that is no GET
        _document("POST", "/v2/workflows/validate", workflows.validate, AUTHENTICATED),
        _get("/v2/workflows/{identifier}", workflows.get, "workflows:get"),
        _document("PUT", "/v2/workflows/{identifier}", workflows.put_one, "workflows:update"),
        _write("DELETE", "/v2/workflows/{identifier}", workflows.delete, "workflows:delete"),
        _get("/v2/workbooks", workbooks.get_all, "workbooks:list"),
        _document("POST", "/v2/workbooks", workbooks.post, "workbooks:create"),
        _document("PUT", "/v2/workbooks", workbooks.put, "workbooks:update"),
        _document("POST", "/v2/workbooks/validate", workbooks.validate, AUTHENTICATED),
        _get("/v2/workbooks/{name}", workbooks.get, "workbooks:get"),
        _write("DELETE", "/v2/workbooks/{name}", workbooks.delete, "workbooks:delete"),
        _get("/v2/actions", actions.get_all, "actions:list"),
        _document("POST", "/v2/actions", actions.post, "actions:create"),
        _document("PUT", "/v2/actions", actions.put, "actions:update"),
        _document("POST", "/v2/actions/validate", actions.validate, AUTHENTICATED),
        _get("/v2/actions/{identifier}", actions.get, "actions:get"),
        _document("PUT", "/v2/actions/{identifier}", actions.put_one, "actions:update"),
        _write("DELETE", "/v2/actions/{identifier}", actions.delete, "actions:delete"),
        _get("/v2/actions/{identifier}/{namespace}", actions.get, "actions:get"),
        _document("PUT", "/v2/actions/{identifier}/{namespace}", actions.put_one, "actions:update"),
        _write("DELETE", "/v2/actions/{identifier}/{namespace}", actions.delete, "actions:delete"),
        _get("/v2/environments", environments.get_all, "environments:list"),
        _write("POST", "/v2/environments", environments.post, "environments:create"),
        _write("PUT", "/v2/environments", environments.put, "environments:update"),
        _get("/v2/environments/{name}", environments.get, "environments:get"),
        _write("DELETE", "/v2/environments/{name}", environments.delete, "environments:delete"),
    ]


def _executions(deps: ApiDependencies, waiting: Waiting) -> list[Route]:
    executions = ExecutionsController(deps)
    trees = ExecutionTreesController(deps, waiting)
    tasks = TasksController(deps, waiting)
    actions = ActionExecutionsController(deps)
    cancel = Exemption.CANCELLATIONS
    return [
        _get("/v2/executions", executions.get_all, "executions:list"),
        _write("POST", "/v2/executions", executions.post, "executions:create", lane=STARTS),
        _get("/v2/executions/{id}", executions.get, "executions:get"),
        _command("PUT", "/v2/executions/{id}", executions.put, "executions:update", exempt=cancel),
        _write("DELETE", "/v2/executions/{id}", executions.delete, "executions:delete"),
        _get("/v2/executions/{id}/tasks", tasks.get_of_execution, "tasks:list"),
        _get("/v2/executions/{id}/executions", trees.of_execution, "executions:get"),
        _get("/v2/executions/{id}/report", trees.report, "executions:get"),
        _get("/v2/tasks", tasks.get_all, "tasks:list"),
        _get("/v2/tasks/{id}", tasks.get, "tasks:get"),
        _command("PUT", "/v2/tasks/{id}", tasks.put, "tasks:update"),
        _get("/v2/tasks/{id}/action_executions", actions.get_of_task, "action_executions:list"),
        _get(
            "/v2/tasks/{id}/action_executions/{action}",
            actions.get_one_of_task,
            "action_executions:get",
        ),
        _get("/v2/tasks/{id}/workflow_executions", executions.get_of_task, "executions:list"),
        _get("/v2/tasks/{id}/executions", trees.of_task, "executions:get"),
        _get("/v2/action_executions", actions.get_all, "action_executions:list"),
        _write(
            "POST", "/v2/action_executions", actions.post, "action_executions:create", lane=ACTIONS
        ),
        _get("/v2/action_executions/{id}", actions.get, "action_executions:get"),
        _result("PUT", "/v2/action_executions/{id}", actions.put, "action_executions:update"),
        _result("POST", "/v2/action_executions/{id}", actions.put, "action_executions:update"),
        _write("DELETE", "/v2/action_executions/{id}", actions.delete, "action_executions:delete"),
    ]


def _not_built() -> list[Route]:
    triggers = not_built("cron_triggers")
    events = not_built("event_triggers")
    sources = not_built("code_sources")
    dynamic = not_built("dynamic_actions")
    members = not_built("members")
    return [
        _get("/v2/cron_triggers", triggers, "cron_triggers:list"),
        _write("POST", "/v2/cron_triggers", triggers, "cron_triggers:create"),
        _get("/v2/cron_triggers/{identifier}", triggers, "cron_triggers:get"),
        _write("DELETE", "/v2/cron_triggers/{identifier}", triggers, "cron_triggers:delete"),
        _get("/v2/event_triggers", events, "event_triggers:list"),
        _write("POST", "/v2/event_triggers", events, "event_triggers:create"),
        _get("/v2/event_triggers/{id}", events, "event_triggers:get"),
        _write("PUT", "/v2/event_triggers/{id}", events, "event_triggers:update"),
        _write("DELETE", "/v2/event_triggers/{id}", events, "event_triggers:delete"),
        _get("/v2/code_sources", sources, "code_sources:list"),
        _document("POST", "/v2/code_sources", sources, "code_sources:create"),
        _document("PUT", "/v2/code_sources", sources, "code_sources:update"),
        _get("/v2/code_sources/{identifier}", sources, "code_sources:get"),
        _write("DELETE", "/v2/code_sources/{identifier}", sources, "code_sources:delete"),
        _get("/v2/dynamic_actions", dynamic, "dynamic_actions:list"),
        _write("POST", "/v2/dynamic_actions", dynamic, "dynamic_actions:create"),
        _write("PUT", "/v2/dynamic_actions", dynamic, "dynamic_actions:update"),
        _get("/v2/dynamic_actions/{identifier}", dynamic, "dynamic_actions:get"),
        _write("DELETE", "/v2/dynamic_actions/{identifier}", dynamic, "dynamic_actions:delete"),
        _get("/v2/workflows/{id}/members", members, "members:list"),
        _write("POST", "/v2/workflows/{id}/members", members, "members:create"),
        _get("/v2/workflows/{id}/members/{project}", members, "members:get"),
        _write("PUT", "/v2/workflows/{id}/members/{project}", members, "members:update"),
        _write("DELETE", "/v2/workflows/{id}/members/{project}", members, "members:delete"),
        _get("/v2/services", not_built("services"), "services:list"),
    ]
