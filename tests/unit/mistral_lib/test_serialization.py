"""Objects as texts that travel between processes."""

from __future__ import annotations

from typing import Any

import pytest

from mistral_lib import actions, exceptions, serialization


class Counting(actions.Action):
    """Knows whether its constructor was called."""

    constructed = 0
    step = 1

    def __init__(self, start: int) -> None:
        type(self).constructed += 1
        self.start = start
        self._hidden = "not state"

    def run(self, context: actions.ActionContext) -> int:
        return self.start + self.step

    class Inner:
        """A class within a class."""


@pytest.fixture
def travel() -> Any:
    registry = serialization.default_serialization()

    def go(value: Any) -> Any:
        return registry.deserialize(registry.serialize(value))

    return go


def loader(path: str) -> type:
    """The test's module can't be imported by its name."""
    assert path.endswith(".Counting")
    return Counting


@pytest.mark.parametrize("value", [None, 1, 1.5, "text", True, [1, "a"], {"a": {"b": None}}])
def test_plain_values_travel_as_they_are(travel: Any, value: Any) -> None:
    assert travel(value) == value


def test_tuples_become_lists(travel: Any) -> None:
    assert travel((1, (2,))) == [1, [2]]


def test_results_and_contexts_travel(travel: Any) -> None:
    result = actions.Result(data={"a": 1}, error=None, cancel=False)
    context = actions.ActionContext(execution=actions.ExecutionContext(workflow_name="w"))
    assert travel(result) == result
    assert travel(context) == context


def test_the_wrapped_form_is_the_documented_one() -> None:
    wrapped = serialization.default_serialization().serialize(actions.Result(data=1))
    assert set(wrapped) == {"__serial_key", "__serial_data"}
    assert isinstance(wrapped["__serial_data"], str)


def test_an_action_is_rebuilt_without_its_constructor() -> None:
    registry = serialization.default_serialization(class_loader=loader)
    made = serialization.with_attributes(Counting, {"step": 10})(5)  # type: ignore[call-arg]
    before = Counting.constructed
    rebuilt = registry.deserialize(registry.serialize(made))
    assert Counting.constructed == before
    assert isinstance(rebuilt, Counting)
    assert rebuilt.run(actions.ActionContext()) == 15
    assert not hasattr(rebuilt, "_hidden")


def test_class_attributes_make_a_class_of_the_same_path() -> None:
    derived = serialization.with_attributes(Counting, {"step": 3})
    assert serialization.class_path(derived) == serialization.class_path(Counting)
    assert serialization.class_attributes(derived) == {"step": 3}
    assert serialization.class_attributes(Counting) == {}
    assert serialization.with_attributes(Counting, {}) is Counting


def test_only_actions_are_rebuilt_as_actions() -> None:
    registry = serialization.default_serialization()
    key = serialization.class_path(actions.Action)
    forged = {"__serial_key": key, "__serial_data": '{"cls": "subprocess.Popen", "data": {}}'}
    with pytest.raises(exceptions.SerializationError, match="Not a class of actions"):
        registry.deserialize(forged)


def test_unknown_keys_and_values_are_refused(travel: Any) -> None:
    with pytest.raises(exceptions.SerializationError, match="No serializer"):
        serialization.default_serialization().deserialize(
            {"__serial_key": "nobody", "__serial_data": ""}
        )
    with pytest.raises(exceptions.SerializationError, match="JSON can't express"):
        travel(object())


def test_a_key_is_registered_once() -> None:
    registry = serialization.default_serialization()
    with pytest.raises(exceptions.SerializationError, match="already"):
        registry.register(actions.Result, serialization.ResultSerializer())


def test_classes_are_found_by_their_path() -> None:
    found = serialization.load_class("mistral_lib.actions.types.Result")
    assert found is actions.Result
    for path in ("mistral_lib.actions.types.Nothing", "no_such_module.Thing", "NoDots"):
        with pytest.raises(exceptions.SerializationError, match="no such class"):
            serialization.load_class(path)
