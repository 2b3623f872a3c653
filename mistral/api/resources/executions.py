"""Resources of what runs: workflow executions, tasks, action executions."""

from __future__ import annotations

from typing import Final

from mistral.api.resources.base import PROJECT, Attribute, Resource, moments
from mistral.api.resources.types import ANY_JSON, FLAG, JSON_TEXT, PATH_NAME, TEXT_LIST
from mistral.db.reading import listings

EXECUTION: Final = Resource(
    "Execution",
    "executions",
    listings.executions,
    [
        Attribute("id", PATH_NAME),
        Attribute("workflow_id"),
        Attribute("workflow_name"),
        Attribute("workflow_namespace"),
        Attribute("description"),
        Attribute("tags", TEXT_LIST),
        Attribute("params", JSON_TEXT),
        Attribute("task_execution_id"),
        Attribute("root_execution_id"),
        Attribute("source_execution_id", stored=False, filtered=False, request_only=True),
        Attribute("state"),
        Attribute("state_info"),
        Attribute("input", JSON_TEXT),
        Attribute("output", JSON_TEXT, listed=False),
        Attribute("published_global", JSON_TEXT, stored=False, listed=False, filtered=False),
        *moments("created_at", "updated_at"),
        PROJECT,
    ],
)

TASK: Final = Resource(
    "Task",
    "tasks",
    listings.tasks,
    [
        Attribute("id"),
        Attribute("name"),
        Attribute("type", filtered=False),
        Attribute("workflow_name"),
        Attribute("workflow_namespace"),
        Attribute("workflow_id"),
        Attribute("workflow_execution_id"),
        Attribute("tags", TEXT_LIST),
        Attribute("state"),
        Attribute("state_info"),
        Attribute("runtime_context", JSON_TEXT, filtered=False),
        Attribute("result", stored=False, listed=False, filtered=False),
        Attribute("published", JSON_TEXT),
        Attribute("published_global", JSON_TEXT, stored=False, listed=False, filtered=False),
        Attribute("processed", FLAG),
        *moments("created_at", "updated_at", "started_at", "finished_at"),
        PROJECT,
        Attribute("reset", FLAG, stored=False, filtered=False, request_only=True),
        Attribute("env", JSON_TEXT, stored=False, filtered=False, request_only=True),
    ],
)

ACTION_EXECUTION: Final = Resource(
    "ActionExecution",
    "action_executions",
    listings.action_executions,
    [
        Attribute("id"),
        Attribute("name"),
        Attribute("description"),
        Attribute("workflow_name"),
        Attribute("workflow_namespace"),
        Attribute("task_name"),
        Attribute("task_execution_id"),
        Attribute("state"),
        Attribute("state_info"),
        Attribute("tags", TEXT_LIST),
        Attribute("accepted", FLAG),
        Attribute("input", JSON_TEXT),
        Attribute("output", ANY_JSON, listed=False),
        Attribute("params", JSON_TEXT, stored=False, filtered=False, request_only=True),
        PROJECT,
        *moments("created_at", "updated_at"),
    ],
)
