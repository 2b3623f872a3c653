"""Where the keys of secrets come from."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mistral import config
from mistral.actions.vault import Vault, new_key
from mistral.cmd import keys
from mistral.db.core import secret_keys, tables
from mistral.db.core.database import Database
from mistral.exceptions import ConfigurationError

Load = Callable[..., Vault]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path}/m.sqlite")
    with found.connect() as conn:
        tables.metadata.create_all(conn)
        conn.commit()
    yield found
    found.close()


@pytest.fixture
def load(tmp_path: Path, database: Database) -> Load:
    """The keys of an engine; its database is that of the fixture, whatever it is called."""

    def work(secrets: str = "", url: str = f"sqlite:///{tmp_path}/m.sqlite") -> Vault:
        path = tmp_path / "mistral.conf"
        path.write_text(f"[database]\nconnection = {url}\n[secrets]\n{secrets}\n")
        return keys.vault(config.load(["--config-file", str(path)]), database)

    return work


OTHER = "postgresql+psycopg://u:p@127.0.0.1/x"


def test_a_file_beside_sqlite_that_only_its_owner_reads(
    load: Load, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sealed = load().seal({"a": 1})
    path = tmp_path / "m.sqlite.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert caplog.text.count(str(path)) == 1
    assert load().open(sealed) == {"a": 1}
    assert caplog.text.count(str(path)) == 1
    assert [p.name for p in tmp_path.glob("m.sqlite.key*")] == ["m.sqlite.key"]
    path.chmod(0o640)
    load()
    assert f"chmod 600 {path}" in caplog.text


def test_configured_keys_come_first_and_the_made_one_still_decrypts(
    load: Load, tmp_path: Path
) -> None:
    sealed = load().seal({"a": 1})
    one, two, three = new_key(), new_key(), new_key()
    (tmp_path / "more").write_text(f"# comment\n\n{three}\n")
    vault = load(f"encryption_keys = {one}, {two}\nkey_file = {tmp_path}/more")
    assert Vault([one]).open(vault.seal({"a": 2})) == {"a": 2}
    for key in (two, three):
        assert vault.open(Vault([key]).seal({"a": 3})) == {"a": 3}
    assert vault.open(sealed) == {"a": 1}


def test_no_file_is_made_where_keys_are_configured(load: Load, tmp_path: Path) -> None:
    load(f"encryption_keys = {new_key()}")
    assert not list(tmp_path.glob("*.key"))


def test_without_keys_another_database_keeps_one_and_that_is_said(
    load: Load, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    sealed = load(url=OTHER).seal({"a": 1})
    assert "[secrets] encryption_keys is not set" in caplog.text
    kept = secret_keys.find(database)
    assert kept is not None
    assert kept not in caplog.text
    assert load(url=OTHER).open(sealed) == {"a": 1}
    caplog.clear()
    key = new_key()
    vault = load(f"encryption_keys = {key}", url=OTHER)
    assert "not set" not in caplog.text
    assert vault.open(sealed) == {"a": 1}
    assert Vault([key]).open(vault.seal({"a": 2})) == {"a": 2}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("encryption_keys = short", "32 random bytes"),
        ("key_file = {tmp}/none", "No such file"),
        ("key_file = {tmp}/empty", "no key in"),
        ("key_file = {tmp}/bad", "32 random bytes"),
    ],
)
def test_keys_that_are_none(load: Load, tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "empty").write_text("# nothing\n")
    (tmp_path / "bad").write_text("hidden-nonsense\n")
    with pytest.raises(ConfigurationError, match=complaint) as caught:
        load(text.format(tmp=tmp_path))
    assert "hidden-nonsense" not in str(caught.value)


def test_the_first_key_in_a_database_is_everybodys(database: Database) -> None:
    assert secret_keys.find(database) is None
    assert secret_keys.find_or_keep(database, "one") == "one"
    assert secret_keys.find_or_keep(database, "two") == "one"
