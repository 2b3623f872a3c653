"""What people see of errors and addresses."""

from __future__ import annotations

import socket

import pytest

from mistral.utils import hosts, texts


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("no disk", "no disk"),
        ("no disk (The action raised an exception [action=a, action_ex_id=1])", "no disk"),
        ("\n no disk\n\nFailure caused by error in tasks: a\n", "no disk"),
        ("x" * 300, "x" * 197 + "..."),
        ("", ""),
    ],
)
def test_the_cause_is_the_beginning(text: str, cause: str) -> None:
    assert texts.cause_of(text) == cause


def test_all_addresses_are_called_by_the_machines_name() -> None:
    assert hosts.shown("0.0.0.0") == hosts.shown("::") == socket.gethostname()
    assert hosts.shown("10.1.2.3") == "10.1.2.3"
    assert hosts.reachable("10.1.2.3") == "10.1.2.3"


def test_a_name_that_leads_here_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert hosts.reachable("0.0.0.0") == "localhost"


@pytest.mark.parametrize("name", ["192.0.2.1", "x" * 80])
def test_a_name_that_leads_nowhere_or_elsewhere_is_not_used(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: name)
    assert hosts.reachable("0.0.0.0") == "127.0.0.1"
    assert hosts.reachable("::") == "::1"
