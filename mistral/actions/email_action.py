"""`std.email`."""

from __future__ import annotations

import email.message
import email.utils
import smtplib
import ssl
from collections.abc import Sequence
from typing import Any

from mistral.actions.base import ServicedAction
from mistral_lib.actions import ActionContext, ActionException, SecretStr

DEFAULT_SUBJECT = "<No subject>"
DEFAULT_BODY = "<No body>"


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
        self.to_addrs = _list_of(to_addrs)
        self.smtp_server = smtp_server
        self.reply_to = _list_of(reply_to)
        self.cc_addrs = _list_of(cc_addrs)
        self.bcc_addrs = _list_of(bcc_addrs)
        self.smtp_password = smtp_password
        self.subject = subject or DEFAULT_SUBJECT
        self.body = body or DEFAULT_BODY
        self.html_body = html_body

    def run(self, context: ActionContext) -> None:
        try:
            message = self._message()
            with self._server() as server:
                if self.smtp_password is not None:
                    server.starttls(context=ssl.create_default_context())
                    server.login(self.from_addr, self.smtp_password)
                recipients = [*self.to_addrs, *self.cc_addrs, *self.bcc_addrs]
                server.send_message(message, self.from_addr, recipients)
        except (smtplib.SMTPException, OSError, ValueError) as exc:
            raise ActionException(f"Failed to send an email message: {_reason(exc)}") from None

    def _server(self) -> smtplib.SMTP:
        host, _, port = str(self.smtp_server).partition(":")
        return smtplib.SMTP(host, int(port or 0), timeout=self.services.smtp_timeout)

    def _message(self) -> email.message.EmailMessage:
        message = email.message.EmailMessage()
        message["Subject"] = self.subject
        message["From"] = self.from_addr
        message["To"] = ", ".join(self.to_addrs)
        message["Date"] = email.utils.localtime()
        if self.cc_addrs:
            message["Cc"] = ", ".join(self.cc_addrs)
        if self.reply_to:
            message["Reply-To"] = ", ".join(self.reply_to)
        message.set_content(self.body)
        if self.html_body is not None:
            message.add_alternative(self.html_body, subtype="html")
        return message


def _list_of(value: Any) -> list[str]:
    if not value:
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]


def _reason(exc: Exception) -> str:
    """Words without what a server may have quoted of the conversation."""
    if isinstance(exc, smtplib.SMTPAuthenticationError):
        return "the server refused the login"
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        return "the server refused all recipients"
    if isinstance(exc, smtplib.SMTPResponseException):
        return f"the server answered {exc.smtp_code}"
    if isinstance(exc, TimeoutError):
        return "the server did not answer in time"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return type(exc).__name__
