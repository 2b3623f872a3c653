"""Orders in, reports out; claims, repetitions, deadlines and the end of a process."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine.executor.run import Stage


def test_an_action_is_claimed_run_and_reported(
    executor: Any, engine: Any, order: Any, eventually: Any
) -> None:
    executor.run_actions([order("a", input={"value": 5}, attempt=2)])
    report = engine.result_of("a")
    assert (report["state"], report["result"], report["attempt"]) == ("SUCCESS", 5, 2)
    assert engine.claims == [[{"id": "a", "attempt": 2}]]
    eventually(lambda: executor.running_ids() == [])


def test_one_claim_for_all_actions_of_a_message(executor: Any, engine: Any, order: Any) -> None:
    executor.run_actions([order(str(n)) for n in range(50)])
    engine.wait_for(lambda: len(engine.results) == 50)
    assert len(engine.claims) == 1


def test_only_granted_actions_run(
    executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    engine.refuse = {"no"}
    executor.run_actions([order("no", input={"value": "no"}), order("yes", input={"value": "yes"})])
    engine.result_of("yes")
    eventually(lambda: executor.running_ids() == [])
    assert gate.runs == ["yes"]


def test_a_refused_action_may_be_ordered_again(
    executor: Any, engine: Any, order: Any, eventually: Any
) -> None:
    engine.refuse = {"a"}
    executor.run_actions([order("a")])
    engine.wait_for(lambda: engine.claims)
    eventually(lambda: executor.running_ids() == [])
    engine.refuse = set()
    executor.run_actions([order("a")])
    assert engine.result_of("a")["state"] == "SUCCESS"


def test_safe_actions_skip_the_claim(executor: Any, engine: Any, order: Any) -> None:
    executor.run_actions([order("a", needs_claim=False)])
    engine.result_of("a")
    assert engine.claims == []


def test_masked_secrets_are_left_to_an_engine_that_knows_them(
    executor: Any, engine: Any, order: Any
) -> None:
    kept = order("b", needs_claim=True, input={"value": "***"}, is_whole=True)
    executor.run_actions([order("a", needs_claim=True, input={"value": ["***"]}), kept])
    assert engine.result_of("b")["result"] == "***"
    assert [[claim["id"] for claim in claims] for claims in engine.claims] == [["b"]]


def test_a_claim_nobody_answered_is_repeated(executor: Any, engine: Any, order: Any) -> None:
    engine.failures["claim_actions"] = [exc.RPCException(), exc.RPCException()]
    executor.run_actions([order("a")])
    assert engine.result_of("a")["state"] == "SUCCESS"


def test_patience_grows_while_no_engine_answers(executor: Any, engine: Any, order: Any) -> None:
    """Whoever was asked may be dead, so the first try is short; or slow, so later ones are not."""
    engine.failures["on_actions_complete"] = [exc.RPCException() for _ in range(6)]
    executor.run_actions([order("a", needs_claim=False)])
    engine.result_of("a")
    assert engine.timeouts["on_actions_complete"] == [3, 6, 12, 20, 20, 20, 20]
    executor.run_actions([order("b", needs_claim=False)])
    engine.result_of("b")
    assert engine.timeouts["on_actions_complete"][7:] == [16]


def test_an_engine_is_told_how_often_a_result_was_sent(
    executor: Any, engine: Any, order: Any
) -> None:
    """Those before it may have died of it."""
    executor.run_actions([order("a", needs_claim=False)])
    assert "sent" not in engine.result_of("a")
    engine.failures["on_actions_complete"] = [exc.RPCException(), exc.RPCException()]
    executor.run_actions([order("b", needs_claim=False)])
    assert engine.result_of("b")["sent"] == 3


def test_a_repeated_order_changes_nothing(
    executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    """Also when the claim is granted again, as it is to the executor that holds it."""
    executor.run_actions([order("a", "Gated"), order("a", "Gated")])
    gate.wait_begun()
    executor.run_actions([order("a", "Gated")])
    gate.open.set()
    engine.result_of("a")
    eventually(lambda: executor.running_ids() == [])
    executor.run_actions([order("a", "Gated"), order("last")])
    engine.result_of("last")
    assert len(gate.runs) == 2
    assert sum(len(batch) for batch in engine.batches) == 2


def test_another_attempt_is_another_run(executor: Any, engine: Any, order: Any, gate: Any) -> None:
    executor.run_actions([order("a", attempt=0)])
    engine.result_of("a")
    executor.run_actions([order("a", attempt=1)])
    engine.wait_for(lambda: engine.results["a"]["attempt"] == 1)
    assert len(gate.runs) == 2


def test_a_result_is_kept_until_an_engine_answered(
    executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    answered = threading.Event()
    tried = threading.Semaphore(0)

    def down(args: dict[str, Any]) -> None:
        if not answered.is_set():
            tried.release()
            raise exc.RPCException("nobody is there")

    engine.before["on_actions_complete"] = down
    executor.run_actions([order("a", input={"value": 1})])
    for _ in range(3):
        assert tried.acquire(timeout=10)
    assert executor.running_ids() == ["a"]
    answered.set()
    assert engine.result_of("a")["result"] == 1
    eventually(lambda: executor.running_ids() == [])
    assert gate.runs == [1]


def test_one_refused_result_does_not_hold_up_the_others(
    executor: Any, engine: Any, order: Any
) -> None:
    def picky(args: dict[str, Any]) -> None:
        if any(result["id"] == "bad" for result in args["results"]):
            raise exc.MistralException("can't store that")

    engine.before["on_actions_complete"] = picky
    executor.run_actions([order(name, needs_claim=False) for name in ("x", "bad", "y", "z")])
    engine.wait_for(lambda: {"x", "y", "z"} <= set(engine.results))
    assert executor.running_ids() == ["bad"]


def test_results_that_pile_up_travel_together(
    executor: Any, engine: Any, order: Any, instant: Any
) -> None:
    release = threading.Event()
    calls = threading.Semaphore(0)

    def slow(args: dict[str, Any]) -> None:
        calls.release()
        assert release.wait(10)

    engine.before["on_actions_complete"] = slow
    # both senders are busy with one result each, the others pile up
    executor.run_actions([order("first", needs_claim=False)])
    assert calls.acquire(timeout=10)
    executor.run_actions([order("second", needs_claim=False)])
    assert calls.acquire(timeout=10)
    executor.run_actions([order(str(n), **instant, input={"output": n}) for n in range(250)])
    release.set()
    engine.wait_for(lambda: len(engine.results) == 252)
    assert sorted(len(batch) for batch in engine.batches) == [1, 1, 50, 100, 100]


def test_instant_actions_run_on_the_receiving_thread(
    executor: Any, engine: Any, order: Any, instant: Any
) -> None:
    executor.run_actions([order(str(n), **instant, input={"output": n}) for n in range(20)])
    engine.wait_for(lambda: len(engine.results) == 20)
    assert len(engine.batches) == 1
    assert executor._pool._workers == set()


def test_asynchronous_actions_report_and_are_forgotten(
    executor: Any, engine: Any, order: Any, eventually: Any
) -> None:
    executor.run_actions([order("a", "Async")])
    assert engine.result_of("a")["kind"] == "signalled"
    eventually(lambda: executor.running_ids() == [])


def test_a_deadline_ends_the_wait_and_the_late_result_is_dropped(
    make_executor: Any, engine: Any, order: Any, gate: Any
) -> None:
    executor = make_executor(thread_pool_size=1)
    executor.run_actions([order("slow", "Gated", timeout=0.1)])
    report = engine.result_of("slow")
    assert (report["state"], report["result"]) == ("ERROR", "Timeout after 0.1 seconds")
    # the only thread is stuck: another one took its place
    executor.run_actions([order("next")])
    assert engine.result_of("next")["state"] == "SUCCESS"
    gate.open.set()
    executor.run_actions([order("last")])
    engine.result_of("last")
    assert sum(len(batch) for batch in engine.batches) == 3


def test_no_more_actions_than_threads_run_at_once(
    make_executor: Any, engine: Any, order: Any, gate: Any
) -> None:
    executor = make_executor(thread_pool_size=2)
    executor.run_actions([order(str(n), "Gated", needs_claim=False) for n in range(5)])
    gate.wait_begun()
    gate.wait_begun()
    assert len(gate.runs) == 2
    assert len(executor._pool._workers) == 2
    assert sorted(executor.running_ids()) == list("01234")
    gate.open.set()
    engine.wait_for(lambda: len(engine.results) == 5)


def test_heartbeats_list_what_is_running(
    make_executor: Any, engine: Any, order: Any, gate: Any
) -> None:
    engine.failures["executor_alive"] = [exc.RPCException()]
    executor = make_executor(heartbeat_interval=0.02, host="here")
    executor.run_actions([order("a", "Gated")])
    engine.wait_for(lambda: engine.beats and engine.beats[-1]["running"] == ["a"])
    assert engine.beats[-1]["executor_id"] == executor.executor_id
    assert engine.beats[-1]["host"] == "here"
    gate.open.set()
    engine.wait_for(lambda: engine.beats[-1]["running"] == [])


def test_every_process_has_an_identity_of_its_own(make_executor: Any) -> None:
    assert make_executor().executor_id != make_executor().executor_id


def test_a_direct_run_returns_its_report(executor: Any, engine: Any) -> None:
    report = executor.run_action(None, "Returns", None, {"value": 4}, False)
    assert (report.state, report.result) == ("SUCCESS", 4)
    assert executor.run_action("a", "Raises", {}, {}, False).state == "ERROR"
    assert executor.run_action("a", "Async", {}, {}, False).kind == "signalled"
    late = executor.run_action("a", "Gated", {}, {}, False, timeout=0.05)
    assert late.result == "Timeout after 0.05 seconds"
    assert (engine.batches, engine.claims) == ([], [])


def test_a_redelivered_run_is_repeated_only_when_safe(executor: Any, gate: Any) -> None:
    refused = executor.run_action("a", "Returns", {}, {}, False, redelivered=True)
    assert refused.state == "ERROR"
    assert "redelivered" in refused.result
    assert gate.runs == []
    repeated = executor.run_action("a", "Returns", {}, {}, True, redelivered=True)
    assert repeated.state == "SUCCESS"


def test_a_graceful_stop_waits_and_loses_nothing(
    make_executor: Any, engine: Any, order: Any, gate: Any
) -> None:
    executor = make_executor(thread_pool_size=1)
    executor.run_actions([order("running", "Gated")])
    gate.wait_begun()
    executor.run_actions([order("queued", attempt=3), order("safe", needs_claim=False)])
    engine.wait_for(lambda: len(engine.claims) == 2)
    engine.failures["on_actions_complete"] = [exc.RPCException()]
    stopping = threading.Thread(target=executor.stop, kwargs={"graceful": True})
    stopping.start()
    engine.wait_for(lambda: engine.released)
    gate.open.set()
    stopping.join(10)
    assert not stopping.is_alive()
    assert engine.released == [{"id": "queued", "attempt": 3}, {"id": "safe", "attempt": 0}]
    assert set(engine.results) == {"running"}
    executor.run_actions([order("late")])
    assert executor.running_ids() == []
    with pytest.raises(exc.UnavailableException):
        executor.run_action("a", "Returns", {}, {}, False)


def test_a_stop_does_not_wait_for_ever(
    make_executor: Any, engine: Any, order: Any, gate: Any
) -> None:
    executor = make_executor(grace_period=0.05, flush_period=0.05)
    executor.run_actions([order("stuck", "Gated")])
    gate.wait_begun()
    executor.stop(graceful=True)
    assert engine.results == {}


def test_a_claim_answered_after_the_end_starts_nothing(
    make_executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slow(args: dict[str, Any]) -> None:
        asked.set()
        assert answer.wait(10)

    engine.before["claim_actions"] = slow
    executor = make_executor(flush_period=0.05)
    executor.run_actions([order("a")])
    assert asked.wait(10)
    executor.stop(graceful=True)
    assert engine.released == [{"id": "a", "attempt": 0}]
    answer.set()
    eventually(lambda: engine.claims)
    assert gate.runs == []


def test_no_more_is_claimed_than_can_begin_soon(
    make_executor: Any, engine: Any, order: Any, gate: Any
) -> None:
    """What only waits must not end in ERROR with this executor; it is named all the same."""
    executor = make_executor(thread_pool_size=2)
    executor.run_actions([order(str(n), "Gated") for n in range(9)])
    gate.wait_begun()
    gate.wait_begun()
    assert [len(claims) for claims in engine.claims] == [4]
    assert sorted(executor.running_ids()) == list("012345678")
    gate.open.set()
    engine.wait_for(lambda: len(engine.results) == 9)
    # the window is filled when half of it is free, not for each action
    assert sum(len(claims) for claims in engine.claims) == 9
    assert len(engine.claims) <= 4


def test_refused_claims_make_room_for_others(
    make_executor: Any, engine: Any, order: Any, eventually: Any
) -> None:
    executor = make_executor(thread_pool_size=1)
    engine.refuse = {str(n) for n in range(8)}
    executor.run_actions([order(str(n)) for n in range(9)])
    engine.result_of("8")
    eventually(lambda: executor.running_ids() == [])


def test_orders_beyond_the_bound_are_left_to_the_engines(
    make_executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    executor = make_executor(thread_pool_size=1, accepted_runs=3)
    executor.run_actions([order(str(n), "Gated") for n in range(5)])
    assert executor.running_ids() == ["0", "1", "2"]
    gate.open.set()
    eventually(lambda: executor.running_ids() == [])
    executor.run_actions([order("3"), order("4")])
    engine.wait_for(lambda: len(engine.results) == 5)


def test_an_old_claim_is_confirmed_before_its_action_begins(
    make_executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    """A process that slept wakes up with claims that were taken back meanwhile."""
    executor = make_executor(thread_pool_size=1, claim_confirmed_for=5.0)
    executor.run_actions([order("running", "Gated")])
    gate.wait_begun()
    executor.run_actions([order("queued", input={"value": "queued"})])
    engine.wait_for(lambda: len(engine.claims) == 2)
    eventually(lambda: executor._protocol.runs["queued", 0].stage is Stage.QUEUED)
    executor._protocol.runs["queued", 0].claimed_at -= 60
    engine.refuse = {"queued"}
    gate.open.set()
    eventually(lambda: executor.running_ids() == [])
    assert engine.claims[2:] == [[{"id": "queued", "attempt": 0}]]
    assert gate.runs == [None]


def test_a_claim_that_takes_too_long_is_asked_for_again(
    make_executor: Any, engine: Any, order: Any, gate: Any
) -> None:
    executor = make_executor(claim_confirmed_for=0.2)
    slow = iter([True])

    def answer_late(args: dict[str, Any]) -> None:
        if next(slow, False):
            threading.Event().wait(0.3)

    engine.before["claim_actions"] = answer_late
    engine.failures["claim_actions"] = []
    executor.run_actions([order("a")])
    assert engine.result_of("a")["state"] == "SUCCESS"
    assert len(engine.claims) >= 2
    assert len(gate.runs) == 1


def test_a_confirmation_nobody_answers_is_repeated(
    make_executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    executor = make_executor(thread_pool_size=1)
    executor.run_actions([order("running", "Gated")])
    gate.wait_begun()
    executor.run_actions([order("queued")])
    eventually(lambda: executor._protocol.runs["queued", 0].stage is Stage.QUEUED)
    executor._protocol.runs["queued", 0].claimed_at -= 60
    engine.failures["claim_actions"] = [exc.RPCException(), exc.RPCException()]
    gate.open.set()
    assert engine.result_of("queued")["state"] == "SUCCESS"
    assert len(gate.runs) == 2


def test_direct_runs_are_few_and_go_first(
    make_executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    """They hold the threads on which orders arrive."""
    executor = make_executor(thread_pool_size=1, direct_runs=1)
    executor.run_actions([order("running", "Gated", needs_claim=False)])
    gate.wait_begun()
    executor.run_actions([order("later", needs_claim=False, input={"value": "later"})])
    reports: list[Any] = []
    direct = threading.Thread(
        target=lambda: reports.append(
            executor.run_action("d", "Returns", {}, {"value": "direct"}, False)
        )
    )
    direct.start()
    eventually(lambda: any(run.is_direct for run in list(executor._protocol.runs.values())))
    with pytest.raises(exc.UnavailableException):
        executor.run_action("e", "Returns", {}, {}, False)
    gate.open.set()
    direct.join(10)
    assert reports[0].state == "SUCCESS"
    engine.result_of("later")
    assert gate.runs == [None, "direct", "later"]


def test_a_direct_run_does_not_begin_when_its_caller_is_gone(
    make_executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    executor = make_executor(thread_pool_size=1)
    executor.run_actions([order("running", "Gated", needs_claim=False)])
    gate.wait_begun()
    report = executor.run_action("d", "Returns", {}, {"value": "late"}, False, patience=0.01)
    assert report.state == "ERROR"
    gate.open.set()
    eventually(lambda: not executor._protocol.runs)
    assert gate.runs == [None]


def test_a_direct_run_that_a_stop_leaves_undone_is_asked_for_again(
    make_executor: Any, engine: Any, order: Any, gate: Any, eventually: Any
) -> None:
    executor = make_executor(thread_pool_size=1)
    executor.run_actions([order("running", "Gated", needs_claim=False)])
    gate.wait_begun()
    refused: list[Exception] = []

    def ask() -> None:
        try:
            executor.run_action("d", "Returns", {}, {"value": "direct"}, False)
        except exc.UnavailableException as error:
            refused.append(error)

    caller = threading.Thread(target=ask)
    caller.start()
    eventually(lambda: any(run.is_direct for run in list(executor._protocol.runs.values())))
    stopping = threading.Thread(target=executor.stop, kwargs={"graceful": True})
    stopping.start()
    caller.join(10)
    assert len(refused) == 1
    gate.open.set()
    stopping.join(10)
    assert gate.runs == [None]


def test_what_is_granted_after_the_end_is_given_back(
    make_executor: Any, engine: Any, order: Any
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slow(args: dict[str, Any]) -> None:
        asked.set()
        assert answer.wait(10)

    engine.before["claim_actions"] = slow
    executor = make_executor(flush_period=0.05)
    executor.run_actions([order("a")])
    assert asked.wait(10)
    executor.stop(graceful=True)
    answer.set()
    # once for all that had not begun, and once for the claim that was granted behind that
    engine.wait_for(lambda: engine.released == [{"id": "a", "attempt": 0}] * 2)


def test_a_batch_of_claims_that_failed_half_way_starts_nothing_twice(
    executor: Any, engine: Any, order: Any, gate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = executor._pool.submit

    def submit_or_fail(run: Any, first: bool = False) -> None:
        if run.order.id == "b" and len(engine.claims) == 1:
            gate.wait_begun()
            raise MemoryError
        submit(run, first)

    monkeypatch.setattr(executor._pool, "submit", submit_or_fail)
    executor.run_actions([order("a", "Gated", input={"value": "a"}), order("b")])
    assert engine.result_of("b")["state"] == "SUCCESS"
    engine.wait_for(lambda: len(engine.claims) == 3)
    gate.open.set()
    assert engine.result_of("a")["state"] == "SUCCESS"
    executor.stop(graceful=True)
    assert gate.runs.count("a") == 1


@pytest.mark.parametrize("needs_claim", [True, False])
def test_the_actions_of_a_wide_execution_let_others_pass(
    make_executor: Any, engine: Any, order: Any, gate: Any, needs_claim: bool
) -> None:
    executor = make_executor(thread_pool_size=1)

    def orders(root: str, count: int) -> list[Any]:
        return [
            order(
                f"{root}{number}",
                action_class="Gated",
                input={"value": root},
                root_ex_id=root,
                wf_ex_id=f"{root}-child-{number}",
                needs_claim=needs_claim,
            )
            for number in range(count)
        ]

    executor.run_actions(orders("wide", 20))
    gate.wait_begun()
    executor.run_actions(orders("other", 1))
    gate.open.set()
    engine.wait_for(lambda: len(engine.results) == 21)
    # what was claimed before goes first, and nothing else
    assert gate.runs.index("other") <= 3
