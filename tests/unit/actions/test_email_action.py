"""`std.email` against a small SMTP server."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from mistral.actions.egress import EgressOptions
from mistral.actions.email_action import SendEmailAction
from mistral.actions.services import ActionServices
from mistral_lib.actions import ActionContext, ActionException


class SMTPTarget(socketserver.ThreadingTCPServer):
    """Accepts mail for everybody but `nobody@...`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.senders: list[str] = []
        self.recipients: list[str] = []
        self.messages: list[Any] = []
        super().__init__(("127.0.0.1", 0), _Conversation)


class _Conversation(socketserver.StreamRequestHandler):
    server: SMTPTarget

    def handle(self) -> None:
        self._say("220 here")
        while line := self.rfile.readline():
            verb = line.split()[0].upper()
            if verb == b"DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                text = b"".join(lines)
                policy = email.policy.default
                self.server.messages.append(email.message_from_bytes(text, policy=policy))
                self._say("250 ok")
            elif verb == b"RCPT" and b"nobody@" in line:
                self._say("550 no such user")
            elif verb == b"MAIL":
                self.server.senders.append(line.decode().split("<")[1].split(">")[0])
                self._say("250 ok")
            elif verb == b"RCPT":
                self.server.recipients.append(line.decode().split("<")[1].split(">")[0])
                self._say("250 ok")
            elif verb == b"QUIT":
                self._say("221 bye")
                return
            elif verb == b"STARTTLS":
                self._say("502 not here")
            else:
                self._say("250 ok")

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")


@pytest.fixture
def smtp() -> Iterator[SMTPTarget]:
    with SMTPTarget() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def action(smtp: SMTPTarget, **changes: Any) -> SendEmailAction:
    parameters: dict[str, Any] = {
        "from_addr": "me@here.example",
        "to_addrs": ["a@there.example"],
        "smtp_server": f"127.0.0.1:{smtp.server_address[1]}",
    }
    made = SendEmailAction(**(parameters | changes))
    made.equip(ActionServices.with_egress(EgressOptions(denied_cidrs=())))
    return made


def test_a_message_with_defaults(smtp: SMTPTarget) -> None:
    assert action(smtp).run(ActionContext()) is None
    message = smtp.messages[0]
    assert message["Subject"] == "<No subject>"
    assert message["From"] == "me@here.example"
    assert message.get_content().strip() == "<No body>"


def test_everybody_gets_it_and_blind_copies_are_not_named(smtp: SMTPTarget) -> None:
    action(
        smtp,
        to_addrs=["a@x.example", "b@x.example"],
        cc_addrs=["c@x.example"],
        bcc_addrs=["d@x.example"],
        reply_to=["r@x.example"],
        subject="Grüße",
        body="text",
        html_body="<b>text</b>",
    ).run(ActionContext())
    assert smtp.recipients == [f"{name}@x.example" for name in "abcd"]
    message = smtp.messages[0]
    assert (message["To"], message["Cc"]) == ("a@x.example, b@x.example", "c@x.example")
    assert (message["Reply-To"], message["Bcc"]) == ("r@x.example", None)
    assert message["Subject"] == "Grüße"
    assert message.get_content_type() == "multipart/alternative"
    kinds = [part.get_content_type() for part in message.iter_parts()]
    assert kinds == ["text/plain", "text/html"]


def test_failures_are_told_without_secrets(smtp: SMTPTarget) -> None:
    for changes in (
        {"to_addrs": ["nobody@x.example"]},
        {"smtp_password": "hidden"},
        {"subject": "two\nlines"},
        {"smtp_server": "127.0.0.1:1"},
        {"smtp_server": "127.0.0.1:port"},
    ):
        with pytest.raises(ActionException, match="^Failed to send an email message: ") as caught:
            action(smtp, **changes).run(ActionContext())
        assert "hidden" not in str(caught.value)
    assert smtp.messages == []


@pytest.mark.parametrize(
    ("changes", "recipients", "header"),
    [
        ({"to_addrs": ["Zoë Ops <b@x.example>"]}, ["b@x.example"], "Zoë Ops <b@x.example>"),
        ({"to_addrs": '"Doe, John" <b@x.example>'}, ["b@x.example"], '"Doe, John" <b@x.example>'),
        (
            {"to_addrs": ["a@x.example, B <b@x.example>"]},
            ["a@x.example", "b@x.example"],
            "a@x.example, B <b@x.example>",
        ),
        ({"to_addrs": ["a@x.example", "a@x.example"]}, ["a@x.example"], "a@x.example, a@x.example"),
    ],
)
def test_addresses_with_names(
    smtp: SMTPTarget, changes: Any, recipients: list[str], header: str
) -> None:
    action(smtp, from_addr="Zoë <me@here.example>", reply_to="Zoë <r@x.example>", **changes).run(
        ActionContext()
    )
    assert smtp.recipients == recipients
    assert smtp.senders == ["me@here.example"]
    message = smtp.messages[0]
    assert message["To"] == header
    assert (message["From"], message["Reply-To"]) == (
        "Zoë <me@here.example>",
        "Zoë <r@x.example>",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [({"a": "é"}, '{"a": "é"}'), ([1], "[1]"), (5, "5"), (True, "true"), ("half \ud800", "half ?")],
)
def test_what_is_no_text_is_sent_as_json(smtp: SMTPTarget, value: Any, text: str) -> None:
    action(smtp, subject=value, body=value, html_body=value).run(ActionContext())
    message = smtp.messages[0]
    assert message["Subject"] == text
    assert [part.get_content().strip() for part in message.iter_parts()] == [text, text]
