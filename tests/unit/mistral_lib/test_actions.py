"""The library for authors of actions."""

from __future__ import annotations

import pytest

from mistral_lib import actions


class Greet(actions.Action):
    """Greets."""

    def __init__(self, name: str, greeting: str = "Hello") -> None:
        self.name = name
        self.greeting = greeting

    def run(self, context: actions.ActionContext) -> str:
        return f"{self.greeting}, {self.name}!"


def test_an_action_is_synchronous_and_has_a_dry_run_by_default() -> None:
    action = Greet("Ann")
    assert action.run(actions.ActionContext()) == "Hello, Ann!"
    assert action.is_sync()
    assert action.test(actions.ActionContext()) is None
    assert not action.no_outside_effect


def test_an_action_must_run() -> None:
    class Idle(actions.Action):
        pass

    with pytest.raises(TypeError):
        Idle()  # type: ignore[abstract]


@pytest.mark.parametrize(
    ("result", "kind", "stored"),
    [
        (actions.Result(data=3), "success", 3),
        (actions.Result(), "success", None),
        (actions.Result(error="no"), "error", "no"),
        (actions.Result(error=""), "error", ""),
        (actions.Result(data=1, error={"a": 1}), "error", {"a": 1}),
        (actions.Result(data=1, cancel=True), "cancel", None),
        (actions.Result(error="x", cancel=True), "cancel", "x"),
    ],
)
def test_the_first_of_cancel_error_data_counts(
    result: actions.Result, kind: str, stored: object
) -> None:
    answers = {
        "success": result.is_success(),
        "error": result.is_error(),
        "cancel": result.is_cancel(),
    }
    assert answers == {name: name == kind for name in answers}
    assert result.to_dict() == {"result": stored}


def test_results_compare_by_value_and_have_a_short_text() -> None:
    assert actions.Result(data=[1]) == actions.Result(data=[1])
    assert actions.Result(data=1) != actions.Result(error=1)
    assert "..." in actions.Result(data="x" * 500).cut_repr(10)
    assert len(actions.Result(data="x" * 500).cut_repr(10)) < 80


def test_a_context_survives_its_journey() -> None:
    context = actions.ActionContext(
        security=actions.SecurityContext(project_id="p", auth_token="secret"),
        execution=actions.ExecutionContext(action_execution_id="a", callback_token="secret"),
    )
    again = actions.ActionContext.from_dict(context.to_dict())
    assert again == context
    assert "secret" not in repr(context)


def test_a_context_ignores_what_it_does_not_know() -> None:
    context = actions.ActionContext.from_dict({"execution": {"from_the_future": 1}})
    assert context == actions.ActionContext()
