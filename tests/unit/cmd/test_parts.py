"""What the operator's options become."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from mistral import config
from mistral.actions import http_content
from mistral.actions.services import SshOptions
from mistral.cmd.parts import Parts
from mistral.db.core import schema_version
from mistral.exceptions import ConfigurationError
from mistral.expressions import ExpressionOptions
from mistral.lang import DocumentLimits


def _parts(tmp_path: Path, text: str = "") -> Parts:
    path = tmp_path / "mistral.conf"
    path.write_text(f"[database]\nconnection = sqlite:///{tmp_path}/m.sqlite\n{text}")
    return Parts(config.load(["--config-file", str(path)]))


def _complaint(tmp_path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        _parts(tmp_path).check_database()
    return str(caught.value)


def test_an_empty_database_is_called_so(tmp_path: Path) -> None:
    file = tmp_path / "mistral.conf"
    assert _complaint(tmp_path) == (
        f"The database sqlite:///{tmp_path}/m.sqlite ([database] connection, from {file}) is "
        f"empty: run 'mistral-db-manage --config-file {file} upgrade head'."
    )


def test_an_older_schema_is_not_called_empty(tmp_path: Path) -> None:
    schema_version.upgrade(f"sqlite:///{tmp_path}/m.sqlite", "0001")
    assert "has a schema that this version can't work with: run" in _complaint(tmp_path)


def test_passwords_of_databases_are_not_told(tmp_path: Path) -> None:
    parts = _parts(tmp_path)
    url = "postgresql+psycopg://mistral:hidden@127.0.0.1/x"
    parts.conf.set_override("connection", url, group="database")
    assert parts.shown_database() == (
        "postgresql+psycopg://mistral:***@127.0.0.1/x ([database] connection, from the default)"
    )


def test_ssh_knows_no_keys_and_no_hosts_unless_told(tmp_path: Path) -> None:
    assert _parts(tmp_path).action_services.ssh == SshOptions()


def test_ssh_as_the_operator_allows_it(tmp_path: Path) -> None:
    parts = _parts(
        tmp_path,
        "[action_std_ssh]\nkey_dir = /keys\nknown_hosts_file = /hosts\nconnect_timeout = 1.5\n"
        "allow_proxy_command = true\nmax_output_size_bytes = 10\n",
    )
    assert parts.action_services.ssh == SshOptions(Path("/keys"), Path("/hosts"), 1.5, True, 10)


@pytest.mark.parametrize(("given", "expected"), [("", 5 * 1024 * 1024), ("0", 0)])
def test_http_as_the_operator_allows_it(tmp_path: Path, given: str, expected: int) -> None:
    text = f"[action_std_http]\nmax_response_size_bytes = {given}\n" if given else ""
    guard = _parts(tmp_path, text).action_services.http.guard
    assert guard.options.max_response_size == expected


def test_networks_as_the_operator_denies_them(tmp_path: Path) -> None:
    text = "[action_std_http]\ndeny_private = true\nallowed_cidrs = 10.1.0.0/16, 127.0.0.1/32\n"
    guard = _parts(tmp_path, text).action_services.http.guard
    denied = [a for a in ("10.1.1.1", "10.2.1.1", "127.0.0.1", "::1") if guard.is_denied(a)]
    assert denied == ["10.2.1.1", "::1"]
    for wrong in ("denied_cidrs = 10.0.0.1/8", "allowed_cidrs = somewhere"):
        with pytest.raises(ConfigurationError, match="denied_cidrs, allowed_cidrs: "):
            _ = _parts(tmp_path, f"[action_std_http]\n{wrong}\n").action_services


def test_each_limit_of_expressions_is_an_option(tmp_path: Path) -> None:
    assert _parts(tmp_path).expression_options() == ExpressionOptions()
    limits = [f.name for f in dataclasses.fields(ExpressionOptions) if f.name.startswith("max_")]
    numbers = {name: 1000 + i for i, name in enumerate(limits) if name != "max_filter_length"}
    lines = [f"{name} = {number}" for name, number in numbers.items()]
    text = "\n".join(["[expressions]", *lines, "max_filter_length = pprint:7,urlize:-1", ""])
    found = _parts(tmp_path, text).expression_options()
    assert {name: getattr(found, name) for name in numbers} == numbers
    assert found.max_filter_length == {"pprint": 7, "urlize": -1}


def test_each_limit_of_definitions_is_an_option(tmp_path: Path) -> None:
    assert _parts(tmp_path).document_limits() == DocumentLimits()
    names = [field.name for field in dataclasses.fields(DocumentLimits)]
    numbers = {name: 1000 + i for i, name in enumerate(names)}
    text = "\n".join(["[definitions]", *(f"{n} = {v}" for n, v in numbers.items()), ""])
    assert dataclasses.asdict(_parts(tmp_path, text).document_limits()) == numbers


def test_answers_of_http_have_the_containers_that_the_operator_allows(tmp_path: Path) -> None:
    assert _parts(tmp_path).action_services.http.guard.options.max_json_containers == 1_000_000
    text = "[action_std_http]\nmax_json_containers = 3\n"
    guard = _parts(tmp_path, text).action_services.http.guard
    assert guard.options.max_json_containers == 3
    assert http_content.decoded(b"[[], {}]", "application/json", 3) == [[], {}]
    assert http_content.decoded(b"[[], {}]", "application/json", 2) == "[[], {}]"
