"""Create, change, find and delete what users store, on behalf of the API.

A whole request is one transaction: either everything that a document defines is stored, or
nothing. Documents are parsed and checked before the transaction begins.
"""

from mistral.services.definitions.actions import ActionDefinitions
from mistral.services.definitions.advice import DefinitionAdvice
from mistral.services.definitions.environments import EnvironmentDefinitions
from mistral.services.definitions.workbooks import WorkbookDefinitions
from mistral.services.definitions.workflows import WorkflowDefinitions

__all__ = ["Definitions"]


class Definitions(
    WorkflowDefinitions,
    WorkbookDefinitions,
    ActionDefinitions,
    EnvironmentDefinitions,
    DefinitionAdvice,
):
    """All kinds of definitions at one place."""
