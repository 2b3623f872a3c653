"""mistral-set-aside on SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral.cmd.set_aside import main
from mistral.db.core import entity_rows, schema_version
from mistral.db.core.database import Database
from mistral.utils import clock, ids
from mistral.workflow.entities import Entity, ExecutionEvent, Timer, WorkflowExecution
from mistral.workflow.look_times import NEVER


@pytest.fixture
def database(fresh_sqlite_url: str) -> Iterator[Database]:
    schema_version.upgrade(fresh_sqlite_url)
    found = Database(fresh_sqlite_url)
    yield found
    found.close()


@pytest.fixture
def conf(tmp_path: Path, fresh_sqlite_url: str) -> list[str]:
    path = tmp_path / "mistral.conf"
    path.write_text(f"[database]\nconnection = {fresh_sqlite_url}\n")
    return ["--config-file", str(path)]


@pytest.fixture
def aside(database: Database) -> list[str]:
    """The ids of an event and a timer that were set aside, beside what was not."""
    now = clock.utc_now()
    living = WorkflowExecution(ids.new_id(), "w", "0", state="RUNNING", created_at=now)
    event = ExecutionEvent(ids.new_id(), "gone", "pause", created_at=now)
    timer = Timer(ids.new_id(), "retry", "gone", "t", 0, now, claimed_until=NEVER)
    others: list[Entity] = [
        living,
        ExecutionEvent(ids.new_id(), living.id, "pause", next_look_at=now, created_at=now),
        Timer(ids.new_id(), "retry", living.id, "t", 0, now, claimed_until=now),
    ]
    for row in (event, timer, *others):
        database.write(lambda conn, row=row: entity_rows.insert(conn, [row]))
    return [event.id, timer.id]


def test_list_retry_and_delete(
    conf: list[str], aside: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*arguments: str) -> tuple[list[str], str]:
        assert main([*conf, *arguments]) == 0
        printed = capsys.readouterr()
        return printed.out.splitlines(), printed.err.strip()

    lines, count = run("list")
    assert count == "2 set aside"
    assert lines[0].startswith(f"event {aside[0]}: pause, since 2")
    assert lines[1].startswith(f"timer {aside[1]}: retry, since 2")
    assert all(line.endswith("[execution=gone]") for line in lines)

    assert run("retry", aside[0], "unknown")[0] == ["1 will be looked at again"]
    assert run("list")[1] == "1 set aside"
    assert run("delete", "--all")[0] == ["1 deleted"]
    assert run("list") == ([], "0 set aside")


def test_parameters_of_the_connection_count(
    conf: list[str], aside: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with Path(conf[1]).open("a") as file:
        file.write("connection_parameters = max_page_count=none\n")
    assert main([*conf, "list"]) == 1
    assert "max_page_count" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["retry"], ["delete"], ["delete", "x", "--all"], [], ["x"]])
def test_what_is_not_said_clearly_changes_nothing(
    conf: list[str],
    aside: list[str],
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*conf, *arguments]) == 1
    assert capsys.readouterr().err.startswith("mistral-set-aside: ")
    main([*conf, "list"])
    assert capsys.readouterr().err.strip() == "2 set aside"
