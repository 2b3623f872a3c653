"""What the engine knows of actions without running them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.actions import std_actions
from mistral.actions.descriptors import (
    AdHocActionDescriptor,
    PythonActionDescriptor,
    base_chain,
)
from mistral.actions.http_actions import HTTPAction
from mistral_lib.actions import Action, ActionContext, ActionException, Result


class Picky(Action):
    """Has parameters of all kinds."""

    def __init__(self, one: Any, two: Any = "x", *, three: Any = None, four: Any = ()) -> None:
        if one == "boom":
            raise ValueError(f"unlucky {one}")
        if one == "sorry":
            raise ActionException(f"Can't work with '{two}'.")

    def run(self, context: ActionContext) -> None:
        return None


class Open(Action):
    """Takes anything."""

    def __init__(self, one: Any, **rest: Any) -> None:
        self.rest = rest

    def run(self, context: ActionContext) -> None:
        return None


def test_the_parameters_as_text() -> None:
    assert PythonActionDescriptor("e", std_actions.EchoAction).params_spec == "output, delay=0"
    assert PythonActionDescriptor("n", std_actions.NoOpAction).params_spec == ""
    assert PythonActionDescriptor("p", Picky).params_spec == 'one, two="x", three=null, four=[]'
    assert PythonActionDescriptor("o", Open).params_spec == "one"
    assert PythonActionDescriptor("h", HTTPAction).params_spec.startswith('url, method="GET", ')


def test_missing_and_unexpected_parameters_are_named() -> None:
    descriptor = PythonActionDescriptor("std.echo", std_actions.EchoAction)
    descriptor.check_parameters({"output": 1})
    with pytest.raises(exc.InputException) as caught:
        descriptor.check_parameters({"outputt": "value"})
    assert caught.value.text == (
        "Invalid input [name=std.echo, class=mistral.actions.std_actions.EchoAction, "
        "missing=['output'], unexpected=['outputt']]"
    )


def test_an_open_action_is_not_checked() -> None:
    PythonActionDescriptor("o", Open).check_parameters({"anything": 1})


def test_a_constructor_that_raises_says_why_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    descriptor = PythonActionDescriptor("picky", Picky)
    with pytest.raises(exc.InvalidActionException, match="cause=ValueError: unlucky boom]"):
        descriptor.instantiate({"one": "boom", "two": "unlucky"})
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert 'raise ValueError(f"unlucky {one}")' in caplog.text
    with pytest.raises(exc.InvalidActionException, match=r"Can't work with '\*\*\*'"):
        descriptor.instantiate(
            {"one": "sorry", "two": "s3cret-word", "three": {"token": "s3cret-word"}}
        )
    assert "s3cret-word" not in caplog.text


def test_what_a_descriptor_says_of_its_class() -> None:
    descriptor = PythonActionDescriptor("e", std_actions.EchoAction, is_system=True)
    assert descriptor.action_class_name == "mistral.actions.std_actions.EchoAction"
    assert descriptor.action_class_attributes == {}
    assert descriptor.is_safe
    assert descriptor.is_system
    assert not PythonActionDescriptor("h", HTTPAction).is_safe
    assert descriptor.instantiate({"output": 5}).run(ActionContext()) == 5
    assert descriptor.post_process_result(Result(data=1)) == Result(data=1)
    assert "unchanged" in (descriptor.description or "")


def test_attributes_make_a_class_of_their_own() -> None:
    descriptor = PythonActionDescriptor("p", Picky, {"color": "red"})
    assert descriptor.instantiate({"one": 1}).color == "red"  # type: ignore[attr-defined]
    assert (descriptor.action_class_name or "").endswith(".Picky")
    assert not hasattr(Picky, "color")


@dataclasses.dataclass(frozen=True)
class Input:
    name: str
    has_default: bool = False
    default: Any = None


@dataclasses.dataclass(frozen=True)
class Spec:
    base: str
    input: tuple[Input, ...] = ()


def adhoc(name: str, base: str, *inputs: Input, namespace: str = "") -> AdHocActionDescriptor:
    return AdHocActionDescriptor(name, Spec(base, inputs), namespace=namespace)


def test_the_input_of_an_adhoc_action() -> None:
    descriptor = adhoc("a", "std.echo", Input("x"), Input("y", True, 5), Input("z", True, "abc"))
    assert descriptor.params_spec == 'x, y=5, z="abc"'
    descriptor.check_parameters({"x": 1})
    with pytest.raises(exc.InputException, match=r"missing=\['x'\], unexpected=\['w'\]"):
        descriptor.check_parameters({"w": 1})
    assert not descriptor.is_system


def test_the_chain_of_bases_is_followed_outermost_first() -> None:
    echo = PythonActionDescriptor("std.echo", std_actions.EchoAction)
    known = {
        ("outer", "ns"): adhoc("outer", "inner", namespace="ns"),
        ("inner", "ns"): adhoc("inner", "std.echo"),
        ("std.echo", ""): echo,
    }
    chain = base_chain(lambda name, ns: known.get((name, ns)), known["outer", "ns"])
    assert [layer.name for layer in chain.layers] == ["outer", "inner"]
    assert chain.base is echo
    assert base_chain(lambda name, ns: None, echo).layers == ()


def test_cycles_and_unknown_bases_are_errors() -> None:
    known = {"a": adhoc("a", "b"), "b": adhoc("b", "a"), "c": adhoc("c", "nobody")}

    def find(name: str, namespace: str) -> AdHocActionDescriptor | None:
        return known.get(name)

    with pytest.raises(exc.InvalidActionException, match="cycle"):
        base_chain(find, known["a"])
    with pytest.raises(exc.InvalidActionException, match=r"Failed to find action .*nobody"):
        base_chain(find, known["c"])
