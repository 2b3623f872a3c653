"""Resources of what users store: workflows, workbooks, actions, environments."""

from __future__ import annotations

from typing import Final

from mistral.api.resources.base import PROJECT, Attribute, Resource, moments
from mistral.api.resources.types import FLAG, JSON_TEXT, SCOPE, TEXT_LIST
from mistral.db.reading import listings

WORKFLOW: Final = Resource(
    "Workflow",
    "workflows",
    listings.workflows,
    [
        Attribute("id"),
        Attribute("name"),
        Attribute("namespace"),
        Attribute("input"),
        Attribute("interface", JSON_TEXT, filtered=False),
        Attribute("definition"),
        Attribute("checksum", filtered=False),
        Attribute("tags", TEXT_LIST),
        Attribute("scope", SCOPE),
        PROJECT,
        *moments("created_at", "updated_at"),
    ],
)

WORKBOOK: Final = Resource(
    "Workbook",
    "workbooks",
    listings.workbooks,
    [
        Attribute("id", filtered=False),
        Attribute("name"),
        Attribute("namespace"),
        Attribute("definition"),
        Attribute("tags", TEXT_LIST),
        Attribute("scope", SCOPE),
        PROJECT,
        *moments("created_at", "updated_at"),
    ],
)

ACTION: Final = Resource(
    "Action",
    "actions",
    listings.actions,
    [
        Attribute("id", filtered=False),
        Attribute("name"),
        Attribute("is_system", FLAG),
        Attribute("input"),
        Attribute("description"),
        Attribute("tags", TEXT_LIST),
        Attribute("definition"),
        Attribute("scope", SCOPE),
        PROJECT,
        *moments("created_at", "updated_at"),
        Attribute("namespace"),
    ],
    default_sort="name",
)

ENVIRONMENT: Final = Resource(
    "Environment",
    "environments",
    listings.environments,
    [
        Attribute("id", filtered=False),
        Attribute("name"),
        Attribute("description"),
        Attribute("variables", JSON_TEXT),
        Attribute("scope", SCOPE),
        PROJECT,
        *moments("created_at", "updated_at"),
    ],
)
