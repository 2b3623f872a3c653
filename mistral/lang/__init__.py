"""The workflow language: texts to specifications (doc:language/index).

Knows nothing of executions. ``parse_*`` read and check what a caller sent; ``spec_from_raw``
rebuilds what was checked before.
"""

from mistral.lang.advice import Callee, Callees, of_parameters
from mistral.lang.documents import (
    action_spec_from_raw,
    advise,
    parse_action_list,
    parse_workbook,
    parse_workflow_list,
    spec_from_raw,
)
from mistral.lang.limits import USUAL_LIMITS, DocumentLimits
from mistral.lang.render import interface, render_input
from mistral.lang.specs import (
    ENGINE_COMMANDS,
    LONGEST_SECONDS,
    AdHocActionSpec,
    Clause,
    InputParam,
    PoliciesSpec,
    PublishSpec,
    RetrySpec,
    Target,
    TaskSpec,
    WorkbookSpec,
    WorkflowSpec,
)

__all__ = [
    "ENGINE_COMMANDS",
    "LONGEST_SECONDS",
    "USUAL_LIMITS",
    "AdHocActionSpec",
    "Callee",
    "Callees",
    "Clause",
    "DocumentLimits",
    "InputParam",
    "PoliciesSpec",
    "PublishSpec",
    "RetrySpec",
    "Target",
    "TaskSpec",
    "WorkbookSpec",
    "WorkflowSpec",
    "action_spec_from_raw",
    "advise",
    "interface",
    "of_parameters",
    "parse_action_list",
    "parse_workbook",
    "parse_workflow_list",
    "render_input",
    "spec_from_raw",
]
