"""Resources and attributes: the single declaration behind validation, filters and answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import wsme
from wsme import types as wtypes

from mistral import exceptions as exc
from mistral.api.resources.types import MOMENT, TEXT, AttributeType, checked
from mistral.db.reading.queries import Listing
from mistral.utils import json


@dataclasses.dataclass(frozen=True)
class Attribute:
    """One attribute of a resource.

    :param stored: a column of the resource's listing has this name.
    :param listed: lists show it without being asked for.
    :param filtered: lists may be filtered by it.
    :param read_only: a request that sends it is refused.
    :param request_only: answers never have it.
    """

    name: str
    type: AttributeType = TEXT
    stored: bool = True
    listed: bool = True
    filtered: bool = True
    read_only: bool = False
    request_only: bool = False


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to show some attributes: names in order, those that are columns, and renderers."""

    names: tuple[str, ...]
    columns: tuple[str, ...]
    renderers: tuple[Callable[[Any], Any], ...]

    def render(self, values: Sequence[Any]) -> dict[str, Any]:
        """A row, in the order of the columns, as an answer."""
        return {
            name: render(value)
            for name, render, value in zip(self.columns, self.renderers, values, strict=True)
        }


class Resource:
    """A kind of object of the API."""

    def __init__(
        self,
        name: str,
        collection: str,
        listing: Listing,
        attributes: Sequence[Attribute],
        default_sort: str = "created_at",
    ) -> None:
        self.name = name
        self.collection = collection
        self.listing = listing
        self.default_sort = default_sort
        self.attributes: Mapping[str, Attribute] = {a.name: a for a in attributes}
        self.shown = tuple(a.name for a in attributes if not a.request_only)
        self.listed = tuple(a.name for a in attributes if a.listed and not a.request_only)

    def plan(self, names: tuple[str, ...]) -> Plan:
        """How to show some attributes."""
        columns = tuple(name for name in names if self.attributes[name].stored)
        renderers = tuple(self.attributes[name].type.render for name in columns)
        return Plan(names, columns, renderers)

    def render(
        self, values: Mapping[str, Any], names: Sequence[str] | None = None
    ) -> dict[str, Any]:
        """An object that did not come from a list query: a definition, an engine's answer."""
        return {
            name: self.attributes[name].type.render(values.get(name))
            for name in (self.shown if names is None else names)
            if self.attributes[name].stored
        }

    def fields(self, names: Collection[str]) -> tuple[str, ...]:
        """The attributes asked for by ``fields``, with ``id`` among them.

        :raises InputException: naming those that don't exist.
        """
        unknown = [name for name in names if name not in self.attributes]
        if unknown:
            raise exc.InputException(
                f"Field(s) '{', '.join(unknown)}' are invalid, valid fields are: "
                f"{', '.join(self.shown)}."
            )
        asked = tuple(name for name in names if not self.attributes[name].request_only)
        return asked if "id" in asked else ("id", *asked)

    def parse(
        self,
        body: Mapping[str, Any],
        wanted: Collection[str],
        containers: json.ContainerLimit = json.USUAL_CONTAINERS,
    ) -> dict[str, Any]:
        """The wanted attributes of a request's body, checked; others only have to exist.

        Nulls are left out: they mean "not given".

        :param containers: bounds the JSON texts within the body.

        :raises InputException: naming the attribute.
        """
        values = {}
        for name, value in body.items():
            attribute = self.attributes.get(name)
            if attribute is None:
                raise exc.InputException(f"Unknown attribute: {name}.")
            if attribute.read_only:
                raise exc.InputException(f"Cannot set read only attribute: {name}.")
            if value is not None and name in wanted:
                values[name] = checked(attribute.type.within(containers), name, value)
        return values

    def wsme_type(self) -> type:
        """The resource as a WSME type, for whoever describes the API."""
        return type(
            self.name,
            (wtypes.Base,),
            {
                name: wsme.wsattr(attribute.type, readonly=attribute.read_only)
                for name, attribute in self.attributes.items()
            },
        )


def moments(*names: str) -> list[Attribute]:
    """Attributes that hold a time."""
    return [Attribute(name, MOMENT) for name in names]


PROJECT = Attribute("project_id", read_only=True)
