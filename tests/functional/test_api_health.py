"""Who is alive: health, and what tasks say that wait for executors of which none is."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable
from concurrent import futures
from typing import Any

import pytest

from mistral.api import health
from mistral.db.core.database import Database
from mistral.db.execution import heartbeats
from mistral.db.storage import Storage
from mistral.engine.background.executor_watch import SAID_AGAIN, ExecutorWatch
from mistral.exceptions import RPCException, UnavailableException
from mistral.utils import clock

LONG_AGO, LATELY = 60, 1
PARTS = ("database", "engine", "executor")
NOBODY = "Waits for an executor: none is alive."

See = Callable[..., None]


@pytest.fixture
def see(database: Database) -> See:
    """Note signs of life, so many seconds ago."""

    def note(engine: int = LATELY, listening: int = LONG_AGO, **executors: int) -> None:
        now = clock.utc_now()
        seen = {heartbeats.LOOKED: engine, heartbeats.LISTENING: listening}
        kinds = dict.fromkeys(seen, (heartbeats.ENGINES, ""))
        kinds |= {host: (heartbeats.EXECUTOR, host) for host in executors}
        for member, seconds in {**seen, **executors}.items():
            moment = now - dt.timedelta(seconds=seconds)
            kind, host = kinds[member]
            database.write(
                lambda conn, m=member, k=kind, h=host, t=moment: heartbeats.seen(conn, m, k, h, t)
            )

    return note


def checked(api: Any, path: str = "/healthcheck/ready") -> tuple[int, list[str]]:
    """The status of readiness, and the parts that are not alive."""
    response = api("GET", path)
    checks = response.json["checks"]
    assert tuple(checks) == PARTS
    assert (response.json["status"] == "OK") == (response.status_int == 200)
    return response.status_int, [name for name, found in checks.items() if found != "OK"]


def test_life_is_this_process_and_readiness_all_parts(
    make_api: Callable[..., Any], see: See, engine: Any
) -> None:
    assert checked(make_api()) == (503, ["engine", "executor"])
    see(here=LONG_AGO)
    assert checked(make_api()) == (503, ["executor"])
    see(here=LATELY)
    for path in ("/healthcheck?detailed=true", "/healthcheck?detailed", "/healthcheck/ready"):
        assert checked(make_api(), path) == (200, [])
    see(engine=LONG_AGO, here=LATELY)
    assert checked(make_api()) == (503, ["engine"])
    see(here=LATELY)
    engine.silent = True
    assert checked(make_api()) == (503, ["engine"])
    assert make_api().get("/healthcheck") == {"status": "OK"}


def test_health_without_a_database(api: Any, database: Database, monkeypatch: Any) -> None:
    def away(*_: Any) -> None:
        raise UnavailableException

    monkeypatch.setattr(Database, "ping", away)
    assert checked(api) == (503, list(PARTS))
    assert api.get("/healthcheck") == {"status": "OK"}


def test_who_asks_often_is_told_what_is_known(api: Any, see: See, engine: Any) -> None:
    see(here=LATELY)
    for _ in range(20):
        assert checked(api) == (200, [])
    assert engine.methods().count("ping") < 5


@pytest.mark.parametrize(("just_before", "told"), [(10.0, 200), (0.0, 503)])
def test_while_somebody_asks_others_are_told_what_was_known_just_before(
    api: Any,
    see: See,
    engine: Any,
    monkeypatch: pytest.MonkeyPatch,
    just_before: float,
    told: int,
) -> None:
    """What was known long before is no answer: the engine may have died since."""
    monkeypatch.setattr(health, "_REMEMBERED", 0.0)
    monkeypatch.setattr(health, "_JUST_BEFORE", just_before)
    see(here=LATELY)
    assert checked(api) == (200, [])
    is_asked, may_fail = threading.Event(), threading.Event()

    def die(**_: Any) -> None:
        is_asked.set()
        may_fail.wait(30)
        raise RPCException("It is dead.")

    engine.answers["ping"] = die
    with futures.ThreadPoolExecutor() as pool:
        asking = pool.submit(checked, api)
        assert is_asked.wait(30)
        another = pool.submit(checked, api)
        if told == 503:
            with pytest.raises(futures.TimeoutError):
                another.result(0.3)
            may_fail.set()
        assert another.result(30)[0] == told
        may_fail.set()
        assert asking.result(30) == (503, ["engine"])


@pytest.fixture
def waiting(stored: Any) -> Any:
    """A task whose action nobody has taken."""
    return stored.task(stored.execution(), name="waits")


def _infos(api: Any, task: Any) -> list[str | None]:
    """What a task says of itself wherever it is shown."""
    execution = f"/v2/executions/{task.workflow_execution_id}"
    (listed,) = api.get("/v2/tasks?fields=state_info&name=" + task.name)["tasks"]
    (below,) = api.get(f"{execution}/tasks?name={task.name}")["tasks"]
    report = api.get(f"{execution}/report")["root_workflow_execution"]["task_executions"]
    (reported,) = [each for each in report if each["id"] == task.id]
    one = api.get(f"/v2/tasks/{task.id}")
    return [each["state_info"] for each in (listed, below, reported, one)]


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ({}, NOBODY),
        ({"target": "gone"}, NOBODY),
        ({"started_by": "gone/1", "started_at": clock.utc_now()}, None),
        ({"signalled_at": clock.utc_now()}, None),
        ({"result_at": clock.utc_now()}, None),
        ({"created_at": clock.utc_now() + dt.timedelta(hours=1)}, None),
    ],
)
def test_a_task_says_that_it_waits_for_an_executor(
    make_api: Callable[..., Any], stored: Any, see: See, waiting: Any, action: Any, says: Any
) -> None:
    stored.action(waiting, **action)
    see(gone=LONG_AGO)
    assert _infos(make_api(), waiting) == [says] * 4
    see(gone=LATELY)
    assert _infos(make_api(), waiting) == [None] * 4


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"], indirect=True)
def test_a_task_says_that_its_target_is_missing(
    make_api: Callable[..., Any], stored: Any, see: See, waiting: Any
) -> None:
    stored.action(waiting, target="gone")
    other = stored.task(stored.execution(), name="other")
    stored.action(other)
    see(gone=LONG_AGO, here=LATELY)
    assert "'gone'" in str(_infos(make_api(), waiting)[0])
    assert _infos(make_api(), other) == [None] * 4


@pytest.mark.parametrize("seen", [{"engine": LONG_AGO}, {"listening": LATELY}])
def test_nothing_is_said_while_nobody_would_have_heard(
    api: Any, stored: Any, see: See, waiting: Any, seen: dict[str, int]
) -> None:
    stored.action(waiting)
    see(gone=LONG_AGO, **seen)
    assert _infos(api, waiting) == [None] * 4


def test_an_operator_is_warned_once_a_minute(
    database: Database, see: See, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mistral.engine.background.executor_watch")
    now = [0.0]
    watch = ExecutorWatch(Storage(database), steady=lambda: now[0])

    def said(at: float) -> list[str]:
        caplog.clear()
        now[0] = at
        watch.look()
        return [record.levelname for record in caplog.records]

    see(listening=LATELY)
    assert said(0) == []
    see(here=LONG_AGO)
    assert said(10) == ["WARNING"]
    assert said(20) == said(SAID_AGAIN) == []
    assert said(10 + SAID_AGAIN) == ["WARNING"]
    see(here=LATELY)
    assert said(80) == ["INFO"]
    assert said(90) == []
