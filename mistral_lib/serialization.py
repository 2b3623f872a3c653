"""Objects as JSON texts that travel between processes.

An object becomes ``{"__serial_key": key, "__serial_data": text}``: the key says which serializer
made the text. Values that JSON knows travel as they are. An action is taken apart into the path
of its class, the attributes of the class that were set for it and its own public attributes, and
is put together again without calling its constructor.
"""

from __future__ import annotations

import abc
import importlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from mistral_lib.actions.base import Action
from mistral_lib.actions.context import ActionContext
from mistral_lib.actions.types import Result
from mistral_lib.exceptions import SerializationError

SERIAL_KEY = "__serial_key"
SERIAL_DATA = "__serial_data"
#: Name of the class attribute that lists what was set on a class made for one definition.
CLASS_ATTRIBUTES = "__mistral_class_attributes__"


class Serializer(abc.ABC):
    """Turns objects of one kind into texts and back."""

    @abc.abstractmethod
    def serialize(self, entity: Any) -> str:
        """The text of an object."""

    @abc.abstractmethod
    def deserialize(self, text: str) -> Any:
        """The object of a text."""


class DictBasedSerializer(Serializer):
    """A serializer for what can be expressed as a mapping."""

    @abc.abstractmethod
    def serialize_to_dict(self, entity: Any) -> dict[str, Any]:
        """The mapping of an object."""

    @abc.abstractmethod
    def deserialize_from_dict(self, values: Mapping[str, Any]) -> Any:
        """The object of a mapping."""

    def serialize(self, entity: Any) -> str:
        return _dump(self.serialize_to_dict(entity))

    def deserialize(self, text: str) -> Any:
        return self.deserialize_from_dict(json.loads(text))


class ResultSerializer(DictBasedSerializer):
    """For :class:`~mistral_lib.actions.types.Result`."""

    def serialize_to_dict(self, entity: Result) -> dict[str, Any]:
        return {"data": entity.data, "error": entity.error, "cancel": entity.cancel}

    def deserialize_from_dict(self, values: Mapping[str, Any]) -> Result:
        return Result(values.get("data"), values.get("error"), bool(values.get("cancel")))


class ActionContextSerializer(DictBasedSerializer):
    """For :class:`~mistral_lib.actions.context.ActionContext`."""

    def serialize_to_dict(self, entity: ActionContext) -> dict[str, Any]:
        return entity.to_dict()

    def deserialize_from_dict(self, values: Mapping[str, Any]) -> ActionContext:
        return ActionContext.from_dict(values)


class ActionSerializer(DictBasedSerializer):
    """For actions of any class that can be imported on both sides."""

    def __init__(self, class_loader: Callable[[str], type] | None = None) -> None:
        self._load = class_loader or load_class

    def serialize_to_dict(self, entity: Action) -> dict[str, Any]:
        return {
            "cls": class_path(type(entity)),
            "cls_attrs": class_attributes(type(entity)),
            "data": {k: v for k, v in vars(entity).items() if not k.startswith("_")},
        }

    def deserialize_from_dict(self, values: Mapping[str, Any]) -> Action:
        cls = self._load(values["cls"])
        if not (isinstance(cls, type) and issubclass(cls, Action)):
            raise SerializationError(f"Not a class of actions: {values['cls']}")
        cls = with_attributes(cls, values.get("cls_attrs") or {})
        action = cls.__new__(cls)
        vars(action).update(values.get("data") or {})
        return action


class Serialization:
    """Serializers by class and by key; :func:`default_serialization` makes the usual set.

    A class without a serializer of its own uses that of its nearest base class.
    """

    def __init__(self) -> None:
        self._by_class: dict[type, tuple[str, Serializer]] = {}
        self._by_key: dict[str, Serializer] = {}

    def register(self, cls: type, serializer: Serializer, key: str | None = None) -> None:
        """Use a serializer for a class; the key defaults to the path of the class."""
        key = key or class_path(cls)
        if key in self._by_key:
            raise SerializationError(f"A serializer is registered already [key={key}]")
        self._by_class[cls] = (key, serializer)
        self._by_key[key] = serializer

    def serialize(self, entity: Any) -> Any:
        """What travels: the value itself where JSON knows it, else its wrapped form."""
        for cls in type(entity).__mro__:
            if cls in self._by_class:
                key, serializer = self._by_class[cls]
                return {SERIAL_KEY: key, SERIAL_DATA: serializer.serialize(entity)}
        return json.loads(_dump(entity))

    def deserialize(self, value: Any) -> Any:
        """The opposite of :meth:`serialize`."""
        if not (isinstance(value, Mapping) and set(value) == {SERIAL_KEY, SERIAL_DATA}):
            return value
        serializer = self._by_key.get(value[SERIAL_KEY])
        if serializer is None:
            raise SerializationError(f"No serializer is registered [key={value[SERIAL_KEY]}]")
        return serializer.deserialize(value[SERIAL_DATA])


def default_serialization(class_loader: Callable[[str], type] | None = None) -> Serialization:
    """Serializers for results, contexts and actions."""
    serialization = Serialization()
    serialization.register(Result, ResultSerializer())
    serialization.register(ActionContext, ActionContextSerializer())
    serialization.register(Action, ActionSerializer(class_loader))
    return serialization


def class_path(cls: type) -> str:
    """Where a class can be imported from, in dot notation."""
    base = cls.__bases__[0] if CLASS_ATTRIBUTES in vars(cls) else cls
    return f"{base.__module__}.{base.__qualname__}"


def class_attributes(cls: type) -> dict[str, Any]:
    """What :func:`with_attributes` set on a class."""
    return dict(vars(cls).get(CLASS_ATTRIBUTES, {}))


def with_attributes(cls: type[Action], attributes: Mapping[str, Any]) -> type[Action]:
    """A class that differs in attributes only: one Python class may serve many definitions."""
    if not attributes:
        return cls
    body = {**attributes, CLASS_ATTRIBUTES: dict(attributes), "__module__": cls.__module__}
    return type(cls.__name__, (cls,), body)


def load_class(path: str) -> type:
    """Import a class by its path in dot notation; classes within classes are found too."""
    parts = path.split(".")
    for split in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:split])
        try:
            found: Any = importlib.import_module(module_name)
        except ModuleNotFoundError as exc:
            # only "there is no such module" leads on to the next split, not a broken import inside
            if exc.name is None or not (module_name + ".").startswith(exc.name + "."):
                raise
            continue
        for name in parts[split:]:
            found = getattr(found, name, None)
        if isinstance(found, type):
            return found
        break
    raise SerializationError(f"There is no such class: {path}")


def _dump(value: Any) -> str:
    try:
        return json.dumps(value)
    except (TypeError, ValueError) as exc:
        raise SerializationError(f"JSON can't express a {type(value).__name__}") from exc
