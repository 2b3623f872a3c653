"""Mail servers that never come to an end, and parameters that are no plain addresses or texts."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from mistral.actions.egress import EgressGuard, EgressOptions
from mistral.actions.egress_http import EgressHTTP
from mistral.actions.email_action import SendEmailAction
from mistral.actions.mail_addresses import mailboxes
from mistral.actions.services import ActionServices, MailLimits
from mistral_lib.actions import ActionContext, ActionException

OPEN_HTTP = EgressHTTP(EgressGuard(EgressOptions(denied_cidrs=())))
LIMITS = {"timeout": 0.3, "max_reply_size": 10_000}


def send(address: str, **changes: Any) -> None:
    limits = {name: changes.pop(name) for name in list(changes) if name in vars(MailLimits())}
    parameters: dict[str, Any] = {
        "from_addr": "me@here.example",
        "to_addrs": ["a@there.example"],
        "smtp_server": address,
    }
    action = SendEmailAction(**(parameters | changes))
    action.equip(ActionServices(http=OPEN_HTTP, mail=MailLimits(**(LIMITS | limits))))
    action.run(ActionContext())


@pytest.fixture
def serve() -> Iterator[Any]:
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    stop = threading.Event()

    def make(script: Callable[[], Iterable[bytes]], pause: float) -> str:
        """A server that says the script, whatever it is told."""
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                for piece in script():
                    connection.sendall(piece)
                    if stop.wait(pause):
                        return
                while connection.recv(65536):
                    pass

        threads.append(threading.Thread(target=answer, daemon=True))
        threads[-1].start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield make
    stop.set()
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(5)


def endless(start: bytes, piece: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: itertools.chain(filter(None, [start]), itertools.repeat(piece))


@pytest.mark.parametrize(
    "script",
    [
        endless(b"", b"2"),
        endless(b"", b"220-x\r\n"),
        endless(b"220 x\r\n250-", b"x"),
        endless(b"220 x\r\n", b"250-x\r\n"),
        lambda: [],
    ],
    ids=["greeting", "greeting-lines", "reply", "reply-lines", "silence"],
)
def test_what_drips_ends_in_time(serve: Any, script: Any) -> None:
    begun = time.monotonic()
    with pytest.raises(ActionException) as caught:
        send(serve(script, 0.02))
    assert time.monotonic() - begun < 3
    assert str(caught.value) == (
        "Failed to send an email message: it took longer than 0.3 seconds "
        "([action_std_email] timeout)"
    )


@pytest.mark.parametrize(
    "script", [endless(b"", b"220-x\r\n" * 1000), endless(b"220 x\r\n", b"250-x\r\n" * 1000)]
)
def test_what_floods_ends_at_once(serve: Any, script: Any) -> None:
    with pytest.raises(
        ActionException, match=r"larger than 10000 bytes \(\[action_std_email\] max_"
    ):
        send(serve(script, 0), timeout=20)


def test_a_greeting_that_refuses(serve: Any) -> None:
    with pytest.raises(ActionException, match="email message: the server answered 554"):
        send(serve(lambda: [b"554 no\r\n"], 0))


def test_who_says_goodbye_badly_has_the_message_all_the_same(serve: Any) -> None:
    send(
        serve(lambda: [b"220 x\r\n", b"250 x\r\n" * 3, b"354 x\r\n", b"250 x\r\n", b"500 x\r\n"], 0)
    )


def test_the_guard_is_asked() -> None:
    with pytest.raises(ActionException, match=r"Failed to send.*not allowed.*denied_cidrs\]"):
        SendEmailAction("a@x.example", ["b@x.example"], "127.0.0.1:1").run(ActionContext())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"to_addrs": ["Doe, John <b@x.example>"]},
            "'Doe' in the parameter 'to_addrs' is no email",
        ),
        ({"to_addrs": ["nobody"]}, "'nobody' in the parameter 'to_addrs'"),
        ({"to_addrs": ["a@b@c"]}, "parameter 'to_addrs'"),
        ({"to_addrs": ["Team: a@x.example, b@x.example;"]}, "parameter 'to_addrs'"),
        ({"to_addrs": ["a@x.example b@x.example"]}, "parameter 'to_addrs'"),
        ({"to_addrs": [5]}, "the parameter 'to_addrs' must be an address or a list"),
        ({"to_addrs": {"a": 1}}, "the parameter 'to_addrs' must be an address or a list"),
        ({"to_addrs": []}, "there are no recipients"),
        ({"to_addrs": [" , "]}, "there are no recipients"),
        ({"to_addrs": ["a@x.example\r\nRCPT TO:<b@x.example>"]}, "'to_addrs' has a line break"),
        ({"cc_addrs": ["A\nBcc: x@x.example <a@x.example>"]}, "'cc_addrs' has a line break"),
        ({"reply_to": "A\rX <a@x.example>"}, "'reply_to' has a line break"),
        ({"bcc_addrs": "<a@x.example> b"}, "parameter 'bcc_addrs'"),
        ({"from_addr": "a@x.example, b@x.example"}, "'from_addr' must be one address"),
        ({"from_addr": ""}, "'from_addr' must be one address"),
        ({"from_addr": "A\u2028B <a@x.example>"}, "'from_addr' has a line break"),
        ({"subject": "one\r\nBcc: x@x.example"}, "the parameter 'subject' has a line break"),
        ({"subject": "one\u0085two"}, "the parameter 'subject' has a line break"),
        (
            {"subject": "x" * 1001},
            r"longer than 1000 characters \(\[action_std_email\] max_subject",
        ),
        ({"smtp_server": "127.0.0.1:port"}, "'smtp_server': it must have the form 'host'"),
        ({"smtp_server": ""}, "'smtp_server': it must have the form 'host'"),
        ({"to_addrs": [f"b{n}@x.example" for n in range(501)]}, "max_recipients"),
    ],
)
def test_what_can_not_be_sent_is_refused_with_a_sentence(changes: Any, words: str) -> None:
    with pytest.raises(ActionException, match=f"^Failed to send an email message: .*{words}"):
        send("127.0.0.1:1", **changes)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b@x.org", [("", "b@x.org")]),
        ("Zoë Ops <b@x.org>", [("Zoë Ops", "b@x.org")]),
        ('"Doe, John" <b@x.org>', [("Doe, John", "b@x.org")]),
        (r'"The \"Boss\"" <b@x.org>', [('The "Boss"', "b@x.org")]),
        ("b@x.org (John Doe)", [("John Doe", "b@x.org")]),
        ("<b@x.org>", [("", "b@x.org")]),
        (
            "A <a@x.org>, b@x.org,, C<c@x.org>,",
            [("A", "a@x.org"), ("", "b@x.org"), ("C", "c@x.org")],
        ),
        ("x@bücher.example", [("", "x@xn--bcher-kva.example")]),
        ("jörg@x.org", [("", "jörg@x.org")]),
        ("a.b+c_d=e@sub.x.org", [("", "a.b+c_d=e@sub.x.org")]),
        ("a@[127.0.0.1]", [("", "a@[127.0.0.1]")]),
        ("", []),
    ],
)
def test_addresses_as_people_write_them(text: str, expected: Any) -> None:
    assert [(box.name, box.address) for box in mailboxes("p", text)] == expected
    assert [(box.name, box.address) for box in mailboxes("p", [text, "z@x.org"])] == [
        *expected,
        ("", "z@x.org"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '"' * 200_000,
        '"\\' * 100_000,
        "(" * 200_000,
        "<" * 200_000,
        "<a" * 100_000,
        "a(" * 100_000,
        'a"' * 100_001,
    ],
)
def test_hostile_texts_take_no_time(text: str) -> None:
    begun = time.thread_time()
    with pytest.raises(ValueError, match="no email address"):
        mailboxes("p", text)
    assert time.thread_time() - begun < 2
