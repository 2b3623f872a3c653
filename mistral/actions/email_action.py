"""`std.email`."""

from __future__ import annotations

import contextlib
import email.message
import email.utils
import json
import logging
import smtplib
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from mistral.actions.base import ServicedAction
from mistral.actions.bounded import Allowance, BoundedReader, TooMuchSentError
from mistral.actions.deadlines import Deadline
from mistral.actions.egress import EgressDeniedError, EgressGuard, host_and_port
from mistral.actions.mail_addresses import Mailbox, has_control, mailboxes
from mistral.actions.services import MailLimits
from mistral_lib.actions import ActionContext, ActionException, SecretStr

LOG = logging.getLogger(__name__)

DEFAULT_SUBJECT = "<No subject>"
DEFAULT_BODY = "<No body>"
_SECTION = "[action_std_email]"


class SendEmailAction(ServicedAction):
    """Sends an email message; TLS and login only where a password is given."""

    def __init__(
        self,
        from_addr: str,
        to_addrs: Sequence[str],
        smtp_server: str,
        reply_to: Any = None,
        cc_addrs: Sequence[str] | None = None,
        bcc_addrs: Sequence[str] | None = None,
        smtp_password: SecretStr | None = None,
        subject: str | None = None,
        body: str | None = None,
        html_body: str | None = None,
    ) -> None:
        self.from_addr = from_addr
        self.to_addrs = to_addrs
        self.smtp_server = smtp_server
        self.reply_to = reply_to
        self.cc_addrs = cc_addrs
        self.bcc_addrs = bcc_addrs
        self.smtp_password = smtp_password
        self.subject = subject
        self.body = body
        self.html_body = html_body

    def run(self, context: ActionContext) -> None:
        limits, guard = self.services.mail, self.services.http.guard
        with guard.deadline(limits.timeout) as deadline:
            try:
                self._send(_Conversation(guard, deadline, limits))
                return
            except (EgressDeniedError, TooMuchSentError) as exc:
                words = str(exc)
            except (smtplib.SMTPException, OSError, ValueError) as exc:
                words = _reason(exc)
                if deadline.is_over:
                    words = f"it took longer than {limits.timeout:g} seconds ({_SECTION} timeout)"
        raise ActionException(f"Failed to send an email message: {words}") from None

    def _send(self, server: _Conversation) -> None:
        limits = self.services.mail
        sender = self._sender()
        lists = {
            name: mailboxes(name, getattr(self, name))
            for name in ("to_addrs", "cc_addrs", "bcc_addrs", "reply_to")
        }
        recipients = [*lists["to_addrs"], *lists["cc_addrs"], *lists["bcc_addrs"]]
        if not recipients:
            raise ValueError("there are no recipients")
        if len(recipients) > limits.max_recipients:
            raise ValueError(
                f"there are more than {limits.max_recipients} recipients ({_SECTION} "
                "max_recipients)"
            )
        message = self._message(sender, lists)
        with contextlib.closing(server):
            server.connect(*_server_of(str(self.smtp_server)))
            if self.smtp_password is not None:
                server.starttls(context=ssl.create_default_context())
                server.login(sender.address, str(self.smtp_password))
            to = list(dict.fromkeys(box.address for box in recipients))
            refused = server.send_message(message, sender.address, to)
            if refused:
                LOG.warning("The mail server refused some recipients [count=%s]", len(refused))
            # the message is on its way, whatever the server says now
            with contextlib.suppress(smtplib.SMTPException, OSError, TooMuchSentError):
                server.quit()

    def _sender(self) -> Mailbox:
        senders = mailboxes("from_addr", self.from_addr)
        if len(senders) != 1:
            raise ValueError("the parameter 'from_addr' must be one address")
        return senders[0]

    def _message(
        self, sender: Mailbox, lists: dict[str, list[Mailbox]]
    ) -> email.message.EmailMessage:
        message = email.message.EmailMessage()
        message["Subject"] = self._subject()
        message["From"] = sender.for_header()
        for header, name in (("To", "to_addrs"), ("Cc", "cc_addrs"), ("Reply-To", "reply_to")):
            if lists[name]:
                message[header] = tuple(box.for_header() for box in lists[name])
        message["Date"] = email.utils.localtime()
        message.set_content(_text(self.body) or DEFAULT_BODY)
        if self.html_body is not None:
            message.add_alternative(_text(self.html_body), subtype="html")
        return message

    def _subject(self) -> str:
        subject, longest = _text(self.subject) or DEFAULT_SUBJECT, self.services.mail.max_subject
        if has_control(subject):
            raise ValueError("the parameter 'subject' has a line break or the like")
        if len(subject) > longest:
            raise ValueError(
                f"the parameter 'subject' is longer than {longest} characters ({_SECTION} "
                "max_subject_length)"
            )
        return subject


class _Conversation(smtplib.SMTP):
    """Connects through the guard, and reads no more than a server has to say."""

    def __init__(self, guard: EgressGuard, deadline: Deadline, limits: MailLimits) -> None:
        # a name of its own would be looked up, and nobody knows how long that takes
        super().__init__(local_hostname="localhost")
        self._guard = guard
        self._deadline = deadline
        self._timeout = limits.timeout or None
        self._allowance = Allowance(
            limits.max_reply_size,
            f"the server's replies are larger than {limits.max_reply_size} bytes ({_SECTION} "
            "max_reply_size_bytes)",
        )

    def connect(self, host: str = "", port: int = 0, source_address: Any = None) -> Any:
        """Open the connection and read the greeting."""
        # TLS checks the certificate against it
        vars(self)["_host"] = host
        self.file = None
        self.sock = self._guard.connect(host, port, self._timeout, self._deadline)
        self.local_hostname = _literal(self.sock)
        code, text = self.getreply()
        if code != 220:
            raise smtplib.SMTPConnectError(code, text)
        return code, text

    def getreply(self) -> tuple[int, bytes]:
        """Read a reply, which may have many lines."""
        if self.file is None and self.sock is not None:
            self.file = BoundedReader(self.sock.makefile("rb"), self._allowance)
        return super().getreply()


def _literal(sock: socket.socket) -> str:
    """What a host that has no name, or won't say it, is called in a greeting."""
    address = str(sock.getsockname()[0]).partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _text(value: Any) -> str:
    """A text as it is, without half characters; anything else as JSON."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()


def _server_of(text: str) -> tuple[str, int]:
    try:
        return host_and_port(text, smtplib.SMTP_PORT)
    except ValueError as exc:
        raise ValueError(f"the parameter 'smtp_server': {exc}") from None


def _reason(exc: Exception) -> str:
    """Words without what a server may have quoted of the conversation."""
    if isinstance(exc, UnicodeError):
        return "a parameter has letters that can't be sent"
    if isinstance(exc, ValueError):
        # our own
        return str(exc)
    if isinstance(exc, smtplib.SMTPAuthenticationError):
        return "the server refused the login"
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        return "the server refused all recipients"
    if isinstance(exc, smtplib.SMTPResponseException):
        return f"the server answered {exc.smtp_code}"
    if isinstance(exc, smtplib.SMTPServerDisconnected):
        return "the server closed the connection"
    if isinstance(exc, smtplib.SMTPNotSupportedError):
        return "the server can't do what is needed: encrypt, log in, or take such addresses"
    if isinstance(exc, TimeoutError):
        return "the server did not answer in time"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return type(exc).__name__
