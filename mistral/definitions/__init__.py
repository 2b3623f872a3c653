"""Create, change, find and delete what users store, on behalf of the API.

A whole request is one transaction: either everything that a document defines is stored, or
nothing. Documents are parsed and checked before the transaction begins.
"""

from mistral.definitions.actions import ActionDefinitions
from mistral.definitions.advice import DefinitionAdvice
from mistral.definitions.environments import EnvironmentDefinitions
from mistral.definitions.workbooks import WorkbookDefinitions
from mistral.definitions.workflows import WorkflowDefinitions

__all__ = ["Definitions"]


class Definitions(
    WorkflowDefinitions,
    WorkbookDefinitions,
    ActionDefinitions,
    EnvironmentDefinitions,
    DefinitionAdvice,
):
    """All kinds of definitions at one place."""
