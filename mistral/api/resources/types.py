"""The types of attributes: how a value is read from a request and shown in an answer.

They are WSME user types, so that :meth:`mistral.api.resources.base.Resource.wsme_type` describes
the API completely; requests are checked and answers rendered by these methods directly, without
WSME's reflection.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import orjson
from wsme import types as wtypes

from mistral import exceptions as exc
from mistral.db.reading.filters import is_flag_word, parse_flag
from mistral.lang.checks import MAX_NAME
from mistral.utils import json


class AttributeType(wtypes.UserType):
    """Base: a value that is shown as it is stored."""

    basetype = wtypes.text
    name = "text"

    def within(self, containers: json.ContainerLimit) -> AttributeType:
        """The same type for a request of which no JSON text may have more lists and mappings."""
        return self

    def validate(self, value: Any) -> Any:
        """The value of a request, or ValueError with a text that says what is wrong.

        WSME calls it, too; ``None`` never arrives here.
        """
        return value

    def render(self, value: Any) -> Any:
        """The value in an answer; it comes from a row or from an engine's answer."""
        return value


class Text(AttributeType):
    """A text."""

    def validate(self, value: Any) -> str:
        """Only a text, of characters that every database can keep."""
        if not isinstance(value, str):
            raise ValueError("a string is expected")
        if "\0" in value:
            raise ValueError("the character NUL is not allowed")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("half of a surrogate pair is no character") from None
        return value


class Name(Text):
    """A text that fits into the columns of names."""

    name = "name"

    def validate(self, value: Any) -> str:
        """Only a text that is not too long."""
        text = super().validate(value)
        if len(text) > MAX_NAME:
            raise ValueError(f"it is longer than {MAX_NAME} characters")
        return text


class PathName(Name):
    """A name that a path can end with."""

    name = "name in a path"

    def validate(self, value: Any) -> str:
        """Only a name without slashes."""
        text = super().validate(value)
        if "/" in text:
            raise ValueError("a slash is not allowed, no path could lead there")
        return text


class Word(Text):
    """One of some words."""

    name = "word"

    def __init__(self, *words: str) -> None:
        self.words = words

    def validate(self, value: Any) -> str:
        """Only one of the words."""
        if value not in self.words:
            raise ValueError(f"one of {', '.join(self.words)} is expected, not {value!r}")
        return str(value)


class Flag(AttributeType):
    """A boolean, in requests also as a word."""

    basetype = bool
    name = "bool"

    def validate(self, value: Any) -> bool:
        """True, false, or a word for one of them."""
        if isinstance(value, bool):
            return value
        word = str(value)
        if not isinstance(value, (str, int)) or not is_flag_word(word):
            raise ValueError("a boolean is expected")
        return parse_flag("", word)

    def render(self, value: Any) -> bool | None:
        """Some databases give 0 and 1."""
        return None if value is None else bool(value)


class Number(AttributeType):
    """An integer, in requests also as decimal text."""

    basetype = int
    name = "int"

    def validate(self, value: Any) -> int:
        """An integer or its digits."""
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise ValueError("an integer is expected")
        return int(value)


class Moment(AttributeType):
    """A UTC time without fraction and zone."""

    name = "datetime"

    def render(self, value: Any) -> str | None:
        """``YYYY-MM-DD HH:MM:SS``; a text is cut there."""
        if isinstance(value, dt.datetime):
            return value.isoformat(" ", "seconds")
        return value[:19].replace("T", " ") if value else None


class TextList(AttributeType):
    """A list of texts."""

    basetype = wtypes.ArrayType(wtypes.text)
    name = "text list"

    def validate(self, value: Any) -> list[str]:
        """A list of texts."""
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise ValueError("a list of strings is expected")
        return [TEXT.validate(each) for each in value]

    def render(self, value: Any) -> Any:
        """A row holds the JSON text of the list, which is passed on."""
        return orjson.Fragment(value) if isinstance(value, str) else value


class JsonText(AttributeType):
    """An object, shown as a string of JSON text (doc:rest/conventions#json-texts)."""

    name = "jsonstr"

    def __init__(self, containers: json.ContainerLimit = json.USUAL_CONTAINERS) -> None:
        self._containers = containers

    def within(self, containers: json.ContainerLimit) -> AttributeType:
        """One that decodes no more."""
        return type(self)(containers)

    def validate(self, value: Any) -> dict[str, Any]:
        """An object or a string with the JSON text of one."""
        if isinstance(value, str):
            value = self._decoded(value)
            if isinstance(value, str):
                # the client's library encodes anew what its caller has encoded already
                value = self._decoded(value)
        if not value and not isinstance(value, str):
            return {}
        if not isinstance(value, dict):
            raise ValueError("a JSON object is expected")
        return value

    def _decoded(self, text: str) -> Any:
        try:
            return json.parse(text, self._containers)
        except ValueError as error:
            raise ValueError(f"a JSON object is expected, this is not JSON: {error}") from None

    def render(self, value: Any) -> str | None:
        """The text that a row holds, or the text of an engine's answer."""
        return value if value is None else json_text(value)


class AnyJson(JsonText):
    """Any value; a string is decoded if it is JSON (doc:rest/action_executions#deliver)."""

    name = "json"

    def validate(self, value: Any) -> Any:
        """Never an error."""
        if not isinstance(value, str):
            return value
        try:
            return json.parse(value, self._containers)
        except ValueError:
            return value


TEXT: Final = Text()
NAME: Final = Name()
PATH_NAME: Final = PathName()
SCOPE: Final = Word("private", "public")
FLAG: Final = Flag()
NUMBER: Final = Number()
MOMENT: Final = Moment()
TEXT_LIST: Final = TextList()
JSON_TEXT: Final = JsonText()
ANY_JSON: Final = AnyJson()


def json_text(value: Any) -> str:
    """JSON text as it is shown; the client prints the output of an action without a look at it."""
    return json.spaced(value if isinstance(value, str) else json.dumps(value))


def checked(kind: AttributeType, name: str, value: Any) -> Any:
    """A value of a request, checked.

    :raises InputException: naming the attribute.
    """
    try:
        return kind.validate(value)
    except ValueError as error:
        raise exc.InputException(
            f"Invalid input for field/attribute {name}. Value: {_shown(value)}. {error}."
        ) from error


def _shown(value: Any) -> str:
    if not isinstance(value, str):
        return repr(json.beginning(value, 80))
    return repr(value if len(value) <= 80 else value[:80] + "...")
