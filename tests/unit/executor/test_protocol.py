"""What an executor holds and does next, without threads, messages and clocks."""

from __future__ import annotations

from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine.executor.options import ExecutorOptions
from mistral.engine.executor.protocol import ExecutorProtocol
from mistral.engine.executor.run import Run, Stage
from mistral.rpc.messages import ActionOrder, Report
from mistral.workflow.bounds import MEBIBYTE


def _order(action_id: str, **values: Any) -> ActionOrder:
    return ActionOrder(action_id, "x", **({"needs_claim": True} | values))


def _report(run: Run, result: Any = None) -> Report:
    return Report(run.order.id, state="SUCCESS", result=result)


def _made(**options: Any) -> ExecutorProtocol:
    protocol = ExecutorProtocol(ExecutorOptions(**options))
    protocol.open()
    return protocol


def _begun(protocol: ExecutorProtocol, order: ActionOrder) -> Run:
    (run,) = protocol.accept([order]).claim
    protocol.granted([run], [order.id], asked_at=0.0)
    assert protocol.begin(run)
    return run


def test_what_must_not_run_twice_is_claimed_and_the_rest_is_run() -> None:
    steps = _made().accept([_order("a"), _order("b", needs_claim=False)])
    assert [(run.order.id, run.stage) for run in steps.claim] == [("a", Stage.CLAIMING)]
    assert [(run.order.id, run.stage) for run in steps.run] == [("b", Stage.QUEUED)]
    assert not steps.report and not steps.answer


def test_an_executor_that_is_closed_takes_nothing() -> None:
    protocol = _made()
    assert protocol.close() and not protocol.close()
    steps = protocol.accept([_order("a")])
    assert not steps.claim and not steps.run
    with pytest.raises(exc.UnavailableException, match="stopping"):
        protocol.accept_direct(Run(_order("d"), is_direct=True))


def test_a_repeated_order_is_dropped_while_it_runs_and_afterwards() -> None:
    protocol, order = _made(), _order("a")
    run = _begun(protocol, order)
    assert not protocol.accept([order, order]).claim
    steps = protocol.end([(run, _report(run))])
    assert steps.report == [run]
    assert protocol.running_ids() == ["a"]
    protocol.forget([run])
    assert protocol.running_ids() == []
    assert not protocol.accept([order]).claim
    # another attempt is another run
    assert len(protocol.accept([_order("a", attempt=1)]).claim) == 1


def test_no_more_orders_are_kept_than_may_be() -> None:
    protocol = _made(accepted_runs=3)
    protocol.accept([_order(str(number)) for number in range(5)])
    assert protocol.running_ids() == ["0", "1", "2"]
    protocol.accept([_order("x")])
    assert protocol.running_ids() == ["0", "1", "2"]


def test_only_what_can_begin_soon_is_claimed() -> None:
    protocol = _made(thread_pool_size=1, claims_per_thread=2)
    first = protocol.accept([_order(str(number)) for number in range(5)]).claim
    assert [run.order.id for run in first] == ["0", "1"]
    refused = protocol.granted(first, [], asked_at=0.0)
    assert not refused.mine and not refused.unwanted
    assert [run.order.id for run in refused.steps.claim] == ["2", "3"]
    assert protocol.running_ids() == ["2", "3", "4"]


def test_a_claim_is_as_old_as_the_question() -> None:
    protocol = _made(claim_confirmed_for=4.0)
    (run,) = protocol.accept([_order("a")]).claim
    assert protocol.granted([run], ["a"], asked_at=100.0).mine == [run]
    assert protocol.is_confirmed(run, 104.0) and not protocol.is_confirmed(run, 104.1)
    protocol.claiming(run)
    assert not protocol.begin(run)
    protocol.granted([run], ["a"], asked_at=110.0)
    assert protocol.is_confirmed(run, 110.0) and protocol.begin(run)


def test_what_was_given_back_meanwhile_is_released_when_its_claim_is_granted() -> None:
    protocol = _made()
    (run,) = protocol.accept([_order("a")]).claim
    protocol.close()
    left, steps = protocol.give_back()
    assert left == [run] and not steps.claim
    granted = protocol.granted([run], ["a"], asked_at=0.0)
    assert granted.unwanted == [run] and not granted.mine
    assert not protocol.begin(run)


def test_a_claim_that_is_granted_again_begins_nothing_again() -> None:
    protocol = _made()
    run = _begun(protocol, _order("a"))
    granted = protocol.granted([run], ["a"], asked_at=1.0)
    assert not granted.mine and not granted.unwanted
    assert run.stage is Stage.RUNNING and protocol.is_running


def test_what_runs_is_not_given_back() -> None:
    protocol = _made()
    run = _begun(protocol, _order("a"))
    protocol.close()
    assert protocol.give_back()[0] == []
    assert protocol.end([(run, _report(run))]).report == [run]
    assert not protocol.is_running


def test_the_first_report_wins() -> None:
    protocol = _made()
    run = _begun(protocol, _order("a"))
    first = _report(run, "timeout")
    assert protocol.end([(run, first)]).report == [run]
    assert not protocol.end([(run, _report(run, "late"))]).report
    assert run.answer is first


def test_callers_that_wait_are_answered_and_engines_are_not_told() -> None:
    protocol = _made(direct_runs=1)
    run = Run(_order("d", needs_claim=False), is_direct=True)
    protocol.accept_direct(run)
    with pytest.raises(exc.UnavailableException, match="enough"):
        protocol.accept_direct(Run(_order("e"), is_direct=True))
    assert protocol.running_ids() == []
    assert protocol.has_room(run) and protocol.begin(run)
    steps = protocol.end([(run, _report(run))])
    assert steps.answer == [run] and not steps.report
    assert not protocol.runs


def test_a_large_input_waits_until_another_one_is_no_longer_needed() -> None:
    protocol = _made(values_mb=1)
    orders = [
        _order(name, input_size=MEBIBYTE, needs_claim=False, root_ex_id=name) for name in "ab"
    ]
    (first,) = protocol.accept(orders).run
    assert protocol.begin(first)
    steps = protocol.end([(first, _report(first))])
    assert [run.order.id for run in steps.run] == ["b"]


def test_results_that_no_engine_has_stored_hold_up_what_would_begin() -> None:
    protocol = _made(values_mb=1)
    orders = [_order(name, needs_claim=False, root_ex_id=name) for name in "ab"]
    first, second = protocol.accept(orders).run
    assert protocol.has_room(first) and protocol.begin(first)
    first.result_size = MEBIBYTE
    protocol.end([(first, _report(first))])
    assert not protocol.has_room(second)
    assert protocol.forget([first]).run == [second]
    assert protocol.has_room(second) and protocol.begin(second)


def test_a_report_tells_how_often_it_was_sent() -> None:
    protocol = _made()
    run = _begun(protocol, _order("a"))
    with pytest.raises(ValueError, match="has not ended"):
        run.to_send()
    protocol.end([(run, _report(run))])
    assert [run.to_send().sent for _ in range(3)] == [1, 2, 3]
