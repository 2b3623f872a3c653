"""What the runs have to come through at least, so that their silence means something."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FLOOR: Final[Mapping[str, frozenset[str]]] = {
    "transitions": frozenset(
        {
            "AdHocAction - -> RUNNING",
            "AdHocAction RUNNING -> SUCCESS",
            "Compensation - -> IDLE",
            "Compensation IDLE -> RUNNING",
            "Compensation RUNNING -> SUCCESS",
            "ActionExecution - -> RUNNING",
            "ActionExecution RUNNING -> ERROR",
            "ActionExecution RUNNING -> SUCCESS",
            "TaskExecution - -> DELAYED",
            "TaskExecution - -> RUNNING",
            "TaskExecution - -> WAITING",
            "TaskExecution DELAYED -> ERROR",
            "TaskExecution DELAYED -> RUNNING",
            "TaskExecution DELAYED -> SUCCESS",
            "TaskExecution IDLE -> RUNNING",
            "TaskExecution RUNNING -> DELAYED",
            "TaskExecution RUNNING -> ERROR",
            "TaskExecution RUNNING -> SUCCESS",
            "TaskExecution WAITING -> ERROR",
            "TaskExecution WAITING -> RUNNING",
            "WorkflowExecution - -> IDLE",
            "WorkflowExecution - -> RUNNING",
            "WorkflowExecution IDLE -> RUNNING",
            "WorkflowExecution PAUSED -> RUNNING",
            "WorkflowExecution RUNNING -> ERROR",
            "WorkflowExecution RUNNING -> PAUSED",
            "WorkflowExecution RUNNING -> SUCCESS",
        }
    ),
    "commands": frozenset(
        {
            "ActionCompleted",
            "BeginWorkflow",
            "CheckWorkflow",
            "ContinueTask",
            "CreateAction",
            "CreateExecution",
            "CreateTask",
            "CreateTimer",
            "DiscardResults",
            "EvaluateJoin",
            "GoOnLater",
            "NextCompensation",
            "RunTask",
            "SendEvent",
            "SetInbound",
            "SetWorkflowState",
            "StartTask",
            "TaskCompleted",
            "UpdateAction",
            "UpdateExecution",
            "UpdateTask",
        }
    ),
    "mails": frozenset({"delivered", "event", "lost", "reports", "start", "timer"}),
}

LONG_FLOOR: Final[Mapping[str, frozenset[str]]] = {
    "transitions": FLOOR["transitions"]
    | {
        "AdHocAction RUNNING -> ERROR",
        "Compensation ERROR -> IDLE",
        "Compensation RUNNING -> ERROR",
        "WorkflowExecution SUCCESS -> RUNNING",
        "ActionExecution PAUSED -> RUNNING",
        "ActionExecution PAUSED -> SUCCESS",
        "ActionExecution RUNNING -> CANCELLED",
        "ActionExecution RUNNING -> PAUSED",
        "TaskExecution DELAYED -> IDLE",
        "TaskExecution ERROR -> RUNNING",
        "TaskExecution ERROR -> SKIPPED",
        "TaskExecution PAUSED -> RUNNING",
        "TaskExecution RUNNING -> CANCELLED",
        "TaskExecution RUNNING -> PAUSED",
        "WorkflowExecution CANCELLED -> RUNNING",
        "WorkflowExecution ERROR -> RUNNING",
        "WorkflowExecution IDLE -> PAUSED",
        "WorkflowExecution PAUSED -> CANCELLED",
        "WorkflowExecution PAUSED -> ERROR",
        "WorkflowExecution RUNNING -> CANCELLED",
    },
    "commands": FLOOR["commands"] | {"RerunTask", "SkipTask", "StartItems"},
    "mails": FLOOR["mails"],
}
