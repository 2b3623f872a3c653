"""The map of the API: every path, its verbs and their handlers."""

from __future__ import annotations

from mistral.api import lanes
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
from mistral.api.routes import Route
from mistral.api.waiting import Waiting

_DOCUMENTS = frozenset({"POST", "PUT"})
_DOCUMENT_LANES = dict.fromkeys(_DOCUMENTS, lanes.DOCUMENTS)


def all_routes(deps: ApiDependencies) -> list[Route]:
    """The whole URL map."""
    health = Health(deps)
    return [
        *_service(deps, health),
        *_definitions(deps),
        *_executions(deps, Waiting(deps.database, health)),
        *_not_built(),
    ]


def _service(deps: ApiDependencies, health: Health) -> list[Route]:
    service = ServiceController(deps, health)
    maintenance = MaintenanceController(deps)
    return [
        Route("/", {"GET": service.versions}, open=True),
        Route("/v2", {"GET": service.version}, open=True),
        Route("/info", {"GET": service.info}, text=frozenset({"GET"}), open=True),
        Route("/maintenance", {"GET": maintenance.get, "PUT": maintenance.put}),
        Route("/healthcheck", {"GET": service.health}, open=True),
        Route(
            "/healthcheck/ready",
            {"GET": service.readiness},
            open=True,
            lanes={"GET": lanes.COMMANDS},
        ),
    ]


def _definitions(deps: ApiDependencies) -> list[Route]:
    workflows = WorkflowsController(deps)
    workbooks = WorkbooksController(deps)
    actions = ActionsController(deps)
    environments = EnvironmentsController(deps)
    action_item = {"GET": actions.get, "PUT": actions.put_one, "DELETE": actions.delete}
    return [
        Route(
            "/v2/workflows",
            {"GET": workflows.get_all, "POST": workflows.post, "PUT": workflows.put},
            text=_DOCUMENTS,
            lanes=_DOCUMENT_LANES,
        ),
        Route(
            "/v2/workflows/validate",
            {"POST": workflows.validate},
            text=_DOCUMENTS,
            lanes=_DOCUMENT_LANES,
        ),
        Route(
            "/v2/workflows/{identifier}",
            {"GET": workflows.get, "PUT": workflows.put_one, "DELETE": workflows.delete},
            text=frozenset({"PUT"}),
            lanes=_DOCUMENT_LANES,
        ),
        Route(
            "/v2/workbooks",
            {"GET": workbooks.get_all, "POST": workbooks.post, "PUT": workbooks.put},
            text=_DOCUMENTS,
            lanes=_DOCUMENT_LANES,
        ),
        Route(
            "/v2/workbooks/validate",
            {"POST": workbooks.validate},
            text=_DOCUMENTS,
            lanes=_DOCUMENT_LANES,
        ),
        Route("/v2/workbooks/{name}", {"GET": workbooks.get, "DELETE": workbooks.delete}),
        Route(
            "/v2/actions",
            {"GET": actions.get_all, "POST": actions.post, "PUT": actions.put},
            text=_DOCUMENTS,
            lanes=_DOCUMENT_LANES,
        ),
        Route(
            "/v2/actions/validate",
            {"POST": actions.validate},
            text=_DOCUMENTS,
            lanes=_DOCUMENT_LANES,
        ),
        Route(
            "/v2/actions/{identifier}", action_item, text=frozenset({"PUT"}), lanes=_DOCUMENT_LANES
        ),
        Route(
            "/v2/actions/{identifier}/{namespace}",
            action_item,
            text=frozenset({"PUT"}),
            lanes=_DOCUMENT_LANES,
        ),
        Route(
            "/v2/environments",
            {"GET": environments.get_all, "POST": environments.post, "PUT": environments.put},
        ),
        Route(
            "/v2/environments/{name}",
            {"GET": environments.get, "DELETE": environments.delete},
        ),
    ]


def _executions(deps: ApiDependencies, waiting: Waiting) -> list[Route]:
    executions = ExecutionsController(deps)
    trees = ExecutionTreesController(deps, waiting)
    tasks = TasksController(deps, waiting)
    actions = ActionExecutionsController(deps)
    return [
        Route(
            "/v2/executions",
            {"GET": executions.get_all, "POST": executions.post},
            lanes={"POST": lanes.STARTS},
        ),
        Route(
            "/v2/executions/{id}",
            {"GET": executions.get, "PUT": executions.put, "DELETE": executions.delete},
            lanes={"PUT": lanes.COMMANDS},
        ),
        Route("/v2/executions/{id}/tasks", {"GET": tasks.get_of_execution}),
        Route("/v2/executions/{id}/executions", {"GET": trees.of_execution}),
        Route("/v2/executions/{id}/report", {"GET": trees.report}),
        Route("/v2/tasks", {"GET": tasks.get_all}),
        Route(
            "/v2/tasks/{id}",
            {"GET": tasks.get, "PUT": tasks.put},
            lanes={"PUT": lanes.COMMANDS},
        ),
        Route("/v2/tasks/{id}/action_executions", {"GET": actions.get_of_task}),
        Route("/v2/tasks/{id}/action_executions/{action}", {"GET": actions.get_one_of_task}),
        Route("/v2/tasks/{id}/workflow_executions", {"GET": executions.get_of_task}),
        Route("/v2/tasks/{id}/executions", {"GET": trees.of_task}),
        Route(
            "/v2/action_executions",
            {"GET": actions.get_all, "POST": actions.post},
            lanes={"POST": lanes.ACTIONS},
        ),
        Route(
            "/v2/action_executions/{id}",
            {
                "GET": actions.get,
                "PUT": actions.put,
                "POST": actions.put,
                "DELETE": actions.delete,
            },
            lanes={"PUT": lanes.RESULTS, "POST": lanes.RESULTS},
        ),
    ]


def _not_built() -> list[Route]:
    triggers = not_built("cron_triggers")
    events = not_built("event_triggers")
    sources = not_built("code_sources")
    dynamic = not_built("dynamic_actions")
    members = not_built("members")
    return [
        Route("/v2/cron_triggers", {"GET": triggers, "POST": triggers}),
        Route("/v2/cron_triggers/{identifier}", {"GET": triggers, "DELETE": triggers}),
        Route("/v2/event_triggers", {"GET": events, "POST": events}),
        Route("/v2/event_triggers/{id}", {"GET": events, "PUT": events, "DELETE": events}),
        Route(
            "/v2/code_sources",
            {"GET": sources, "POST": sources, "PUT": sources},
            text=_DOCUMENTS,
            lanes=_DOCUMENT_LANES,
        ),
        Route("/v2/code_sources/{identifier}", {"GET": sources, "DELETE": sources}),
        Route("/v2/dynamic_actions", {"GET": dynamic, "POST": dynamic, "PUT": dynamic}),
        Route("/v2/dynamic_actions/{identifier}", {"GET": dynamic, "DELETE": dynamic}),
        Route("/v2/workflows/{id}/members", {"GET": members, "POST": members}),
        Route(
            "/v2/workflows/{id}/members/{project}",
            {"GET": members, "PUT": members, "DELETE": members},
        ),
        Route("/v2/services", {"GET": not_built("services")}),
    ]
