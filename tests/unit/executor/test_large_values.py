"""Large inputs are asked for when their actions are about to run, large results hold up others."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mistral import exceptions as exc
from mistral.engine.executor.byte_window import SHARE
from mistral.rpc.batch_sender import MAX_BYTES, BatchSender

MEBIBYTE = 1024 * 1024


@pytest.fixture
def inputs(engine: Any) -> dict[str, Any]:
    """Inputs by action, which the engine tells; ``asked`` counts the questions."""
    known: dict[str, Any] = {"asked": []}

    def answer(executor_id: str, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        known["asked"] += [(w["id"], w["attempt"]) for w in wanted]
        return [{"id": w["id"], "input": known[w["id"]]} for w in wanted if w["id"] in known]

    engine._action_inputs = answer
    return known


@pytest.mark.parametrize("needs_claim", [True, False])
def test_the_input_comes_from_an_engine(
    make_executor: Any, engine: Any, order: Any, inputs: Any, eventually: Any, needs_claim: bool
) -> None:
    executor = make_executor()
    inputs["a"] = {"value": "large"}
    executor.run_actions([order("a", input_size=9, needs_claim=needs_claim, attempt=3)])
    assert engine.result_of("a")["result"] == "large"
    assert inputs["asked"] == [("a", 3)]
    eventually(lambda: not executor.running_ids())


def test_what_is_not_to_be_run_any_more_is_forgotten(
    executor: Any, engine: Any, order: Any, inputs: Any, gate: Any, eventually: Any
) -> None:
    executor.run_actions([order("a", input_size=9)])
    engine.wait_for(lambda: inputs["asked"])
    eventually(lambda: not executor.running_ids())
    assert not engine.results and not gate.runs


def test_engines_that_do_not_answer_are_asked_again(
    executor: Any, engine: Any, order: Any, inputs: Any
) -> None:
    inputs["a"] = {"value": 1}
    engine.failures["action_inputs"] = [exc.RPCException()] * 20
    executor.run_actions([order("a", input_size=9)])
    assert engine.result_of("a")["result"] == 1


def test_an_input_that_cannot_be_read_is_an_error_of_the_action(
    executor: Any, engine: Any, order: Any, inputs: Any
) -> None:
    engine.failures["action_inputs"] = [exc.MistralException("no such key")] * 99
    executor.run_actions([order("a", input_size=9)])
    report = engine.result_of("a")
    assert report["state"] == "ERROR" and "no such key" in report["result"]


def test_an_executor_that_stops_does_not_wait_for_an_input(
    make_executor: Any, engine: Any, order: Any, inputs: Any
) -> None:
    executor = make_executor(first_pause=60.0, longest_pause=60.0)
    engine.failures["action_inputs"] = [exc.RPCException()] * 99
    executor.run_actions([order("a", input_size=9)])
    engine.wait_for(lambda: "action_inputs" in engine.timeouts)
    executor.stop(graceful=True)
    assert [given["id"] for given in engine.released] == ["a"]


def test_no_more_inputs_are_loaded_than_may_be(
    make_executor: Any, engine: Any, order: Any, inputs: Any, gate: Any
) -> None:
    executor = make_executor(values_mb=8)
    wide = [str(number) for number in range(20)]
    inputs |= {name: {"value": name} for name in wide}
    executor.run_actions(
        [order(n, "Gated", input_size=MEBIBYTE, root_ex_id="wide", wf_ex_id=n) for n in wide]
    )
    for _ in range(8 // SHARE):
        gate.wait_begun()
    # room for others is left
    executor.run_actions([order("other", root_ex_id="other")])
    assert engine.result_of("other")["state"] == "SUCCESS"
    assert len(inputs["asked"]) == len(gate.runs) - 1 == 8 // SHARE
    # all have an owner meanwhile
    assert set(executor.running_ids()) >= set(wide)
    gate.open.set()
    engine.wait_for(lambda: engine.results.keys() >= set(wide))


@pytest.mark.parametrize("is_instant", [True, False])
def test_nothing_begins_while_too_many_results_wait(
    make_executor: Any, engine: Any, order: Any, instant: Any, eventually: Any, is_instant: bool
) -> None:
    executor = make_executor(values_mb=8, senders=1, thread_pool_size=3)
    stored = threading.Event()
    engine.before["on_actions_complete"] = lambda _: stored.wait(10)
    kind, name = ("Echo", "output") if is_instant else ("Returns", "value")
    wide = [
        order(
            str(n), kind, input={name: "x" * MEBIBYTE}, needs_claim=not is_instant, root_ex_id="w"
        )
        for n in range(50)
    ]
    executor.run_actions(wide)
    eventually(lambda: executor._protocol.bytes.waiting)
    # two are the part of one execution, and three may have begun at the same time
    assert 2 * MEBIBYTE <= executor._protocol.bytes.held <= 5 * MEBIBYTE + 100
    stored.set()
    engine.wait_for(lambda: len(engine.results) == 50)
    sizes = [sum(len(r["result"]) for r in batch) for batch in engine.batches]
    assert max(sizes) <= MAX_BYTES
    eventually(lambda: not executor._protocol.bytes.held)


def test_a_batch_is_bounded_by_bytes_and_owners_take_turns() -> None:
    delivered: list[list[tuple[str, int]]] = []
    sender = BatchSender(
        "test",
        delivered.append,
        threads=1,
        max_batch=10,
        max_bytes=10,
        size=lambda value: value[1],
        owner=lambda value: value[0],
    )
    sender.put([("wide", 6), ("wide", 4), ("wide", 11), ("wide", 1), ("other", 5)])
    sender.start()
    assert sender.wait_empty(10)
    sender.stop()
    assert delivered == [
        [("wide", 6)],
        [("other", 5), ("wide", 4)],
        [("wide", 11)],
        [("wide", 1)],
    ]
