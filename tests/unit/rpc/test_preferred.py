"""A topic that only newer servers know."""

from __future__ import annotations

from unittest.mock import MagicMock

import pytest

from mistral import exceptions as exc
from mistral.rpc import preferred
from mistral.rpc.base import RPCClient
from mistral.rpc.preferred import PreferredClient


@pytest.fixture
def new() -> MagicMock:
    return MagicMock(spec=RPCClient)


@pytest.fixture
def old() -> MagicMock:
    return MagicMock(spec=RPCClient)


@pytest.fixture
def client(new: MagicMock, old: MagicMock) -> PreferredClient:
    return PreferredClient(new, old)


def test_new_servers_are_asked_at_their_topic(
    client: PreferredClient, new: MagicMock, old: MagicMock
) -> None:
    new.call.return_value = 1
    assert client.call("m", None, timeout=3, a=2) == 1
    new.call.assert_called_once_with("m", None, 3, None, a=2)
    old.call.assert_not_called()


def test_old_servers_are_found_and_not_looked_for_each_time(
    client: PreferredClient, new: MagicMock, old: MagicMock
) -> None:
    new.call.side_effect = exc.RPCException()
    old.call.return_value = 1
    assert [client.call("m", None) for _ in range(3)] == [1] * 3
    assert new.call.call_count == 1


def test_new_servers_are_found_again(
    client: PreferredClient, new: MagicMock, old: MagicMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preferred, "AVOIDED_FOR", 0.0)
    new.call.side_effect = [exc.RPCException(), 2]
    old.call.return_value = 1
    assert [client.call("m", None) for _ in range(2)] == [1, 2]


def test_busy_servers_are_not_asked_twice(
    client: PreferredClient, new: MagicMock, old: MagicMock
) -> None:
    """That would double the work of those who have too much."""
    new.call.side_effect = [1, exc.RPCException()]
    client.call("m", None)
    with pytest.raises(exc.RPCException):
        client.call("m", None)
    old.call.assert_not_called()


def test_without_any_server_both_topics_are_tried_each_time(
    client: PreferredClient, new: MagicMock, old: MagicMock
) -> None:
    new.call.side_effect = old.call.side_effect = exc.RPCException()
    for _ in range(2):
        with pytest.raises(exc.RPCException):
            client.call("m", None)
    assert (new.call.call_count, old.call.call_count) == (2, 2)


def test_an_answered_error_is_an_answer(
    client: PreferredClient, new: MagicMock, old: MagicMock
) -> None:
    new.call.side_effect = exc.InputException("no")
    with pytest.raises(exc.InputException):
        client.call("m", None)
    old.call.assert_not_called()


def test_a_cast_goes_where_every_server_listens(
    client: PreferredClient, new: MagicMock, old: MagicMock
) -> None:
    client.cast("m", None, a=1)
    old.cast.assert_called_once_with("m", None, None, a=1)
    new.cast.assert_not_called()
