"""The engine's promises where processes compete: two engines, two executors, real servers."""

from __future__ import annotations

import concurrent.futures
import random

from mistral.utils import ids
from tests.lib.flows import Execution, Flows
from tests.lib.third_party import ThirdParty

CLIENTS = 8
DEADLINE = 90.0


def test_the_documented_example(flows: Flows, third_party: ThirdParty) -> None:
    run = flows.run(f"""
    main:
      tasks:
        one_plus_two:
          action: mistral_http url={third_party.url}
          input:
            params:
              a: 1
              b: 2
    """)
    assert run.task("one_plus_two")["result"] == 3
    assert third_party.delivered.wait(30)
    assert third_party.answers == [200]
    assert set(third_party.seen[0]) >= {"Mistral-Task-Id", "Mistral-Callback-URL"}


LOAD = """
sub:
  input: [n]
  output: {n: <% $.n %>}
  tasks:
    a: {action: std.noop, on-success: j}
    b: {action: std.noop, on-success: j}
    j: {action: std.noop, join: all}
main:
  input: [n]
  output: {sum: <% $.left.sum() + $.right.n %>}
  tasks:
    start: {action: std.noop, on-success: [left, right, wide]}
    left:
      with-items: i in <% range(8) %>
      action: std.echo output=<% $.i %>
      publish: {left: <% task().result %>}
      on-success: j
    wide:
      with-items: i in <% range(6) %>
      action: std.noop
      concurrency: 2
      on-success: j
    right: {workflow: sub, input: {n: <% $.n %>}, publish: {right: <% task().result %>}, on-success: j}
    j: {action: std.noop, join: all}
"""  # noqa: E501


def test_many_executions_at_once_and_operators_between(flows: Flows) -> None:
    flows.define(LOAD)
    rng = random.Random(4711)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        runs = list(pool.map(lambda n: flows.start("main", {"n": n}), range(50)))

        def bother(run: Execution) -> None:
            for state in ("PAUSED", "RUNNING") * 2:
                # 400: it has ended already, which is fine
                assert run.put(state=state)[0] in (200, 400)

        bothered = rng.sample(runs, 15)
        list(pool.map(bother, bothered))
        for number, run in enumerate(runs):
            run.wait("SUCCESS", DEADLINE)
            assert run.output == {"sum": 28 + number}
        names = ["j", "left", "right", "start", "wide"]
        assert all(found == names for found in pool.map(Execution.names, runs))
        assert all(len(run.actions("j")) == 1 for run in runs[::10])


def test_cancellations_under_load(flows: Flows) -> None:
    flows.define(LOAD)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        runs = list(pool.map(lambda n: flows.start("main", {"n": n}), range(12)))
        answers = list(pool.map(lambda run: run.put(state="CANCELLED"), runs))
    assert {status for status, _ in answers} == {200}
    for run in runs:
        run.until(lambda r=run: r.state in ("SUCCESS", "CANCELLED"), "it has ended")
        for child in run.children("right"):
            child.until(lambda c=child: c.state in ("SUCCESS", "CANCELLED"), "so has its child")


def test_racing_callbacks_have_one_winner(flows: Flows) -> None:
    run = flows.launch("""
    main:
      output: {all: <% task(t).result %>}
      tasks:
        t: {with-items: i in <% range(6) %>, action: std.async_noop, on-success: after}
        after: {action: std.noop}
    """)
    actions = run.wait_actions("t", 6)
    winners = []
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for action_id in actions:
            answers = pool.map(lambda n, a=action_id: flows.complete(a, n)[0], range(CLIENTS))
            statuses = list(answers)
            assert sorted(statuses) == [200] + [409] * (CLIENTS - 1)
            winners.append(statuses.index(200))
    run.wait()
    order = {row["id"]: json_result(row) for row in run.actions("t")}
    assert order == dict(zip(actions, winners, strict=True))
    assert run.names() == ["after", "t"]


def json_result(row: dict[str, object]) -> object:
    """The result in an action's output."""
    output = row["output"]
    assert isinstance(output, dict)
    return output["result"]


def test_one_id_starts_once(flows: Flows) -> None:
    flows.define("""
    main:
      tasks: {t: {action: std.async_noop}}
    """)
    execution_id = ids.new_id()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        again = range(2 * CLIENTS)
        found = {
            run.id
            for run in pool.map(lambda _: flows.start("main", execution_id=execution_id), again)
        }
    assert found == {execution_id}
    run = Execution(flows, execution_id)
    run.finish("t")
    run.wait()
    assert len(run.actions("t")) == 1


def test_a_result_may_come_before_the_executor_has_said_that_it_asked(flows: Flows) -> None:
    """The third party answers within the request that tells it, so to say."""
    flows.define("""
    main:
      output: {r: <% task(t).result %>}
      tasks: {t: {action: std.async_noop}}
    """)
    runs = [flows.start("main") for _ in range(10)]
    for number, run in enumerate(runs):
        tasks = run.until(lambda r=run: r.actions("t"), "the action's row is there")
        assert flows.complete(tasks[0]["id"], number)[0] == 200
    for number, run in enumerate(runs):
        assert run.wait().output == {"r": number}


RACE = """
child:
  tasks:
    x: {action: std.async_noop}
main:
  tasks:
    p: {workflow: child, on-error: handler}
    handler: {action: std.async_noop}
"""


def test_a_rerun_that_races_with_the_end_of_the_parent(flows: Flows) -> None:
    flows.define(RACE)

    def race(number: int) -> None:
        run = flows.start()
        (child,) = run.until(lambda: run.children("p"), "a child")
        child.finish("x", "no", "ERROR")
        run.wait_actions("handler")
        body = {"state": "RUNNING", "reset": True} if number % 2 else {"state": "SKIPPED"}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            end = pool.submit(run.finish, "handler")
            status, _ = pool.submit(child.put_task, "x", **body).result()
            end.result()
        _is_one_or_the_other(run, child, status)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(race, range(24)))


def _is_one_or_the_other(run: Execution, child: Execution, status: int) -> None:
    """Refused, or the parent has gone on with it, or what came too late has ended."""
    assert status in (200, 400)
    if status == 400:
        run.wait()
        assert (child.state, run.states()["p"]) == ("ERROR", "ERROR")
        return
    run.until(
        lambda: child.state in ("CANCELLED", "SUCCESS") or run.states()["p"] == "RUNNING",
        "it has ended, or the parent goes on with it",
    )
    if child.state == "RUNNING":
        child.finish("x")
    run.wait()
    together = run.states()["p"] == "SUCCESS"
    assert child.state == "SUCCESS" if together else child.state in ("CANCELLED", "SUCCESS")
    assert child.state == "SUCCESS" or "came too late" in child.info
