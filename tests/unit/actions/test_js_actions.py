"""`std.js`."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from mistral.actions import js_engines, js_worker
from mistral.actions.js_actions import JavaScriptAction
from mistral.actions.js_engines import MiniRacerEngine, ScriptLimits
from mistral.actions.js_pool import NO_PROCESS, ScriptPool
from mistral.actions.services import ActionServices
from mistral.exceptions import ConfigurationError
from mistral_lib.actions import ActionContext, ActionException


def children() -> set[int]:
    """The processes that this one has started and that are not over."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        listed = {int(number) for number in file.read().split()}
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/children") as file:
            listed |= {int(number) for number in file.read().split()}
    return listed


@pytest.fixture(scope="module")
def make_engine() -> Iterator[Any]:
    pytest.importorskip("py_mini_racer")
    made: list[MiniRacerEngine] = []

    def make(**limits: Any) -> MiniRacerEngine:
        made.append(MiniRacerEngine(ScriptLimits(**limits)))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def engine(make_engine: Any) -> MiniRacerEngine:
    return make_engine(timeout=20, max_processes=1)


@pytest.fixture
def run(engine: MiniRacerEngine) -> Any:
    def go(script: str, context: Any = None) -> Any:
        action = JavaScriptAction(script, context)
        action.equip(ActionServices(javascript=engine))
        return action.run(ActionContext())

    return go


@pytest.mark.parametrize(
    ("script", "context", "expected"),
    [
        ("return 1 + 1;", None, 2),
        ("return $.a * 2", {"a": 21}, 42),
        ("return $", None, None),
        ("var x = 1;", {}, None),
        ("return {a: [1, null, 'x']}", None, {"a": [1, None, "x"]}),
        ("return $.t // a comment at the end", {"t": "ü\u2028"}, "ü\u2028"),
    ],
)
def test_a_script_returns_plain_data(run: Any, script: str, context: Any, expected: Any) -> None:
    assert run(script, context) == expected


@pytest.mark.parametrize("script", ['throw "up";', "return no.such", "this is not a script"])
def test_failures_say_so(run: Any, script: str) -> None:
    with pytest.raises(ActionException, match="^JavaScriptAction failed: "):
        run(script, {})


@pytest.mark.parametrize(
    "script",
    [
        "while (true) {}",
        "return /(a+)+$/.test('a'.repeat(50) + 'b')",
        "const f = () => Promise.resolve().then(f); f(); while (true) {}",
        "try { while (true) {} } catch (e) { while (true) {} } finally { while (true) {} }",
        "return {toJSON() { while (true) {} }}",
    ],
)
def test_an_endless_script_ends(make_engine: Any, script: str) -> None:
    engine = make_engine(timeout=0.3, max_processes=1)
    before = children()
    with pytest.raises(
        ActionException, match=r"longer than 0.3 seconds \(\[action_std_js\] timeout"
    ):
        engine.evaluate(script, None)
    assert children() == before


@pytest.mark.parametrize(
    "script",
    [
        "return new ArrayBuffer(8e9).byteLength",
        "return new SharedArrayBuffer(8e9).byteLength",
        "return 'x'.repeat(2 ** 29 - 100)",
        "const a = []; while (true) a.push(new Uint8Array(1e6).fill(1))",
        "const a = []; while (true) a.push(new Array(1000).fill(1))",
        "return new WebAssembly.Memory({initial: 60000}).buffer.byteLength",
        "throw 'x'.repeat(2 ** 28)",
    ],
)
def test_a_script_that_takes_too_much_memory_ends(run: Any, script: str) -> None:
    with pytest.raises(
        ActionException, match=r"more than 128 MiB \(\[action_std_js\] max_memory_mb"
    ):
        run(script)
    assert run("return 1") == 1


def test_memory_within_the_limit_is_given(run: Any) -> None:
    assert run("return new Uint8Array(5e7).fill(1).length") == 50_000_000
    assert run("return 'x'.repeat(3e6)") == "x" * 3_000_000


def test_results_are_bounded(make_engine: Any) -> None:
    engine = make_engine(max_result_size=1000, max_processes=1)
    refusal = r"larger than 1000 bytes \(\[action_std_js\] max_result_size_bytes"
    for script in ("return 'x'.repeat(1000)", "return 'ü'.repeat(600)"):
        with pytest.raises(ActionException, match=refusal):
            engine.evaluate(script, None)
    assert engine.evaluate("return 'x'.repeat(900)", None) == "x" * 900


def test_lists_and_mappings_of_results_are_bounded(make_engine: Any) -> None:
    engine = make_engine(max_json_containers=3, max_processes=1)
    with pytest.raises(ActionException, match=r"\[action_std_js\] max_json_containers = 3 lists"):
        engine.evaluate("return [[], [], {}]", None)
    assert engine.evaluate("return [[], {}]", None) == [[], {}]


def test_deep_things_are_errors(run: Any) -> None:
    with pytest.raises(ActionException, match="Maximum call stack size exceeded"):
        run("function f() { return f() } return f()")
    with pytest.raises(ActionException, match="nested deeper than 200 levels"):
        run("let a = []; for (let i = 0; i < 3000; i++) a = [a]; return a")


def test_scripts_see_nothing_of_each_other(run: Any) -> None:
    run("globalThis.secret = 's'; Object.prototype.x = 1; JSON.stringify = () => '2'")
    assert run("return [typeof secret, typeof ({}).x, JSON.stringify(3)]") == [
        "undefined",
        "undefined",
        "3",
    ]


def test_what_a_script_leaves_running_does_not_meet_the_next(make_engine: Any) -> None:
    engine = make_engine(timeout=1, max_processes=1)
    for script in (
        "setTimeout(() => { while (true) {} }, 0); return 1",
        "Promise.resolve().then(() => { while (true) {} }); return 1",
    ):
        with contextlib.suppress(ActionException):
            engine.evaluate(script, None)
        assert engine.evaluate("return 2", None) == 2


def test_processes_are_kept_until_the_end(make_engine: Any) -> None:
    engine = make_engine()
    before = children()
    assert [engine.evaluate("return $", number) for number in range(3)] == [0, 1, 2]
    assert len(children() - before) == 1
    engine.close()
    assert children() == before
    with pytest.raises(ActionException, match="is stopping"):
        engine.evaluate("return 1", None)


def test_scripts_wait_for_a_process_for_a_limited_time(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ScriptPool(1, 1 << 27)
    assert pool.run("1 + ''", 20, 100) == (js_worker.VALUE, b"1")
    endless = threading.Thread(target=pool.run, args=("while (true) {}", 60, 100))
    endless.start()
    while pool.run("1 + ''", 0.05, 100)[0] != NO_PROCESS:
        pass
    pool.close()
    endless.join(10)
    assert not endless.is_alive()
    engine = make_engine()
    monkeypatch.setattr(ScriptPool, "run", lambda *_: (NO_PROCESS, b""))
    with pytest.raises(ActionException, match=r"\[action_std_js\] max_processes"):
        engine.evaluate("return 1", None)


def test_a_process_that_is_killed_is_replaced(make_engine: Any) -> None:
    engine = make_engine(max_processes=1)
    before = children()
    assert engine.evaluate("return 1", None) == 1
    (worker,) = children() - before
    # signals of a terminal or a service manager are for the service itself
    os.kill(worker, signal.SIGTERM)
    assert engine.evaluate("return 1", None) == 1
    assert children() - before == {worker}
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(ActionException, match="its process ended"):
        engine.evaluate("return 1", None)
    assert engine.evaluate("return 1", None) == 1


PARENT = """
import os, sys, threading
from mistral.actions.js_engines import MiniRacerEngine
engine = MiniRacerEngine()
engine.evaluate("return 1", None)
print(open(f"/proc/self/task/{os.getpid()}/children").read(), flush=True)
threading.Thread(target=engine.evaluate, args=("while (true) {}", None), daemon=True).start()
sys.stdin.read()
"""


def test_processes_end_with_their_parent() -> None:
    pytest.importorskip("py_mini_racer")
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        time.sleep(0.2)
        parent.kill()
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{worker}/exe") and time.monotonic() < deadline:
        time.sleep(0.02)
    with pytest.raises(OSError):
        os.readlink(f"/proc/{worker}/exe")


def test_without_an_engine_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ActionException, match="install the extra 'javascript'"):
        JavaScriptAction("return 1").run(ActionContext())


def test_engines_by_name() -> None:
    assert isinstance(js_engines.load_engine("py_mini_racer"), MiniRacerEngine)
    with pytest.raises(ConfigurationError, match="no JavaScript engine 'none'"):
        js_engines.load_engine("none")
