"""mistral-db-manage on SQLite."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral.cmd.db_manage import main
from mistral.db.core import schema_version


@pytest.fixture(autouse=True)
def _restored_logs() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def conf(tmp_path: Path, fresh_sqlite_url: str) -> list[str]:
    path = tmp_path / "mistral.conf"
    path.write_text(f"[database]\nconnection = {fresh_sqlite_url}\n")
    return ["--config-file", str(path)]


def test_upgrade_to_head_may_be_repeated(conf: list[str], fresh_sqlite_url: str) -> None:
    for _ in range(2):
        assert main([*conf, "upgrade", "head"]) == 0
    assert schema_version.is_current(fresh_sqlite_url)


def test_the_file_may_follow_the_command(conf: list[str], fresh_sqlite_url: str) -> None:
    assert main(["upgrade", "head", *conf]) == 0
    assert schema_version.is_current(fresh_sqlite_url)


def test_current_and_history(conf: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    main([*conf, "upgrade", "--delta", "1"])
    assert main([*conf, "current"]) == 0
    assert main([*conf, "history"]) == 0
    assert main([*conf, "branches"]) == 0
    assert capsys.readouterr().out.count("0001") >= 2


def test_sql_is_printed_and_nothing_happens(
    conf: list[str], fresh_sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*conf, "upgrade", "head", "--sql"]) == 0
    assert "CREATE TABLE" in capsys.readouterr().out
    assert schema_version.current(fresh_sqlite_url) is None


def test_stamp(conf: list[str], fresh_sqlite_url: str) -> None:
    assert main([*conf, "stamp", "0001"]) == 0
    assert schema_version.current(fresh_sqlite_url) == "0001"


@pytest.mark.parametrize("command", ["populate", "populate_actions"])
def test_populate_needs_the_schema(
    conf: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*conf, command]) == 1
    assert "upgrade head" in capsys.readouterr().err
    main([*conf, "upgrade", "head"])
    for _ in range(2):
        assert main([*conf, command]) == 0


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (["upgrade"], "give a revision"),
        (["upgrade", "nonsense"], "nonsense"),
        (["upgrade", "head", "--delta", "1"], "not both"),
        (["upgrade", "-1"], "no way back"),
        (["downgrade", "base"], "downgrade"),
        ([], "command"),
    ],
)
def test_mistakes_are_one_line(
    conf: list[str], line: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*conf, *line]) == 1
    error = capsys.readouterr().err
    assert complaint in error
    assert error.startswith("mistral-db-manage: ")
    assert error.count("\n") == 1
