"""Whether a parent can go on with a child that is run again (doc:language/rerun#below-a-parent).

Asked twice: by the sub-workflow, which refuses an operator's command when the answer is no, and by
the parent when it hears of it, for it may have changed in between. The parent decides.
"""

from __future__ import annotations

from mistral.workflow import states
from mistral.workflow.entities import TaskExecution, WorkflowExecution


def refusal(parent: WorkflowExecution, task_ex: TaskExecution, attempt: int) -> str | None:
    """Why a parent can't go on with a sub-workflow; nothing if it can.

    :param task_ex: the parent's task for which the sub-workflow was started.
    :param attempt: the attempt of that task for which it was.
    """
    if parent.state == states.SUCCESS:
        return f"the parent has ended in {parent.state} [execution_id={parent.id}]"
    if parent.rollback is not None:
        return f"the parent is being rolled back [execution_id={parent.id}]"
    where = f"[task={task_ex.name}, task_ex_id={task_ex.id}, execution_id={parent.id}]"
    if task_ex.attempt != attempt:
        return f"the parent's task has been run again without it {where}"
    if task_ex.state in (states.SUCCESS, states.SKIPPED):
        return f"the parent's task has ended in {task_ex.state} {where}"
    return None
