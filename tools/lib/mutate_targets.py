"""What ``tools/mutate`` changes, and which tests have to notice: the one place to keep up to date.

Nothing but declarations. A path that does not exist ends the tool with a sentence.
"""

from __future__ import annotations

import dataclasses

#: The pure heart: modules that decide. Paths or patterns below the project's root.
TARGETS = (
    "mistral/workflow/*.py",
    "mistral/engine/workflows.py",
    "mistral/engine/tasks.py",
    "mistral/engine/task_lifecycle.py",
    "mistral/engine/actions.py",
    "mistral/engine/policies.py",
    "mistral/engine/workflow_handler.py",
    "mistral/engine/task_handler.py",
    "mistral/engine/action_handler.py",
    "mistral/engine/dispatcher.py",
    "mistral/engine/joins/handler.py",
    "mistral/engine/joins/reachability.py",
    "mistral/engine/rollback/plan.py",
    "mistral/engine/rollback/handler.py",
    "mistral/engine/workflow_output.py",
    "mistral/engine/execution_events.py",
    "mistral/engine/mail/actions.py",
    "mistral/engine/mail/executions.py",
    "mistral/engine/mail/timers.py",
    "mistral/engine/inbox/decisions.py",
    "mistral/engine/inbox/processor.py",
    "mistral/engine/inbox/attempts.py",
)

#: A literal text given to these only tells what messages name.
TEXT_CALLS = (
    "check_input",
    "check_size",
    "evaluate",
    "evaluate_recursively",
    "_evaluate",
    "_number",
    "_seconds",
)


@dataclasses.dataclass(frozen=True)
class Stage:
    """Tests that are run together.

    :param paths: what pytest gets.
    :param keyword: pytest's ``-k``.
    :param seconds: how long they take at most; with a mutant they may take several times as long.
    """

    name: str
    about: str
    paths: tuple[str, ...] = ()
    keyword: str = ""
    seconds: float = 60.0


PURE = Stage(
    "pure",
    "decisions without a database: commands in, commands out",
    ("tests/unit/workflow", "tests/unit/decisions"),
)
LANGUAGE = Stage(
    "language",
    "the cases of the workflow language on an embedded service",
    ("tests/language/test_cases.py",),
    "test_the_language",
    120.0,
)
SIMULATION = Stage("simulation", "seeds of the simulator", seconds=60.0)
FUNCTIONAL = Stage("functional", "the tests over HTTP that belong to the module", seconds=120.0)

#: In the order in which a mutant meets them: what takes longer has less to do.
STAGES = (PURE, SIMULATION, LANGUAGE, FUNCTIONAL)

#: The functional stage: tests by the module's name, and those of all others.
FUNCTIONAL_TESTS = {
    "action": ("tests/functional/test_with_items.py", "tests/functional/test_unwanted_results.py"),
    "bounds": ("tests/functional/test_bounds.py",),
    "inbox": ("tests/unit/engine/test_heard_twice.py", "tests/unit/engine/test_poison.py"),
    "mail": ("tests/unit/engine/test_heard_twice.py", "tests/unit/engine/test_poison.py"),
    "join": ("tests/functional/test_joins.py", "tests/functional/test_failed_joins.py"),
    "events": ("tests/functional/test_sub_workflows.py",),
    "policies": ("tests/functional/test_policies.py",),
    "rollback": ("tests/functional/test_rollback.py",),
    "task": ("tests/functional/test_with_items.py", "tests/functional/test_policies.py"),
    "workflow": ("tests/functional/test_operators.py", "tests/functional/test_sub_workflows.py"),
}
OTHER_FUNCTIONAL_TESTS = (
    "tests/functional/test_direct_workflows.py",
    "tests/functional/test_with_items.py",
    "tests/functional/test_joins.py",
    "tests/functional/test_operators.py",
)


def functional_tests(module: str) -> tuple[str, ...]:
    """The functional tests that belong to a module: those of all parts of its path that are known.

    :param module: its path below ``mistral/``.
    """
    found = [test for part, tests in FUNCTIONAL_TESTS.items() for test in tests if part in module]
    return tuple(dict.fromkeys(found)) or OTHER_FUNCTIONAL_TESTS


def all_tests() -> list[str]:
    """All that is listed here of tests."""
    by_module = [test for tests in FUNCTIONAL_TESTS.values() for test in tests]
    of_stages = [path for stage in STAGES for path in stage.paths]
    return [*of_stages, *by_module, *OTHER_FUNCTIONAL_TESTS]
