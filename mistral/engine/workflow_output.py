"""What a workflow leaves at its end: its output and its message (doc:language/workflows#output).

Pure. Only ``workflows`` asks, with the execution as the decisions so far would leave it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral import exceptions as exc
from mistral.lang import WorkflowSpec
from mistral.utils import json, texts
from mistral.workflow import data_flow, joins, reverse, states
from mistral.workflow.entities import TaskExecution, WorkflowExecution
from mistral.workflow.ports import WorkflowDecisionPorts
from mistral.workflow.values import EMPTY, Bag


def output(spec: WorkflowSpec, ports: WorkflowDecisionPorts, wf_ex: WorkflowExecution) -> Bag:
    """The output of a success: what the workflow declares, or all that its ends know."""
    final = _final_context(spec, ports, wf_ex)
    declared = _evaluated(ports, wf_ex, spec.output, final, "output") if spec.output else None
    bag = ports.values.pack(declared) if declared else final
    data_flow.check_size("WorkflowExecution", "output", bag, ports.limits)
    return bag


def output_on_error(
    spec: WorkflowSpec, ports: WorkflowDecisionPorts, wf_ex: WorkflowExecution, message: str | None
) -> tuple[Bag, str | None]:
    """The output of a failure and its message, which tells of an output that can't be made."""
    bag = _final_context(spec, ports, wf_ex)
    try:
        if spec.output_on_error:
            bag = ports.values.pack(
                _evaluated(ports, wf_ex, spec.output_on_error, bag, "output-on-error")
            )
        data_flow.check_size("WorkflowExecution", "output", bag, ports.limits)
    except exc.MistralException as error:
        message = f"Failed to evaluate 'output-on-error': {error}; the cause was: {message}"
        bag = EMPTY
    return only_message(ports, message).updated(bag), message


def only_message(ports: WorkflowDecisionPorts, message: str | None) -> Bag:
    """The output of an end of which there is nothing else to tell."""
    return ports.values.pack({"result": _cut(ports, message)})


def _cut(ports: WorkflowDecisionPorts, text: str | None) -> str | None:
    """A message as far as the limit of the output allows it (doc:language/limits)."""
    limit = ports.limits.field_size_kb * 1024
    if text is None or limit < 0 or len(json.dump_bytes(text)) <= limit:
        return text
    # the longest form of a character has six bytes
    return text[: limit // 6]


def _final_context(
    spec: WorkflowSpec, ports: WorkflowDecisionPorts, wf_ex: WorkflowExecution
) -> Bag:
    ends = ports.end_tasks()
    if spec.type == "reverse":
        target = reverse.target(wf_ex, ports.values)
        ends = [t for t in ends if t.name == target]
    ends = [_with_latecomers(ports, t) for t in ends]
    return data_flow.merge(ends, ports.values, ports.limits.versioning).versioned()


def _with_latecomers(ports: WorkflowDecisionPorts, task_ex: TaskExecution) -> TaskExecution:
    """A join that was not run knows of the branches that came later, too: nothing else does."""
    came = joins.counts(task_ex)[0]
    known = len(task_ex.runtime.triggers)
    if task_ex.state not in (states.ERROR, states.SKIPPED) or came <= known:
        return task_ex
    draft = task_ex.draft()
    arrived = ports.arrived(task_ex)
    draft.in_context = data_flow.merge(arrived, ports.values, ports.limits.versioning)
    return draft


def _evaluated(
    ports: WorkflowDecisionPorts,
    wf_ex: WorkflowExecution,
    section: Mapping[str, Any],
    final: Bag,
    attribute: str,
) -> Mapping[str, Any]:
    context = data_flow.context(ports, wf_ex, branch=final)
    result: Mapping[str, Any] = ports.expressions.evaluate_recursively(
        dict(section), context, attribute
    )
    return result


def failure(ports: WorkflowDecisionPorts) -> str:
    """The message of a workflow whose tasks failed, with a line for each failed part of them.

    It begins with the cause, that of the oldest task: lists show no more than the first words.
    """
    failed = ports.failed_tasks()
    names = ", ".join(sorted({t.name for t in failed}))
    causes = (texts.cause_of(t.state_info or "") for t in sorted(failed, key=lambda t: t.id))
    cause = next(filter(None, causes), None)
    lines = [cause, ""] if cause else []
    lines += [f"Failure caused by error in tasks: {names}", ""]
    for task_ex in sorted(failed, key=lambda t: (t.name, t.id)):
        lines.append(f"  {task_ex.name} -> {task_ex.state_info} [task_ex_id={task_ex.id}]")
        lines += [f"    {part}" for part in _failed_parts(ports, task_ex)]
        lines.append("")
    return "\n".join(lines)


def _failed_parts(ports: WorkflowDecisionPorts, task_ex: TaskExecution) -> list[str]:
    """One line for each failed action or sub-execution of a task."""
    if task_ex.type == "WORKFLOW":
        return [
            f"{child.state_info} [wf_ex_id={child.id}, idx={child.idx}]"
            for child in ports.children(task_ex)
            if child.state == states.ERROR
        ]
    return [
        json.dumps(ports.values.unpack(a.output) if a.output else {})
        + f" [action_ex_id={a.id}, idx={a.idx}]"
        for a in ports.accepted_actions(task_ex)
        if a.state == states.ERROR
    ]
